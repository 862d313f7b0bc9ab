"""The model that ships really answers, and answers what transformers' greedy decoding answers."""

import json

import dormouse


def accuracy(engine, folder):
    """The share of questions that training never saw which are answered exactly."""
    lines = (folder / "heldout.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) >= 200
    wrong = []
    with engine.session() as session:
        for line in lines:
            question = json.loads(line)
            messages = [{"role": "user", "content": question["prompt"]}]
            answer = session.chat(messages, stream=False, temperature=0, max_tokens=100)
            if answer.text != question["answer"]:
                wrong.append((question["prompt"], question["answer"], answer.text))
    share = 1 - len(wrong) / len(lines)
    print(f"{share:.4f} of {len(lines)} are right; wrong are {wrong[:10]}")
    return share


def test_heldout_questions(tiny, tiny_path):
    """At least 95 of 100 are right, and packed weights lose at most half a point."""
    native = accuracy(tiny, tiny_path)
    assert native >= 0.95
    for weights in ["int8", "int4"]:
        with dormouse.Engine(tiny_path, weights=weights) as engine:
            assert accuracy(engine, tiny_path) >= native - 0.005, weights


def test_greedy_continuations_are_those_of_transformers(tiny, tiny_path):
    cases = json.loads((tiny_path / "greedy.json").read_text(encoding="utf-8"))
    assert len(cases) >= 10
    with tiny.session() as session:
        for case in cases:
            messages = [{"role": "user", "content": case["prompt"]}]
            assert tiny.tokenize_messages(messages) == case["prompt_ids"]
            session.truncate(0)
            count = len(case["continuation_ids"])
            answer = session.generate(case["prompt_ids"], stream=False, temperature=0, max_tokens=count)
            assert answer.tokens == case["continuation_ids"], case["prompt"]

"""The model that ships really answers, and answers what transformers' greedy decoding answers."""

import json


def test_heldout_questions(tiny, tiny_path):
    """At least 95 of 100 questions that training never saw are answered exactly."""
    lines = (tiny_path / "heldout.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) >= 200
    wrong = []
    with tiny.session() as session:
        for line in lines:
            question = json.loads(line)
            messages = [{"role": "user", "content": question["prompt"]}]
            answer = session.chat(messages, stream=False, temperature=0, max_tokens=100)
            if answer.text != question["answer"]:
                wrong.append((question["prompt"], question["answer"], answer.text))
    accuracy = 1 - len(wrong) / len(lines)
    assert accuracy >= 0.95, f"{accuracy:.3f} of {len(lines)} are right; wrong are {wrong[:10]}"


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

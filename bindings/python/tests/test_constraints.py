"""Answers of a form, and constraints by themselves."""

import json
import random

import jsonschema
import pytest
from conftest import REPOSITORY

import dormouse

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 8},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "tags": {"type": "array", "items": {"enum": ["a", "bc"]}, "maxItems": 2},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}
MESSAGES = [{"role": "user", "content": "What is 7 plus 5?"}]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("shape", ["constraint", "response_format"])
def test_answers_have_the_form_of_their_schema(tiny, seed, shape):
    form = {"constraint": {"json_schema": PERSON}} if shape == "constraint" else {
        "response_format": {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}
    }
    with tiny.session() as session:
        answer = session.chat(MESSAGES, stream=False, temperature=1.5, seed=seed, max_tokens=200, **form)
    assert answer.finish_reason == "stop"
    jsonschema.validate(json.loads(answer.text), PERSON)


@pytest.mark.parametrize(
    ("constraint", "check"),
    [
        ({"choice": ["twelve", "12"]}, lambda text: text in ("twelve", "12")),
        ({"regex": "[0-9]{3}-[a-f]+x"}, lambda text: text[3] == "-" and text[-1] == "x"),
        ({"grammar": 'root ::= "(" root? ")"'}, lambda text: text == "(" * (len(text) // 2) + ")" * (len(text) // 2)),
    ],
)
def test_answers_have_other_forms(tiny, constraint, check):
    for seed in range(4):
        with tiny.session() as session:
            answer = session.chat(
                MESSAGES, stream=False, constraint=constraint, temperature=1.2, seed=seed, max_tokens=60
            )
        assert answer.finish_reason == "length" or check(answer.text), answer.text


def test_several_forms_in_one_batch_and_after_a_fork(tiny):
    """Each session's answer is what it is alone."""
    forms = [{"choice": ["yes", "no"]}, {"regex": "[a-c]{5}"}, {"json_schema": PERSON}]
    alone = []
    for form in forms:
        with tiny.session() as session:
            alone.append(session.chat(MESSAGES, stream=False, constraint=form, max_tokens=60).text)
    with tiny.session() as first:
        first.prefill(tiny.tokenize_messages(MESSAGES))
        sessions = [first.fork() for _ in forms]
        streams = [s.generate([], constraint=form, max_tokens=60) for s, form in zip(sessions, forms)]
        assert [stream.text() for stream in streams] == alone
        for session in sessions:
            session.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"constraint": {"json_schema": {"type": "x"}}}, "constraint.json_schema: #/type"),
        ({"constraint": "a"}, "constraint is"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "x"}}}},
            "response_format.json_schema: #/type",
        ),
        ({"constraint": {"regex": "a"}, "response_format": {"type": "text"}}, "exclude each other"),
        ({"response_format": {"type": "xml"}}, "text, json_object or json_schema"),
    ],
)
def test_what_is_no_form_is_refused(tiny, options, words):
    with tiny.session() as session:
        with pytest.raises(dormouse.InvalidArgumentError, match=words):
            session.chat(MESSAGES, stream=False, **options)
        assert len(session) == 0


def test_by_itself():
    vocabulary = [b"a", b"b", b"c", b"ab", b""]
    with dormouse.Constraint(vocabulary, end_tokens=[4], regex="(ab)+c") as constraint:
        assert constraint.allowed() == [0, 3] and not constraint.is_complete
        with pytest.raises(dormouse.InvalidArgumentError):
            constraint.accept([0, 0])
        constraint.accept([0, 1])
        copy = constraint.clone()
        copy.accept([2])
        assert copy.is_complete and copy.forced() == [4]
        copy.rewind(3)
        assert copy.allowed() == [0, 3] and constraint.allowed() == [0, 2, 3]
        assert list(constraint.mask()) == [0b1101]
        copy.close()


def test_walks_end_in_valid_values():
    """Texts that random tokens make are valid by jsonschema, and no way ends in the midst."""
    chance = random.Random(11)
    vocabulary = [bytes([byte]) for byte in range(256)] + [b'"', b'":', b'","', b"true", b"null", b"12", b"]}", b""]
    checker = jsonschema.FormatChecker(["date", "ipv4", "uuid"])
    lines = (REPOSITORY / "Tests/Fixtures/constraints/schemas.jsonl").read_text(encoding="utf-8").splitlines()
    ended = 0
    for line in chance.sample(lines, 120):
        schema = json.loads(line)["schema"]
        validator = jsonschema.Draft202012Validator(schema, format_checker=checker)
        try:
            constraint = dormouse.Constraint(
                vocabulary, end_tokens=[263], json_schema=schema, form=chance.choice(["any", "compact"])
            )
        except dormouse.DormouseError:
            continue
        tokens = []
        while len(tokens) < 150:
            allowed = constraint.allowed()
            assert allowed, (schema, tokens)
            token = 263 if 263 in allowed and chance.random() < 0.4 else chance.choice(allowed)
            constraint.accept([token])
            tokens.append(token)
            if token == 263:
                text = b"".join(vocabulary[token] for token in tokens).decode("utf-8")
                assert validator.is_valid(json.loads(text)), (schema, text)
                ended += 1
                break
        constraint.close()
    assert ended > 40

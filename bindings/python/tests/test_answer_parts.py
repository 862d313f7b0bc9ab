"""Reasoning, content, calls of tools and scripts of an answer."""

import asyncio
import json

import pytest

import dormouse

QUESTION = "What is 7 plus 5?"
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "strict": True,
            "parameters": {
                "type": "object",
                "properties": {"left": {"type": "integer", "minimum": 0, "maximum": 9}, "exact": {"type": "boolean"}},
                "required": ["left", "exact"],
                "additionalProperties": False,
            },
        },
    }
    for name in ("plus", "minus")
]


def call(session, **options):
    return session.chat(QUESTION, stream=False, tools=TOOLS, temperature=0, **options)


@pytest.mark.parametrize("name", ["deepseek-v3", "deepseek-r1", "deepseek-v3.1", "kimi-k2"])
def test_a_call_that_is_asked_for(tiny, name):
    options = {"answer_format": name, "parallel_tool_calls": False}
    with tiny.session() as session:
        answer = call(session, tool_choice="required", **options)
        assert (answer.finish_reason, answer.text, answer.broken_calls, len(answer.tool_calls)) == (
            "tool_calls", "", [], 1,
        )  # fmt: skip
        found = answer.tool_calls[0]
        assert found.name in ("plus", "minus") and list(found.parsed()) == ["left", "exact"]
        assert found.id == (f"functions.{found.name}:0" if name == "kimi-k2" else found.id) and found.id
        again = call(session, tool_choice={"type": "function", "function": {"name": "minus"}}, **options)
        assert again.tool_calls[0].name == "minus"
        # The same as one text: the caller reads it himself.
        raw = session.chat(QUESTION, stream=False, tools=TOOLS, parts=False, temperature=0)
        assert raw.tool_calls == [] and raw.text
        # The result goes back in.
        messages = [
            {"role": "user", "content": QUESTION},
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": found.id, "type": "function", "function": {"name": found.name, "arguments": found.arguments}},
            ]},
        ]  # fmt: skip
        with pytest.raises(dormouse.DormouseError):
            session.chat([*messages, {"role": "tool", "content": 12}], stream=False)


def test_parts_as_they_come(tiny):
    with tiny.session() as session:
        whole = session.chat(QUESTION, stream=False, temperature=0)
        events = list(session.chat(QUESTION, parts=True, temperature=0))
        assert {event.part for event in events if event.kind == "part"} == {"content"}
        assert all(bool(event.text) == (event.kind == "part") for event in events)
        assert "".join(event.text for event in events) == whole.text
        assert whole.end.consistency_content == events[-1].consistency_content == 1
        assert whole.end.consistency_reasoning is None and whole.end.part is None
        stream = session.chat(QUESTION, tools=TOOLS, tool_choice="plus", answer_format="deepseek-v3.1")
        parts = [event for event in stream if event.kind == "part"]
        assert [event.part for event in parts[:2]] == ["tool_name", "tool_arguments"]
        assert {(event.tool_index, event.tool_name) for event in parts} == {(0, "plus")}
        assert json.loads("".join(event.text for event in parts[1:]))["left"] in range(10)


def test_tasks(tiny):
    async def answer():
        with tiny.session() as session:
            return await session.achat(QUESTION, tools=TOOLS, tool_choice="plus", answer_format="kimi-k2").answer()

    assert asyncio.run(answer()).tool_calls[0].name == "plus"


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"thinking": True}, dormouse.UnsupportedError),
        ({"thinking": True, "answer_format": "plain"}, dormouse.UnsupportedError),
        ({"tools": TOOLS, "tool_choice": "required"}, dormouse.UnsupportedError),
        ({"tools": TOOLS, "tool_choice": "times", "answer_format": "kimi-k2"}, dormouse.InvalidArgumentError),
        ({"answer_format": "morse"}, dormouse.InvalidArgumentError),
        ({"language": {"answer": "xx"}}, dormouse.InvalidArgumentError),
        ({"tools": TOOLS, "constraint": {"regex": "a"}}, dormouse.UnsupportedError),
    ],
)
def test_what_is_refused(tiny, options, kind):
    with tiny.session() as session:
        with pytest.raises(kind):
            session.chat(QUESTION, stream=False, **options)
        assert session.chat(QUESTION, stream=False, max_tokens=2).text


def test_a_budget_of_reasoning(tiny):
    """A prompt that has begun it: after so many tokens it ends, and the rest is content."""
    with tiny.session() as session:
        options = {"stream": False, "temperature": 0, "max_tokens": 40, "ignore_eos": True, "answer_format": "reasoning"}
        free = session.generate("7 plus 5. <think>", parts=True, **options)
        assert free.reasoning and not free.text
        session.truncate(0)
        bound = session.generate("7 plus 5. <think>", thinking={"budget_tokens": 3}, **options)
        assert bound.reasoning and bound.text and free.reasoning.startswith(bound.reasoning)


def test_scripts(tiny):
    with tiny.session() as session:
        for question, language in [(QUESTION, "zh"), ("7加5等于多少？", "en")]:
            answer = session.chat(
                question, stream=False, language={"answer": language}, temperature=1.5, seed=4, max_tokens=60,
                ignore_eos=True,
            )
            assert answer.end.consistency_content in (None, 1)
            letters = [letter for letter in answer.text if letter.isalpha()]
            assert letters and all((letter < "\u0250") == (language == "en") for letter in letters)

"""`dormouse run --thinking | --tools | --scripts | --answer-language`."""

import json

import pytest

QUESTION = "What is 7 plus 5?"
TOOLS = [{"type": "function", "function": {"name": "plus", "parameters": {"type": "object"}}}]


def test_tools_are_shown(dormouse, tiny, tmp_path):
    """The model calls none: its answer is content, in parts of which the last line has the whole."""
    file = tmp_path / "tools.json"
    file.write_text(json.dumps(TOOLS))
    plain = dormouse("run", tiny, QUESTION)
    assert dormouse("run", tiny, QUESTION, "--tools", file).out == plain.out
    assert dormouse("run", tiny, QUESTION, "--tools", "-", input=json.dumps(TOOLS)).out == plain.out
    lines = dormouse("run", tiny, QUESTION, "--tools", file, "--json").lines
    parts = [line for line in lines if line["event"] == "part"]
    assert {part["part"] for part in parts} == {"content"} and "tool_index" not in parts[0]
    assert "".join(part["text"] for part in parts) == lines[-1]["answer"] == plain.out.removesuffix("\n")
    assert not any(line["text"] for line in lines if line["event"] in ("token", "end"))
    assert "tool_calls" not in lines[-1] and lines[-1]["consistency_content"] == 1


def test_scripts(dormouse, tiny):
    options = ["--temperature", "1.5", "--seed", "3", "--max-tokens", "30"]
    for choice in (["--scripts", "Han"], ["--answer-language", "zh"]):
        result = dormouse("run", tiny, QUESTION, *choice, *options)
        assert result.status == 0 and not any("a" <= letter.lower() <= "z" for letter in result.out), result.out
    result = dormouse("run", tiny, "7加5等于多少？", "--answer-language", "same", *options)
    assert result.status == 0 and not any("a" <= letter.lower() <= "z" for letter in result.out)
    assert dormouse("run", tiny, QUESTION, "--scripts", "Latin,Han", *options).status == 0


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--thinking", "maybe"], 2, "--thinking maybe"),
        (["--thinking", "-1"], 2, "--thinking"),
        (["--thinking", "true"], 1, "no format of reasoning"),
        (["--scripts", "Elvish"], 1, "Elvish"),
        (["--answer-language", "xx"], 1, "xx"),
        (["--scripts", "Han", "--answer-language", "zh"], 2, "exclude each other"),
        (["--tools", "missing.json"], 1, "missing.json"),
        (["--tools", "-"], 1, "stdin"),
        (["--tools", "a.json", "--session", "s"], 2, "--tools"),
    ],
)
def test_wrong_choices(dormouse, tiny, arguments, status, words):
    result = dormouse("run", tiny, QUESTION, *arguments, input="{")
    assert result.status == status and words in result.error and result.out == ""


def test_thinking_is_switched_off(dormouse, tiny):
    """A model that does not reason does not."""
    assert dormouse("run", tiny, QUESTION, "--thinking", "false").out == dormouse("run", tiny, QUESTION).out

"""`dormouse run --json-schema | --regex | --grammar`."""

import json
import re

import pytest

QUESTION = "What is 7 plus 5?"
SCHEMA = {
    "type": "object",
    "properties": {"sum": {"type": "integer", "maximum": 99, "minimum": 0}, "a": {"const": 1.50}},
    "required": ["sum", "a"],
    "additionalProperties": False,
}


@pytest.fixture
def schema(tmp_path):
    file = tmp_path / "schema.json"
    file.write_text(json.dumps(SCHEMA, indent=1))
    return file


def test_json_schema(dormouse, tiny, schema):
    result = dormouse("run", tiny, "-p", QUESTION, "--json-schema", schema)
    assert (result.status, result.error) == (0, "")
    assert re.fullmatch(r'\{"sum":\d{1,2},"a":1.50*\}\n', result.out), result.out
    end = dormouse("run", tiny, "-p", QUESTION, "--json-schema", "-", "--json", input=schema.read_text()).lines[-1]
    assert (end["finish_reason"], end["answer"] + "\n") == ("stop", result.out)
    # Members come in the schema's own order, whatever else is given.
    turned = {**SCHEMA, "properties": dict(reversed(SCHEMA["properties"].items()))}
    schema.write_text(json.dumps(turned))
    messages = json.dumps([{"role": "user", "content": QUESTION}])
    options = ["--seed", "3", "--temperature", "2", "--time-limit", "60"]
    result = dormouse("run", tiny, "--messages", "-", "--json-schema", schema, *options, input=messages)
    assert result.status == 0 and list(json.loads(result.out)) == ["a", "sum"]


def test_regex_and_grammar(dormouse, tiny, tmp_path):
    assert re.fullmatch("-?[0-9]{2}\n", dormouse("run", tiny, QUESTION, "--regex", "-?[0-9]{2}").out)
    assert dormouse("run", tiny, QUESTION, "--regex", "--help").out == "--help\n"
    grammar = tmp_path / "sum.gbnf"
    grammar.write_text('root ::= "\\"" [a-f]{3} "\\""\n')
    assert re.fullmatch('"[a-f]{3}"\n', dormouse("run", tiny, QUESTION, "--grammar", grammar).out)
    assert re.fullmatch('"[a-f]{3}"\n', dormouse("run", tiny, "--raw", "-p", "7", "--grammar", grammar).out)


@pytest.mark.parametrize(
    ("option", "text", "words"),
    [
        ("--json-schema", '{"properties": {"a": {"type": "text"}}}', ": #/properties/a/type is "),
        ("--json-schema", '{"unevaluatedItems": false}', ": #/unevaluatedItems: this keyword is not enforced"),
        ("--json-schema", '{"type": "string"', "not JSON"),
        ("--json-schema", '{}, "grammar": ""', "not JSON"),
        ("--json-schema", '{"type": "null", "type": "null"}', "type"),
        ("--json-schema", "", "not JSON"),
        ("--grammar", 'root ::= "a', ", line 1: a text is not closed"),
    ],
)
def test_bad_files_are_named(dormouse, tiny, tmp_path, option, text, words):
    file = tmp_path / "form"
    file.write_text(text)
    result = dormouse("run", tiny, QUESTION, option, file)
    assert (result.status, result.out) == (1, "")
    assert result.error.startswith(f"dormouse: {file}") and words in result.error and "config_json" not in result.error
    assert result.error.count("\n") == 1


def test_other_faults(dormouse, tiny, bare):
    for arguments, words in [
        (["--json-schema", "/nowhere.json"], "/nowhere.json: cannot open it"),
        (["--grammar", "/nowhere.gbnf"], "/nowhere.gbnf: cannot open it"),
        (["--regex", "(a"], "dormouse: --regex: pattern '(a', character 3: a parenthesis is not closed"),
    ]:
        result = dormouse("run", tiny, QUESTION, *arguments)
        assert (result.status, result.out) == (1, "") and words in result.error, result.error
    result = dormouse("run", bare, "--raw", "-p", "a", "--regex", "a")
    assert result.status == 1 and "config_json" not in result.error


@pytest.mark.parametrize(
    "arguments",
    [
        ["-p", "a", "--regex", "a", "--grammar", "b"], ["-p", "a", "--json-schema", "a", "--regex", "b"],
        ["--json-schema", "-"], ["-p", "-", "--grammar", "-"], ["--messages", "-", "--json-schema", "-"],
        ["-p", "a", "--regex"],
    ],
)
def test_wrong_usage(dormouse, tiny, arguments):
    result = dormouse("run", tiny, *arguments)
    assert (result.status, result.out) == (2, "") and "Usage: dormouse run" in result.error

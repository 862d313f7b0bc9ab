"""Sessions of `dormouse run`: saved ones, those that slide, limits of time, statistics."""

import json
import os
import stat

import pytest

QUESTION = "What is 7 plus 5?"
ANSWER = "7 plus 5 is 12."
NEXT = "What is 2 plus 5?"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "session"


def messages(file):
    return [message["content"] for message in json.loads((file.parent / "session.messages.json").read_text())]


# --session


def test_what_was_said_is_its_owners_alone(dormouse, tiny, file):
    """Session and messages, whatever the mask lets others read and whatever was there before."""
    before = os.umask(0)
    try:
        for _ in range(2):
            dormouse("run", tiny, "-p", QUESTION, "--session", file)
            for path in (file, file.parent / "session.messages.json"):
                assert stat.S_IMODE(path.stat().st_mode) == 0o600
                path.chmod(0o666)
    finally:
        os.umask(before)


def test_a_chat_over_several_runs(dormouse, tiny, file):
    assert dormouse("run", tiny, "-p", QUESTION, "--session", file).out == ANSWER + "\n"
    assert messages(file) == [QUESTION, ANSWER]
    end = dormouse("run", tiny, "-p", NEXT, "--session", file, "--json").lines[-1]
    assert messages(file) == [QUESTION, ANSWER, NEXT, end["answer"]]
    # Question and answer are in the session: of the prompt, only what is new is computed.
    first = dormouse("run", tiny, "-p", QUESTION, "--json").lines[-1]
    assert end["prompt_reused"] >= first["prompt_tokens"] + first["generated_tokens"] - 1
    # And it says what a run with all messages says.
    roles = ["user", "assistant", "user"]
    document = [{"role": role, "content": text} for role, text in zip(roles, [QUESTION, ANSWER, NEXT])]
    whole = dormouse("run", tiny, "--messages", "-", "--json", input=json.dumps(document)).lines[-1]
    assert (whole["answer"], whole["prompt_tokens"], whole["prompt_reused"]) == (
        end["answer"], end["prompt_tokens"], 0)
    assert sorted(os.listdir(file.parent)) == ["session", "session.messages.json"]


def test_a_raw_text_over_several_runs(dormouse, tiny, file):
    options = ["--raw", "--max-tokens", "3", "--json"]
    whole = dormouse("run", tiny, "-p", "7 plus", "--raw", "--max-tokens", "6", "--json").lines
    first = dormouse("run", tiny, "-p", "7 plus", *options, "--session", file).lines
    second = dormouse("run", tiny, "-p", "", *options, "--session", file).lines
    tokens = [[line["token"] for line in lines if line["event"] == "token"] for lines in (first, second, whole)]
    assert tokens[0] + tokens[1] == tokens[2]
    assert second[-1]["prompt_tokens"] == 0
    # No beginning-of-sequence token in the middle.
    third = dormouse("run", tiny, "-p", "7 plus", *options, "--session", file).lines[-1]
    assert third["prompt_tokens"] == len(dormouse("tokenize", tiny, "--json", input="7 plus").lines[0])
    assert os.listdir(file.parent) == ["session"]


def test_messages_with_a_session(dormouse, tiny, file):
    """Whoever keeps the messages himself saves the computing all the same."""
    document = [{"role": "user", "content": QUESTION}]
    first = dormouse("run", tiny, "--messages", "-", "--session", file, "--json", input=json.dumps(document)).lines[-1]
    document += [{"role": "assistant", "content": first["answer"]}, {"role": "user", "content": NEXT}]
    second = dormouse("run", tiny, "--messages", "-", "--session", file, "--json", input=json.dumps(document)).lines[-1]
    assert second["prompt_reused"] >= first["prompt_tokens"]
    # There are no messages to go on with.
    before = file.read_bytes()
    result = dormouse("run", tiny, "-p", NEXT, "--session", file)
    assert (result.status, result.out) == (1, "") and "session.messages.json is missing" in result.error
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    "options, words",
    [
        (["--cache", "bf16"], "row type"),
        (["--weights", "int8", "--cache", "f32"], "identity"),
        (["--context", "16"], "expected at most 16"),
        (["--system", "Be brief."], "--system"),
    ],
)
def test_a_file_that_does_not_fit_is_left_alone(dormouse, tiny, file, options, words):
    assert dormouse("run", tiny, "-p", QUESTION, "--session", file).status == 0
    before = file.read_bytes(), messages(file)
    result = dormouse("run", tiny, "-p", NEXT, "--session", file, *options)
    assert (result.status, result.out) == (1, "")
    assert str(file) in result.error and words in result.error and result.error.count("\n") == 1
    assert (file.read_bytes(), messages(file)) == before


@pytest.mark.parametrize("content", [b"", b"no session", b"DORMSNAP" + bytes(200)])
def test_damaged_file(dormouse, tiny, file, content):
    file.write_bytes(content)
    result = dormouse("run", tiny, "--raw", "-p", "a", "--session", file)
    assert (result.status, result.out) == (1, "")
    assert result.error.startswith(f"dormouse: {file}: ") and result.error.count("\n") == 1
    assert file.read_bytes() == content and os.listdir(file.parent) == ["session"]


@pytest.mark.parametrize("document", ["", "{}", '[{"role": "user"}]', "[1]"])
def test_damaged_messages(dormouse, tiny, file, document):
    assert dormouse("run", tiny, "-p", QUESTION, "--session", file).status == 0
    (file.parent / "session.messages.json").write_text(document)
    result = dormouse("run", tiny, "-p", NEXT, "--session", file)
    assert (result.status, result.out) == (1, "")
    assert "session.messages.json" in result.error and result.error.count("\n") == 1
    assert (file.parent / "session.messages.json").read_text() == document


def test_places_where_no_file_can_be(dormouse, tiny, tmp_path):
    for path in [tmp_path / "none" / "session", tmp_path, "/dev/null"]:
        result = dormouse("run", tiny, "-p", QUESTION, "--session", path)
        assert (result.status, result.out) == (1, ""), path
        assert str(path) in result.error


def test_an_answer_that_fails_saves_nothing(dormouse, tiny, file):
    result = dormouse("run", tiny, "-p", "plus " * 200, "--context", "32", "--session", file)
    assert result.status == 1 and os.listdir(file.parent) == []


# --overflow, --time-limit, --statistics


def test_overflow(dormouse, tiny):
    """Hot sampling, which as good as never meets an end token among the vocabulary."""
    options = ["--raw", "-p", "7 plus", "--context", "24", "--max-tokens", "60", "--temperature", "50", "--json"]

    def end(*choice):
        last = dormouse("run", tiny, *options, *choice).lines[-1]
        return last["finish_reason"], last["prompt_tokens"] + last["generated_tokens"]

    assert end() == end("--overflow", "stop") == ("context", 24)
    assert end("--overflow", "slide") == end("--overflow", "slide", "--keep-tokens", "4") == ("length", 62)
    result = dormouse("run", tiny, *options, "--overflow", "slide", "--keep-tokens", "24")
    assert (result.status, result.out) == (1, "") and "keep_tokens is 24" in result.error


def test_time_that_runs_out_before_the_first_token(dormouse, tiny):
    result = dormouse("run", tiny, "-p", QUESTION, "--time-limit", "0.0000001")
    assert (result.status, result.out) == (1, "")
    assert "time_limit of " in result.error and result.error.count("\n") == 1


def test_time_that_runs_out_later(dormouse, tiny):
    """Hot sampling in a context that slides: without a limit it would go on for hours. An end token may come first."""
    options = ["--raw", "-p", "7 plus", "--temperature", "50", "--context", "64", "--overflow", "slide", "--json"]
    for seed in range(5):
        result = dormouse("run", tiny, *options, "--time-limit", "0.25", "--seed", seed)
        assert result.status == 0, result.error
        if result.lines[-1]["finish_reason"] == "time":
            return
    pytest.fail("no answer went on until its time had run out")


def test_statistics(dormouse, tiny):
    plain = dormouse("run", tiny, "-p", QUESTION, "--json").lines[-1]
    assert "statistics" not in plain
    end = dormouse("run", tiny, "-p", QUESTION, "--json", "--statistics").lines[-1]
    statistics = end["statistics"]
    assert end["answer"] == ANSWER
    assert statistics["sessions"] == {
        "working": 0, "waiting": 0, "entered": 1, "left": 1, "refused": 0, "cancelled": 0, "failed": 0}
    assert statistics["tokens"]["prompt"] == end["prompt_tokens"]
    assert statistics["cache"]["f32"]["page_tokens"] == 64
    result = dormouse("run", tiny, "-p", QUESTION, "--statistics")
    assert (result.status, result.out) == (0, ANSWER + "\n")
    names = [line.split("  ")[0] for line in result.error.splitlines() if not line.startswith(" ")]
    assert names == ["sessions", "steps", "tokens", "seconds", "cache f32"]
    assert "pages of 64 tokens" in result.error

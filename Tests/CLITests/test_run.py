"""`dormouse run`."""

import json
import os
import signal
import subprocess
import time

import pytest

QUESTION = "What is 7 plus 5?"
ANSWER = "7 plus 5 is 12."


def test_answer(dormouse, tiny):
    result = dormouse("run", tiny, "-p", QUESTION)
    assert (result.status, result.out) == (0, ANSWER + "\n")


def test_a_file_in_the_folder_will_do(dormouse, tiny):
    result = dormouse("run", os.path.join(tiny, "model.safetensors"), "-p", QUESTION)
    assert (result.status, result.out) == (0, ANSWER + "\n")


@pytest.mark.parametrize(
    "options",
    [
        ["--threads", "1"], ["--threads", "2", "--pin"], ["--residency", "mapped"], ["--cache", "bf16"],
        ["--cache", "int8"], ["--weights", "int8"],
    ],
)
def test_options_leave_the_answer(dormouse, tiny, options):
    assert dormouse("run", tiny, "-p", QUESTION, *options).out == ANSWER + "\n"


def test_prompt_from_stdin(dormouse, tiny):
    assert dormouse("run", tiny, "-p", "-", input=QUESTION + "\n").out == ANSWER + "\n"


def test_prompt_as_an_argument(dormouse, tiny):
    assert dormouse("run", tiny, QUESTION).out == ANSWER + "\n"
    assert dormouse("run", tiny, QUESTION, "--threads", "1").out == ANSWER + "\n"
    assert dormouse("run", tiny, "--max-tokens", "1", "--", "--help").status == 0
    assert dormouse("run", tiny, "-", input=QUESTION + "\n").out == ANSWER + "\n"


def test_prompt_through_a_pipe(dormouse, tiny):
    assert dormouse("run", tiny, input=QUESTION + "\n").out == ANSWER + "\n"
    raw = dormouse("run", tiny, "--raw", "--max-tokens", "1", "--json", input="7 plus\n").lines[-1]
    given = dormouse("run", tiny, "--raw", "--max-tokens", "1", "--json", "-p", "7 plus\n").lines[-1]
    assert raw["prompt_tokens"] == given["prompt_tokens"]


@pytest.mark.parametrize("input", ["", "\n", " \n\t\n"])
def test_nothing_through_a_pipe(dormouse, tiny, input):
    result = dormouse("run", tiny, input=input)
    assert (result.status, result.out) == (2, "")
    assert "there is no prompt" in result.error and "Usage: dormouse run" in result.error


def test_prompt_may_look_like_an_option(dormouse, tiny):
    assert dormouse("run", tiny, "-p", "--help", "--max-tokens", "1").status == 0


def test_json_lines(dormouse, tiny):
    result = dormouse("run", tiny, "-p", QUESTION, "--json")
    assert (result.status, result.error) == (0, "")
    *steps, end = result.lines
    assert {line["event"] for line in steps} == {"prompt", "token"}
    tokens = [line for line in steps if line["event"] == "token"]
    assert all(isinstance(line["token"], int) and isinstance(line["text"], str) for line in tokens)
    assert end["event"] == "end" and end["finish_reason"] == "stop" and end["answer"] == ANSWER
    assert "".join(line["text"] for line in tokens) + end["text"] == ANSWER
    assert end["generated_tokens"] == len(tokens)
    prompt = [line for line in steps if line["event"] == "prompt"][-1]
    assert prompt["prompt_done"] == prompt["prompt_tokens"] == end["prompt_tokens"]
    assert end["prompt_seconds"] > 0 and end["generation_seconds"] > 0


def test_max_tokens(dormouse, tiny):
    end = dormouse("run", tiny, "-p", QUESTION, "--max-tokens", "2", "--json").lines[-1]
    assert (end["finish_reason"], end["generated_tokens"]) == ("length", 2)


def test_stop(dormouse, tiny):
    end = dormouse("run", tiny, "-p", QUESTION, "--json", "--stop", "never", "--stop", "us 5").lines[-1]
    assert (end["finish_reason"], end["answer"]) == ("stop", "7 pl")


def test_stop_at_a_token(dormouse, tiny):
    end = dormouse("run", tiny, "-p", QUESTION, "--json", "--stop-token-id", "77", "--stop-token-id", "1").lines[-1]
    assert (end["finish_reason"], end["answer"]) == ("stop", ANSWER)
    failed = dormouse("run", tiny, "-p", QUESTION, "--stop-token-id", "99999")
    assert failed.status == 1 and "stop_token_ids[0] is 99999" in failed.error


def test_seed(dormouse, tiny):
    options = ["--temperature", "5", "--top-k", "100", "--max-tokens", "12"]

    def answer(seed):
        return dormouse("run", tiny, "-p", QUESTION, *options, "--seed", seed).out

    assert answer(1) == answer(1)
    assert len({answer(seed) for seed in range(4)}) > 1


def test_messages(dormouse, tiny, tmp_path):
    messages = [
        {"role": "user", "content": "What is 1 plus 1?"},
        {"role": "assistant", "content": "1 plus 1 is 2."},
        {"role": "user", "content": QUESTION},
    ]
    file = tmp_path / "messages.json"
    file.write_text(json.dumps(messages[2:]))
    assert dormouse("run", tiny, "--messages", file).out == ANSWER + "\n"
    result = dormouse("run", tiny, "--messages", "-", "--json", input=json.dumps({"messages": messages}))
    assert result.status == 0 and result.lines[-1]["answer"]


@pytest.mark.parametrize("document", ["", "{", "[]", "{}", '[{"role": "user"', '[{"content": "no role"}]', "[1]"])
def test_bad_messages(dormouse, tiny, document):
    result = dormouse("run", tiny, "--messages", "-", input=document)
    assert (result.status, result.out) == (1, "")
    assert result.error.startswith("dormouse: ") and result.error.count("\n") == 1


def test_missing_messages_file(dormouse, tiny):
    result = dormouse("run", tiny, "--messages", "/nowhere.json")
    assert (result.status, result.out) == (1, "")
    assert "/nowhere.json" in result.error


def test_raw_goes_on_from_the_text(dormouse, tiny):
    prompt = "<｜begin▁of▁sentence｜><｜User｜>" + QUESTION + "<｜Assistant｜>"
    assert dormouse("run", tiny, "--raw", "--parse-special", "-p", prompt).out == ANSWER + "\n"
    end = dormouse("run", tiny, "--raw", "-p", "7 plus", "--max-tokens", "3", "--json").lines[-1]
    assert end["generated_tokens"] <= 3
    # A beginning-of-sequence token is added, and control tokens are plain text.
    counted = dormouse("run", tiny, "--raw", "-p", prompt, "--max-tokens", "1", "--json").lines[-1]
    parsed = dormouse("run", tiny, "--raw", "--parse-special", "-p", prompt, "--max-tokens", "1", "--json").lines[-1]
    assert counted["prompt_tokens"] > parsed["prompt_tokens"]


def test_text_of_the_user_cannot_forge_control_tokens(dormouse, tiny):
    forged = dormouse("run", tiny, "-p", QUESTION + "<｜Assistant｜>", "--json", "--max-tokens", "1").lines[-1]
    plain = dormouse("run", tiny, "-p", QUESTION, "--json", "--max-tokens", "1").lines[-1]
    assert forged["prompt_tokens"] > plain["prompt_tokens"] + 1


def test_prompt_longer_than_the_context(dormouse, tiny):
    result = dormouse("run", tiny, "-p", "plus " * 200, "--context", "32")
    assert (result.status, result.out) == (1, "")
    assert "32" in result.error


def test_no_tokenizer(dormouse, bare):
    result = dormouse("run", bare, "-p", "a")
    assert (result.status, result.out) == (1, "")
    assert "tokenizer" in result.error or "template" in result.error


def test_broken_pipe(binary, tiny):
    """`| head -1`: the reader leaves in the middle of an answer."""
    process = subprocess.Popen(
        [binary, "run", tiny, "-p", QUESTION, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    error = process.stderr.read()
    assert process.wait(timeout=60) == 1
    assert error == b""


def test_full_disk(binary, tiny):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([binary, "run", tiny, "-p", QUESTION], stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 1
    assert b"stdout" in done.stderr


def interrupt(process, after):
    time.sleep(after)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    return process.returncode, out, error


def test_interrupt_while_generating(binary, tiny):
    command = [binary, "bench", tiny, "--prompt", "200", "--gen", "200", "--reps", "1000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    status, out, error = interrupt(process, after=3)
    assert (status, out) == (130, b"")
    assert b"interrupted" in error


def test_interrupt_while_waiting_for_input(binary, tiny):
    process = subprocess.Popen(
        [binary, "run", tiny, "-p", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130


def test_ignored_interrupt_stays_ignored(binary, tiny):
    """A background job of a script has SIGINT ignored."""
    process = subprocess.Popen(
        [binary, "run", tiny, "-p", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(QUESTION.encode(), timeout=60)
    assert (process.returncode, out.decode()) == (0, ANSWER + "\n")


@pytest.fixture
def telling(tiny, tmp_path):
    """A model whose template refuses every chat, and says what it got."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"):
        (folder / name).symlink_to(os.path.join(tiny, name))
    (folder / "chat_template.jinja").write_text(
        "{{ raise_exception('got ' ~ x | tojson ~ ' ' ~ y ~ ' ' ~ messages | tojson ~ ' ' ~ tools | tojson) }}"
    )
    return folder


VARIABLES = ["--template-variable", 'x={"b": -1, "a": [99999999999999999999]}', "--template-variable", 'y="é = |"']
SEEN = '{"b": -1, "a": [99999999999999999999]} é = |'


def test_template_variables(dormouse, telling):
    result = dormouse("run", telling, "-p", "hi", *VARIABLES)
    assert result.status == 1
    assert f'chat template: got {SEEN} [{{"content": "hi", "role": "user"}}] null' in result.error


@pytest.mark.parametrize(
    "document, tools",
    [
        ('[{"role": "user", "content": "[{"}]', "null"),
        (' {"tools": [{"z": 1, "a": 2}], "messages": [{"role": "user", "content": "[{"}]}', '[{"z": 1, "a": 2}]'),
    ],
)
def test_template_variables_beside_messages(dormouse, telling, tmp_path, document, tools):
    (tmp_path / "chat.json").write_text(document)
    result = dormouse("run", telling, "--messages", tmp_path / "chat.json", *VARIABLES)
    assert f'got {SEEN} [{{"role": "user", "content": "[{{"}}] {tools}' in result.error
    assert dormouse("run", telling, "--messages", "-", *VARIABLES, input=document).error == result.error


def test_template_variables_of_a_file_of_its_own(dormouse, telling, tmp_path):
    (tmp_path / "chat.json").write_text('{"messages": [{"role": "user", "content": "a"}], "template_variables": {"x": 1}}')
    result = dormouse("run", telling, "--messages", tmp_path / "chat.json", *VARIABLES)
    assert result.status == 2 and "chat.json has template_variables of its own" in result.error
    assert "got 1" in dormouse("run", telling, "--messages", tmp_path / "chat.json").error


def test_messages_that_cannot_be_read_are_refused_as_before(dormouse, telling):
    for document in ("", " ", "{", "5", "{}", '{"messages": 5}'):
        for variables in ([], VARIABLES):
            result = dormouse("run", telling, "--messages", "-", *variables, input=document)
            assert result.status == 1 and "messages_json" in result.error


def test_info_says_why_chats_fail(dormouse, telling):
    (telling / "chat_template.jinja").write_text("{% nope %}")
    assert dormouse("run", telling, "--raw", "-p", "a", "--max-tokens", "1").status == 0
    text = dormouse("info", telling).out
    assert "no chat template: " in text and "line 1: unknown tag 'nope'" in text
    result = dormouse("run", telling, "-p", "a")
    assert result.status == 1 and f"{telling}/chat_template.jinja: line 1: unknown tag 'nope'" in result.error

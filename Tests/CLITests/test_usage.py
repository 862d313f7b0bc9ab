"""Exit codes and messages: what scripts depend on."""

from pathlib import Path

import pytest

COMMANDS = ["run", "info", "tokenize", "logits", "bench", "kernels"]


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], *[[name, "--help"] for name in COMMANDS]])
def test_help_is_a_result(dormouse, arguments):
    result = dormouse(*arguments)
    assert (result.status, result.error) == (0, "")
    assert result.out


def test_help_lists_all_commands(dormouse):
    text = dormouse("--help").out
    assert all(name in text for name in COMMANDS)


@pytest.mark.parametrize(
    "command, options",
    [
        ("run", ["--session", "--overflow", "--keep-tokens", "--time-limit", "--statistics", "--cache-memory"]),
        ("bench", ["--sessions", "--cache-memory", "--no-prefix-cache"]),
        ("info", ["--cache-memory", "--no-prefix-cache"]),
    ],
)
def test_help_lists_options(dormouse, command, options):
    text = dormouse(command, "--help").out
    assert [option for option in options if option not in text] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["sing"],
        ["run"],
        ["run", "MODEL", "--loud", "-p", "a"],
        ["run", "MODEL", "-p"],
        ["run", "MODEL"],  # no prompt, and nothing on stdin
        ["run", "MODEL", "a", "b"],
        ["run", "MODEL", "a", "-p", "a"],
        ["run", "MODEL", "a", "--messages", "file"],
        ["run", "MODEL", "-p", "a", "--messages", "file"],
        ["run", "MODEL", "--raw"],
        ["run", "MODEL", "--raw", "--messages", "file"],
        ["run", "MODEL", "-p", "a", "--temperature", "warm"],
        ["run", "MODEL", "-p", "a", "--temperature", "-1"],
        ["run", "MODEL", "-p", "a", "--top-p", "0"],
        ["run", "MODEL", "-p", "a", "--max-tokens", "0"],
        ["run", "MODEL", "-p", "a", "--stop", ""],
        ["run", "MODEL", "-p", "a", "--overflow", "wrap"],
        ["run", "MODEL", "-p", "a", "--keep-tokens", "4"],  # nothing slides
        ["run", "MODEL", "-p", "a", "--overflow", "stop", "--keep-tokens", "4"],
        ["run", "MODEL", "-p", "a", "--time-limit", "0"],
        ["run", "MODEL", "-p", "a", "--time-limit", "nan"],
        ["run", "MODEL", "-p", "a", "--time-limit", "soon"],
        ["run", "MODEL", "-p", "a", "--session", ""],
        ["run", "MODEL", "-p", "a", "--template-variable", "thinking"],
        ["run", "MODEL", "-p", "a", "--template-variable", "=true"],
        ["run", "MODEL", "-p", "a", "--template-variable", "a b=true"],
        ["run", "MODEL", "-p", "a", "--template-variable", "1a=true"],
        ["run", "MODEL", "-p", "a", "--template-variable", "a=high"],
        ["run", "MODEL", "-p", "a", "--template-variable", "a="],
        ["run", "MODEL", "-p", "a", "--template-variable", "a=1}"],
        ["run", "MODEL", "-p", "a", "--template-variable", "a=1", "--template-variable", "a=2"],
        ["run", "MODEL", "--raw", "-p", "a", "--template-variable", "a=1"],
        ["info", "MODEL", "--cache-memory", "some"],
        ["info", "MODEL", "--statistics"],
        ["info", "MODEL", "MODEL2"],
        ["info", "MODEL", "--threads", "0"],
        ["info", "MODEL", "--context", "-4"],
        ["info", "MODEL", "--weights", "int3"],
        ["info", "MODEL", "--cache", "f64"],
        ["info", "MODEL", "--memory", "lots"],
        ["info", "MODEL", "--memory", "99999999999G"],
        ["info", "MODEL", "--residency", "cloud"],
        ["logits", "MODEL"],
        ["logits", "MODEL", "--ids", "file"],
        ["bench", "MODEL", "--reps", "0"],
        ["bench", "MODEL", "--prompt", "0", "--gen", "0"],
        ["bench", "MODEL", "--sessions", "0"],
        ["bench", "MODEL", "--sessions", "1025"],
        ["bench", "MODEL", "--sessions", "2", "--gen", "0"],
        ["tokenize", "MODEL", "--decode", "--add-special"],
        ["kernels", "MODEL"],
    ],
)
def test_wrong_usage(dormouse, arguments):
    result = dormouse(*arguments)
    assert (result.status, result.out) == (2, "")
    assert "Usage: dormouse" in result.error


@pytest.mark.parametrize(
    "word, meant",
    [
        ("rum", "run"), ("chat", "run"), ("inof", "info"), ("INFO", "info"), ("tokenise", "tokenize"), ("benhc", "bench"),
        ("transcibe", "transcribe"), ("kernel", "kernels"), ("serve", "run"), ("show", "info"), ("sing", None), ("", None), ("加", None),
    ],
)
def test_unknown_command(dormouse, word, meant):
    result = dormouse(word, "MODEL")
    assert (result.status, result.out) == (2, "")
    sentence = result.error.splitlines()[0]
    assert sentence.startswith(f"Error: no such command '{word}'")
    assert sentence.endswith("The commands are run, transcribe, info, tokenize, logits, bench, kernels.")
    assert (f"did you mean 'dormouse {meant}'?" in sentence) == (meant is not None)
    assert ("did you mean" in sentence) == (meant is not None)


def test_a_model_in_the_place_of_a_command(dormouse, tiny):
    result = dormouse(tiny, "Hello")
    assert result.status == 2 and f"did you mean 'dormouse run {tiny}'?" in result.error


@pytest.mark.parametrize("word", ["help", "--help", "-h"])
def test_help_is_no_unknown_command(dormouse, word):
    assert dormouse(word).status == 0


def test_what_is_given_in_a_models_place(dormouse, tiny, tmp_path):
    """The sentences are the library's (Tests/DormouseEngineTests/ModelPathTests.swift)."""
    gguf = tmp_path / "model.gguf"
    gguf.write_bytes(b"GGUF\x03\0\0\0")
    pointer = tmp_path / "pointer"
    pointer.mkdir()
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json"]:
        (pointer / name).write_bytes((Path(tiny) / name).read_bytes())
    (pointer / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    repository = Path(__file__).resolve().parents[2]
    whisper = repository / "Tests" / "Fixtures" / "whisper" / "good-multilingual"
    for arguments, words in [
        (["run", "deepseek-ai/DeepSeek-V2-Lite", "a"], "hf download deepseek-ai/DeepSeek-V2-Lite"),
        (["info", gguf], "a GGUF file"),
        (["run", pointer, "a"], "git lfs pull"),
        (["run", whisper, "a"], "dormouse transcribe"),
        (["transcribe", tiny, repository / "examples" / "media" / "rabbit.wav"], "dormouse run"),
    ]:
        result = dormouse(*arguments)
        assert (result.status, result.out) == (1, ""), arguments
        assert words in result.error and result.error.count("\n") == 1, result.error


@pytest.mark.parametrize(
    "command",
    [["run", "-p", "a"], ["info"], ["tokenize"], ["bench"], ["logits", "--ids", "/dev/null", "--output", "x"]],
)
def test_missing_model(dormouse, command, tmp_path):
    ids = tmp_path / "ids.json"
    ids.write_text("[1]")
    arguments = [str(ids) if word == "/dev/null" else word for word in command]
    result = dormouse(arguments[0], "/nowhere/at-all", *arguments[1:], cwd=tmp_path)
    assert (result.status, result.out) == (1, "")
    assert result.error.startswith("dormouse: /nowhere/at-all: ")
    assert not (tmp_path / "x").exists()


def test_memory_limit(dormouse, tiny):
    result = dormouse("run", tiny, "-p", "a", "--memory", "1K")
    assert (result.status, result.out) == (1, "")
    assert "1024" in result.error
    assert dormouse("run", tiny, "-p", "What is 7 plus 5?", "--memory", "1G", "--context", "64").status == 0


def test_cache_limit(dormouse, tiny):
    result = dormouse("run", tiny, "-p", "a", "--cache-memory", "1K")
    assert (result.status, result.out) == (1, "")
    assert "cache_limit is 1024" in result.error
    assert dormouse("run", tiny, "-p", "What is 7 plus 5?", "--cache-memory", "1M", "--context", "64").status == 0


def test_no_progress_without_a_terminal(dormouse, tiny):
    result = dormouse("run", tiny, "-p", "What is 7 plus 5?")
    assert (result.status, result.error) == (0, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(dormouse, shell):
    result = dormouse("--generate-completion-script", shell)
    assert result.status == 0
    assert "max-tokens" in result.out

"""Exit codes and messages: what scripts depend on."""

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
        ["run", "MODEL"],  # no prompt, and stdin is no terminal
        ["run", "MODEL", "-p", "a", "--messages", "file"],
        ["run", "MODEL", "--raw"],
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

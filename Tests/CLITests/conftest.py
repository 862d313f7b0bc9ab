"""The command line under test: DORMOUSE_BIN, else the release build."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

# Where the tests run in the background, interrupts come ignored, and programs started from here would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

REPOSITORY = Path(__file__).resolve().parents[2]
MODELS = REPOSITORY / "Tests" / "Fixtures" / "models"


@pytest.fixture(scope="session")
def binary():
    path = Path(os.environ.get("DORMOUSE_BIN", REPOSITORY / ".build" / "release" / "dormouse"))
    assert path.is_file(), f"{path} is missing: build it first"
    return str(path)


def shipped(name):
    """The folder of a model that ships."""
    path = REPOSITORY / "examples" / "models" / name
    assert (path / "model.safetensors").is_file(), f"{path} is missing"
    return str(path)


@pytest.fixture(scope="session")
def tiny():
    """The model that ships: tokenizer, chat template, and answers that make sense."""
    return shipped("dormouse-tiny")


@pytest.fixture(scope="session")
def omni():
    """The model that ships with eyes and ears."""
    return shipped("dormouse-omni")


@pytest.fixture(scope="session")
def bare():
    """A model without a tokenizer."""
    return str(MODELS / "good-tiny")


class Result:
    def __init__(self, done):
        self.status = done.returncode
        self.out = done.stdout.decode("utf-8")
        self.error = done.stderr.decode("utf-8")

    @property
    def lines(self):
        """stdout as JSON Lines."""
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture(scope="session")
def dormouse(binary):
    def run(*arguments, input="", environment=None, cwd=None):
        data = input if isinstance(input, bytes) else input.encode("utf-8")
        done = subprocess.run(
            [binary, *map(str, arguments)], input=data, capture_output=True, timeout=120,
            env={**os.environ, **(environment or {})}, cwd=cwd,
        )
        return Result(done)

    return run

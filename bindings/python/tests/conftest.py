"""Models for the tests. The package under test is the installed one."""

from pathlib import Path

import pytest
import signal

from dormouse import Engine

# Where the tests run in the background, interrupts come ignored, and programs started from here would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

REPOSITORY = Path(__file__).resolve().parents[3]
MODELS = REPOSITORY / "Tests" / "Fixtures" / "models"
TINY = REPOSITORY / "examples" / "models" / "dormouse-tiny"


@pytest.fixture(scope="session")
def tiny_path():
    assert (TINY / "model.safetensors").is_file(), f"{TINY}: the model that ships is missing"
    return TINY


@pytest.fixture(scope="session")
def tiny(tiny_path):
    """The model that ships."""
    with Engine(tiny_path) as engine:
        yield engine


@pytest.fixture(scope="session")
def bare():
    """A model without a tokenizer."""
    with Engine(MODELS / "good-v3-group8") as engine:
        yield engine

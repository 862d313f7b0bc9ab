"""Models for the tests. The package under test is the installed one."""

from pathlib import Path

import pytest

from dormouse import Engine

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

"""docs/python.md and the types of options against the package and the header."""

import re
import typing

import dormouse
import pytest
from conftest import REPOSITORY

REFERENCE = (REPOSITORY / "docs" / "python.md").read_text(encoding="utf-8")
HEADER = (REPOSITORY / "include" / "dormouse.h").read_text(encoding="utf-8")


def members(before, after):
    """The quoted names in the header's comment between two texts."""
    comment = HEADER[HEADER.index(before) : HEADER.index(after)]
    names = re.findall(r'^ {5,}(?:\* *)?(".*?)  |; ("\w+")|, ("\w+"(?=[ ,]))|^ *("\w+") above', comment, re.MULTILINE)
    return set(re.findall(r'"(\w+)"', " ".join(part for parts in names for part in parts)))


@pytest.mark.parametrize(
    ("options", "before", "after"),
    [
        (dormouse.ChatOptions, "config_json is NULL or an object; what is missing", "dormouse_session_generate("),
        (dormouse.TranscriptionOptions, 'is NULL or an object:\n     "language"', "dormouse_transcriber_run("),
        (dormouse.MediaOptions, "NULL, or an object about the media files", "} dormouse_engine_options;"),
    ],
)
def test_options_are_those_of_the_header(options, before, after):
    found, known = members(before, after), set(typing.get_type_hints(options))
    assert len(found) >= 8 and found <= known, found - known


def test_options_of_embeddings_are_those_of_the_header():
    found = members('is NULL or an object:\n     "pooling"', "dormouse_session_embed(")
    assert found == set(typing.get_type_hints(dormouse.EmbeddingOptions))


@pytest.mark.parametrize(
    "options",
    [
        dormouse.ChatOptions, dormouse.EmbeddingOptions, dormouse.GenerationOptions, dormouse.SessionOptions,
        dormouse.TranscriptionOptions,
    ],
)
def test_options_are_in_the_reference(options):
    for name in typing.get_type_hints(options):
        assert f"`{name}`" in REFERENCE, name


def test_names_are_in_the_reference():
    hidden = {"ChatOptions", "InstructionSets", "MachineLimits", "Media", "MediaOptions", "Message", "Messages"}
    hidden |= {"Segment", "SessionOptions"}
    missing = [name for name in set(dormouse.__all__) - hidden if not re.search(rf"\b{name}\b", REFERENCE)]
    assert missing == []


def test_methods_are_in_the_reference():
    for kind in (dormouse.Engine, dormouse.Session, dormouse.Stream, dormouse.AsyncStream, dormouse.Transcriber):
        for name in vars(kind):
            if not name.startswith("_") and name != "engine":
                assert re.search(rf"\b{name}\b", REFERENCE), f"{kind.__name__}.{name}"
    for field in dormouse.Event.__dataclass_fields__:
        assert f"`{field}`" in REFERENCE, field

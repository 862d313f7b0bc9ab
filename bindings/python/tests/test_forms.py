"""Classes as the form of an answer, with pydantic and without."""

import asyncio
import enum
import json
from dataclasses import dataclass, field
from typing import Any, Dict, List, Literal, Optional, Tuple, Union

import jsonschema
import pydantic
import pytest

import dormouse
from dormouse import _forms

MESSAGES = [{"role": "user", "content": "What is 7 plus 5?"}]


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Person(pydantic.BaseModel):
    name: str = pydantic.Field(max_length=6)
    age: int = pydantic.Field(ge=0, le=120)
    colour: Colour = Colour.RED


@dataclass
class Point:
    x: Literal[1, 20]
    y: Optional[Literal["a", "b"]]


@dataclass
class Shape:
    """Without numbers and texts of any length, which the tiny model seldom ends."""

    kind: Colour
    points: Tuple[Point, Point]
    size: Tuple[bool, bool]
    more: Union[bool, None, Tuple[()]] = None


@dataclass
class All:
    kind: Colour
    points: List[Point]
    size: Tuple[bool, bool]
    number: int
    share: float
    more: Union[bool, None, Dict[str, bool]] = None
    made: int = field(init=False, default=7)


@dataclass
class Tree:
    leaf: bool
    left: "Optional[Tree]"


@pytest.fixture(params=["pydantic", "none"])
def installed(request, monkeypatch):
    """Whether pydantic is there."""
    if request.param == "none":
        monkeypatch.setattr(_forms, "_pydantic", lambda: None)
    return request.param == "pydantic"


def answer(tiny, seed=1, **options):
    with tiny.session() as session:
        return session.chat(MESSAGES, stream=False, temperature=1.5, seed=seed, max_tokens=400, **options)


@pytest.mark.parametrize("option", ["constraint", "response_format"])
@pytest.mark.parametrize("seed", range(4))
def test_a_model_of_pydantics(tiny, option, seed):
    found = answer(tiny, seed, **{option: Person})
    assert isinstance(found.parsed, Person) and found.parsed is found.parsed
    assert list(json.loads(found.text)) == ["name", "age", "colour"]


def test_adapters_and_aliases(tiny):
    assert answer(tiny, constraint=pydantic.TypeAdapter(Literal["yes", "no"])).parsed in ("yes", "no")

    class Aliased(pydantic.BaseModel):
        first: bool = pydantic.Field(alias="the first")

    found = answer(tiny, constraint=Aliased)
    assert list(json.loads(found.text)) == ["the first"] and found.parsed.first in (True, False)


def test_what_a_class_refuses_is_its_own_error(tiny):
    class Never(pydantic.BaseModel):
        a: bool

        @pydantic.field_validator("a")
        def refuse(cls, value):
            raise ValueError("never")

    with pytest.raises(pydantic.ValidationError, match="never"):
        answer(tiny, constraint=Never).parsed


@pytest.mark.parametrize("seed", range(6))
def test_dataclasses(tiny, installed, seed):
    shape = answer(tiny, seed, constraint=Shape).parsed
    assert isinstance(shape, Shape) and isinstance(shape.kind, Colour) and isinstance(shape.size, tuple)
    assert all(isinstance(point, Point) for point in shape.points)
    tree = answer(tiny, seed, constraint=Tree).parsed
    assert isinstance(tree, Tree) and isinstance(tree.left, (Tree, type(None)))


@pytest.mark.parametrize(
    ("form", "kind"), [(bool, bool), (Colour, Colour), (Tuple[bool, ...], tuple), (Literal[1, 2], int), (Point, Point)]
)
def test_other_classes(tiny, installed, form, kind):
    assert isinstance(answer(tiny, response_format=form).parsed, kind)


def test_schemas_without_pydantic(monkeypatch):
    monkeypatch.setattr(_forms, "_pydantic", lambda: None)
    options, parser = _forms.taken({"constraint": All})
    schema = options["constraint"]["json_schema"]
    numbers = {"number": 3, "share": 2}
    whole = {"kind": "red", "points": [{"x": 1, "y": None}], "size": [True, False], **numbers, "more": {"a": True}}
    wrong = [
        {**whole, "kind": "green"}, {**whole, "points": [{"x": 1}]}, {**whole, "size": [True]}, {**whole, "b": 1},
        {**whole, "points": [{"x": 2, "y": None}]}, {**whole, "points": [{"x": True, "y": None}]},
        {**whole, "number": 1.5}, {**whole, "number": True}, {**whole, "share": "1"}, {**whole, "number": None},
        {**whole, "more": {"a": 1}}, {key: whole[key] for key in whole if key != "more"}, [], None,
    ]
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid(whole)
    assert parser(json.dumps(whole)) == All(Colour.RED, [Point(1, None)], (True, False), 3, 2.0, {"a": True})
    for value in wrong:
        assert not validator.is_valid(value), value
        with pytest.raises(ValueError, match="the answer"):
            parser(json.dumps(value))


@dataclass
class Wrong:
    when: complex


@pytest.mark.parametrize("form", [Wrong, Dict[int, str], complex, Literal[b"a"], print, object()])
def test_what_has_no_schema_is_named(tiny, monkeypatch, form):
    monkeypatch.setattr(_forms, "_pydantic", lambda: None)
    with pytest.raises(TypeError, match="Wrong.when is annotated with complex" if form is Wrong else "schema|no text"):
        answer(tiny, constraint=form)


def test_schemas_give_json(tiny):
    schema: Dict[str, Any] = {"enum": [[1, 2], {"a": None}]}
    named = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    for options in [{"constraint": {"json_schema": schema}}, {"response_format": named}]:
        assert answer(tiny, **options).parsed in schema["enum"]
    assert answer(tiny, constraint={"choice": ["1"]}).parsed is None
    assert answer(tiny).parsed is None


def test_an_answer_that_was_cut(tiny):
    with tiny.session() as session:
        stream = session.chat(MESSAGES, constraint=Person, max_tokens=2)
        cut = stream.answer()
    with pytest.raises(dormouse.IncompleteAnswerError, match="it ended for 'length'") as caught:
        cut.parsed
    assert caught.value.text == cut.text and caught.value.finish_reason == "length"
    with pytest.raises(dormouse.IncompleteAnswerError, match="'stop'"):
        answer(tiny, constraint=Person, stop=["age"]).parsed
    with pytest.raises(dormouse.IncompleteAnswerError, match="not at its end"):
        dormouse.Answer(_parser=json.loads).parsed


def test_streams_and_asyncio(tiny, installed):
    with tiny.session() as session:
        assert isinstance(session.chat(MESSAGES, constraint=Point, temperature=1).answer().parsed, Point)
        assert isinstance(session.generate("a", constraint=Point, temperature=1, stream=False).parsed, Point)

        async def ask():
            return (await session.achat(MESSAGES, response_format=Point).answer()).parsed

        assert isinstance(asyncio.run(ask()), Point)

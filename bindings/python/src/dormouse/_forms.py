"""Classes as the form of an answer: their JSON schema, and the answer as an instance of them.

pydantic does both where it is installed. Without it, `_Annotation` knows the annotations that dataclasses usually have.
"""

from __future__ import annotations

import dataclasses
import enum
import importlib
import json
import types
import typing
from typing import Any, Callable, Dict, List, Literal, Mapping, Optional, Tuple, Union

Parser = Callable[[str], Any]
"""Makes of an answer's text what `Answer.parsed` gives."""


def taken(options: Mapping[str, Any]) -> Tuple[Dict[str, Any], Optional[Parser]]:
    """The options with a schema in the place of a class, and what reads the answer, if anything does."""
    result = dict(options)
    form = result.get("constraint")
    if _is_class(form):
        schema, parser = _form_of(form)
        result["constraint"] = {"json_schema": schema}
        return result, parser
    if isinstance(form, Mapping) and "json_schema" in form:
        return result, json.loads
    form = result.get("response_format")
    if _is_class(form):
        schema, parser = _form_of(form)
        named = {"name": _name(form), "schema": schema, "strict": True}
        result["response_format"] = {"type": "json_schema", "json_schema": named}
        return result, parser
    if isinstance(form, Mapping) and form.get("type") in ("json_object", "json_schema"):
        return result, json.loads
    return result, None


def _name(form: Any) -> str:
    name = getattr(form, "__name__", None)
    return name if isinstance(name, str) else "answer"


def _is_class(form: Any) -> bool:
    """Whether it stands for values of Python; what else is no mapping is the library's to refuse."""
    return form is not None and not isinstance(form, (Mapping, str, bytes, int, float, list, tuple))


def _form_of(form: Any) -> Tuple[Dict[str, Any], Parser]:
    if hasattr(form, "validate_json"):
        return _closed(form.json_schema()), form.validate_json
    pydantic = _pydantic()
    if pydantic is not None:
        return _form_of(pydantic.TypeAdapter(form))
    annotation = _Annotation()
    return annotation.document(form), lambda text: annotation.value(json.loads(text), form, "the answer")


def _pydantic() -> Any:
    """Version 2 of pydantic, where it is installed."""
    try:
        module = importlib.import_module("pydantic")
    except ImportError:
        return None
    return module if hasattr(module, "TypeAdapter") else None


_OF_SCHEMAS = ("$defs", "properties", "patternProperties")
_LISTS_OF_SCHEMAS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SCHEMAS = ("items", "additionalProperties", "not", "contains", "propertyNames")


def _closed(schema: Any) -> Any:
    """A schema of pydantic's as OpenAI's client sends it: an object has all members of its class, and no others."""
    if not isinstance(schema, dict):
        return schema
    result: Dict[str, Any] = {}
    for key, value in schema.items():
        if key in _OF_SCHEMAS and isinstance(value, dict):
            result[key] = {name: _closed(member) for name, member in value.items()}
        elif key in _LISTS_OF_SCHEMAS and isinstance(value, list):
            result[key] = [_closed(member) for member in value]
        else:
            result[key] = _closed(value) if key in _SCHEMAS else value
    if "properties" in result:
        result.setdefault("additionalProperties", False)
        result["required"] = list(result["properties"])
    return result


class _Annotation:
    """JSON schemas of annotations, and values of JSON as what they name.

    `str`, `int`, `float`, `bool`, `None`, `Any`, lists, tuples, dicts with texts as keys, `Literal`, unions, enums of
    texts and numbers, and dataclasses, also such as hold themselves.
    """

    def __init__(self) -> None:
        self._definitions: Dict[str, Any] = {}
        self._names: Dict[Any, str] = {}

    def document(self, form: Any) -> Dict[str, Any]:
        schema = self._schema(form, _name(form))
        return {**schema, "$defs": self._definitions} if self._definitions else schema

    def _schema(self, form: Any, place: str) -> Dict[str, Any]:
        origin, arguments = typing.get_origin(form), typing.get_args(form)
        if form is Any:
            return {}
        if _is_scalar(form):
            return {"type": _SCALARS[form]}
        if origin is Literal:
            return {"enum": [_plain(value, place) for value in arguments]}
        if origin in _UNIONS:
            return {"anyOf": [self._schema(argument, place) for argument in arguments]}
        if origin is list or form is list:
            return {"type": "array", "items": self._schema(arguments[0], place) if arguments else {}}
        if origin is tuple:
            return self._tuple(arguments, place)
        if form is dict or origin is dict and arguments[0] is str:
            return {"type": "object", "additionalProperties": self._schema(arguments[1], place) if arguments else {}}
        if origin is None and isinstance(form, type) and issubclass(form, enum.Enum):
            return {"enum": [_plain(member.value, place) for member in form]}
        if origin is None and isinstance(form, type) and dataclasses.is_dataclass(form):
            return {"$ref": "#/$defs/" + self._definition(form)}
        raise _unknown(form, place)

    def _tuple(self, arguments: Tuple[Any, ...], place: str) -> Dict[str, Any]:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return {"type": "array", "items": self._schema(arguments[0], place)}
        items = [self._schema(argument, place) for argument in arguments if argument != ()]
        size = {"minItems": len(items), "maxItems": len(items)}
        return {"type": "array", **({"prefixItems": items} if items else {}), **size}

    def _definition(self, form: type) -> str:
        if form in self._names:
            return self._names[form]
        name = form.__name__ if form.__name__ not in self._definitions else f"{form.__name__}{len(self._definitions)}"
        self._names[form] = name
        self._definitions[name] = {}
        properties = {key: self._schema(hint, f"{form.__name__}.{key}") for key, hint in _members(form).items()}
        self._definitions[name] = {
            "type": "object", "properties": properties, "required": list(properties), "additionalProperties": False,
        }
        return name

    def value(self, value: Any, form: Any, place: str) -> Any:
        """A value of JSON as what the annotation says; ValueError where it is none."""
        origin, arguments = typing.get_origin(form), typing.get_args(form)
        if form is Any:
            return value
        if _is_scalar(form):
            return _scalar(value, form, place)
        if origin is Literal:
            return _one_of(arguments, value, place)
        if origin in _UNIONS:
            return self._first(value, arguments, place)
        if origin is list or form is list:
            items = _of_type(value, list, place)
            return [self.value(item, arguments[0], place) for item in items] if arguments else items
        if origin is tuple:
            return self._tuple_value(_of_type(value, list, place), arguments, place)
        if form is dict or origin is dict:
            members = _of_type(value, dict, place)
            return {key: self.value(item, arguments[1], place) for key, item in members.items()} if arguments else members
        if issubclass(form, enum.Enum):
            return form(_one_of([member.value for member in form], value, place))
        return self._instance(_of_type(value, dict, place), form, place)

    def _first(self, value: Any, forms: Tuple[Any, ...], place: str) -> Any:
        for form in forms:
            try:
                return self.value(value, form, place)
            except ValueError:
                continue
        raise _wrong(value, " or ".join(map(_shown, forms)), place)

    def _tuple_value(self, items: List[Any], arguments: Tuple[Any, ...], place: str) -> Any:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(self.value(item, arguments[0], place) for item in items)
        forms = [argument for argument in arguments if argument != ()]
        if len(items) != len(forms):
            raise _wrong(items, f"{len(forms)} items", place)
        return tuple(self.value(item, form, place) for item, form in zip(items, forms))

    def _instance(self, members: Dict[str, Any], form: Any, place: str) -> Any:
        hints = _members(form)
        if set(members) != set(hints):
            raise _wrong(members, f"the members {', '.join(hints)}", place)
        return form(**{key: self.value(members[key], hint, f"{place}.{key}") for key, hint in hints.items()})


_SCALARS: Dict[Any, str] = {
    str: "string", int: "integer", float: "number", bool: "boolean", None: "null", type(None): "null",
}
_UNIONS: Tuple[Any, ...] = (Union, getattr(types, "UnionType", Union))


def _is_scalar(form: Any) -> bool:
    return form is None or isinstance(form, type) and form in _SCALARS


def _members(form: Any) -> Dict[str, Any]:
    """What a dataclass is made of, by name."""
    hints = typing.get_type_hints(form)
    return {field.name: hints[field.name] for field in dataclasses.fields(form) if field.init}


def _plain(value: Any, place: str) -> Any:
    if value is None or isinstance(value, (str, int, float)) and not isinstance(value, enum.Enum):
        return value
    raise TypeError(f"{place}: {value!r} is no text, number, boolean or None")


def _scalar(value: Any, form: Any, place: str) -> Any:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if form in (None, type(None)):
        if value is None:
            return None
    elif form is float and is_number:
        return float(value)
    elif form is int and is_number and float(value).is_integer():
        return int(value)
    elif form in (str, bool) and isinstance(value, form):
        return value
    raise _wrong(value, _shown(form), place)


def _one_of(values: Any, value: Any, place: str) -> Any:
    """The one that is equal, of the same type: 1 is not True."""
    for known in values:
        if known == value and isinstance(known, bool) == isinstance(value, bool):
            return known
    raise _wrong(value, "one of " + ", ".join(map(repr, values)), place)


def _of_type(value: Any, kind: type, place: str) -> Any:
    if not isinstance(value, kind):
        raise _wrong(value, _shown(kind), place)
    return value


def _shown(form: Any) -> str:
    name = getattr(form, "__name__", None)
    return name if isinstance(name, str) else str(form)


def _wrong(value: Any, expected: str, place: str) -> ValueError:
    return ValueError(f"{place} is {value!r}; expected {expected}")


def _unknown(form: Any, place: str) -> TypeError:
    return TypeError(
        f"{place} is annotated with {_shown(form)}, which has no JSON schema here: str, int, float, bool, None, Any, list, "
        "tuple, dict with texts as keys, Literal, unions, Enum and dataclasses have one, and with pydantic more do"
    )

"""Values as the library takes them (JSON documents, paths, whole numbers), and texts as they are shown."""

from __future__ import annotations

import json
import operator
import os
from typing import Any, Mapping, Union

Path = Union[str, "os.PathLike[str]"]


def document(value: Any) -> bytes:
    """A value as JSON. Numbers and arrays of numpy's count as Python's own, paths as texts."""
    return json.dumps(_plain(value), ensure_ascii=False).encode("utf-8", "surrogatepass")


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return {_key(key): _plain(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(element) for element in value]
    if isinstance(value, (bytes, bytearray, memoryview)):
        raise TypeError(f"{type(value).__name__} in a document: a file's bytes go into an Image, a Video or an Audio")
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    # Scalars and arrays of numpy and of what resembles it.
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if hasattr(value, "__index__"):
        return operator.index(value)
    if hasattr(value, "__iter__"):
        return [_plain(element) for element in value]
    raise TypeError(f"{type(value).__name__} has no place in a document: {value!r}")


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, bool) or not hasattr(key, "__index__"):
        raise TypeError(f"a document's names are texts or whole numbers, not {key!r}")
    return str(operator.index(key))


def path_text(path: Path) -> str:
    """A path with ~ and ~user at its beginning replaced, as a shell has it.

    A NUL would end the path where the library reads it, which then names another file.
    """
    expanded = os.path.expanduser(os.fsdecode(path))
    if "\0" in expanded:
        raise ValueError(f"the path {expanded!r} has a NUL character in it")
    return expanded


def path_bytes(path: Path) -> bytes:
    """The same as the library takes it."""
    return os.fsencode(path_text(path))


def unsigned(name: str, value: int, bits: int) -> int:
    """A whole number of Python's or numpy's that fits into so many bits."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is {value!r}, not a whole number") from None
    if not 0 <= number < 1 << bits:
        raise ValueError(f"{name} is {value}, not 0 to 2^{bits} - 1")
    return number


def shortened(text: str) -> str:
    """A text as a representation shows it."""
    return text if len(text) <= 60 else text[:57] + "..."

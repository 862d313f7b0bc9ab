"""Which tokens may come next in a text that is to have some form."""

from __future__ import annotations

import ctypes
from typing import Any, List, Sequence, Union

from . import _abi, _arrays
from ._library import Handle, call, filled
from ._values import document
from .engine import Engine
from .parts import Part


class Constraint(Part):
    """A text in the making that is to become one of a language.

    vocabulary: an engine, which may be opened without weights, or the bytes of each token (empty for one that is no
    text), with the tokens that may follow a complete text as end_tokens. config: one of json_schema, regex, choice and
    grammar, and form, as dormouse_constraint_create has them.
    """

    def __init__(
        self, vocabulary: Union[Engine, Sequence[bytes]], *, end_tokens: Sequence[int] = (), **config: Any
    ) -> None:
        self._handle = Handle("constraint", None)
        pointer = ctypes.c_void_p()
        if isinstance(vocabulary, Engine):
            if len(end_tokens) > 0:
                raise ValueError("end_tokens are the engine's own")
            with vocabulary._handle as engine:
                call("constraint_create", ctypes.byref(pointer), engine, document(config))
        else:
            offsets = (ctypes.c_size_t * (len(vocabulary) + 1))()
            for index, token in enumerate(vocabulary):
                offsets[index + 1] = offsets[index] + len(token)
            ends = _arrays.tokens(end_tokens)
            call(
                "constraint_create_for_vocabulary", ctypes.byref(pointer), b"".join(vocabulary), offsets,
                len(vocabulary), ends, len(ends), document(config),
            )
        self._handle = Handle("constraint", pointer.value)

    def __enter__(self) -> "Constraint":
        return self

    def mask(self) -> Any:
        """Bit i % 32 of word i / 32 tells whether token i may come next: uint32 [(tokens + 31) / 32]."""
        with self._handle as pointer:
            words = filled(ctypes.c_uint32, "constraint_allowed", pointer)
        return _arrays.shaped(words, [len(words)])

    def allowed(self) -> List[int]:
        """The tokens that may come next, in the order of their ids."""
        return [
            32 * index + bit for index, word in enumerate(self.mask()) if word for bit in range(32) if int(word) >> bit & 1
        ]

    def accept(self, tokens: Sequence[int]) -> None:
        """Goes on by these tokens; InvalidArgumentError for one that is not allowed, and none is accepted then."""
        ids = _arrays.tokens(tokens)
        with self._handle as pointer:
            call("constraint_accept", pointer, ids, len(ids))

    def rewind(self, count: int) -> None:
        """Takes the last tokens back."""
        with self._handle as pointer:
            call("constraint_rewind", pointer, count)

    def forced(self, limit: int = 256) -> List[int]:
        """The tokens that must come next, since each is the only one allowed after those before it."""
        tokens, count = (ctypes.c_int32 * limit)(), ctypes.c_size_t()
        with self._handle as pointer:
            call("constraint_forced", tokens, limit, ctypes.byref(count), pointer)
        return list(tokens[: count.value])

    @property
    def is_complete(self) -> bool:
        """Whether the text so far is one of the language."""
        complete = ctypes.c_int32()
        with self._handle as pointer:
            call("constraint_is_complete", ctypes.byref(complete), pointer)
        return complete.value != 0

    def clone(self) -> "Constraint":
        """A second one that stands where this one does, and goes its own way."""
        copy = Constraint.__new__(Constraint)
        copy._handle = Handle("constraint", None)
        made = ctypes.c_void_p()
        with self._handle as pointer:
            call("constraint_clone", ctypes.byref(made), pointer)
        copy._handle = Handle("constraint", made.value)
        return copy

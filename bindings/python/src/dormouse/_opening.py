"""What opening an engine and opening a transcriber have in common."""

from __future__ import annotations

import ctypes
from typing import Callable, Mapping, Optional

from . import _abi
from ._library import Handle, call, interruptible

RESIDENCY = {
    None: _abi.RESIDENCY_DEFAULT, "memory": _abi.RESIDENCY_MEMORY, "mapped": _abi.RESIDENCY_MAPPED,
}


class Loading:
    """The opening of a model, which a callback's exception or Ctrl-C can end."""

    def __init__(self, progress: Optional[Callable[[int, int], object]]) -> None:
        self._progress = progress
        self._is_stopped = False
        self._failure: Optional[BaseException] = None
        self.function = _abi.progress_fn(self._report)

    def _report(self, _: Optional[int], done: int, total: int) -> int:
        if self._progress is not None and self._failure is None:
            try:
                self._progress(done, total)
            except BaseException as failure:
                self._failure = failure
        return 1 if self._is_stopped or self._failure is not None else 0

    def _stop(self) -> None:
        self._is_stopped = True

    def open(self, kind: str, path: bytes, options: _abi.engine_options) -> Optional[int]:
        """Opens a handle of a kind."""
        pointer = ctypes.c_void_p()
        try:
            interruptible(
                lambda: call(f"{kind}_open", ctypes.byref(pointer), path, ctypes.byref(options)), self._stop
            )
        except BaseException:
            if pointer.value is not None:
                Handle(kind, pointer.value).close()
            if self._failure is not None:
                raise self._failure from None
            raise
        return pointer.value


def choice(name: str, value: Optional[str], choices: Mapping[Optional[str], int]) -> int:
    if value not in choices:
        known = ", ".join(repr(choice) for choice in choices if choice is not None)
        raise ValueError(f"{name} is {value!r}, not one of {known}")
    return choices[value]

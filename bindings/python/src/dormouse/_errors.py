"""One exception for each status of the library."""

from __future__ import annotations

from typing import Dict, Optional, Type

from . import _abi


class DormouseError(Exception):
    """A call into the library failed. `status` is its number, `message` the sentence."""

    status: int
    message: str

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class InvalidArgumentError(DormouseError, ValueError):
    """A value out of range, a wrong shape, or JSON that is not what the call takes."""


class NotFoundError(DormouseError):
    """A file, a folder or a part of the model (tokenizer, template) is missing."""


class InputOutputError(DormouseError):
    """The system refused to open, read or map a file."""


class MalformedError(DormouseError):
    """A file's contents contradict its format or one another."""


class UnsupportedError(DormouseError):
    """Well-formed, but this library has no such architecture, type or feature."""


class CancelledError(DormouseError):
    """The work was cancelled."""


class OutOfMemoryError(DormouseError, MemoryError):
    """An allocation failed, or the memory limit would be passed."""


class ContextFullError(DormouseError):
    """More tokens than the session's context length."""


class NumericalError(DormouseError, ArithmeticError):
    """The model produced a value that is not finite."""


class BusyError(DormouseError):
    """The session is at work on another thread."""


class OverloadedError(DormouseError):
    """As many sessions wait as may; try again later."""


class TimedOutError(DormouseError, TimeoutError):
    """The time limit passed before the first token."""


class InternalError(DormouseError):
    """A fault of the library."""


class IncompleteAnswerError(ValueError):
    """`Answer.parsed` of an answer that ended before its text was whole, for `finish_reason`; `text` is as far as it came.

    None where it is not at its end yet.
    """

    def __init__(self, finish_reason: Optional[str], text: str) -> None:
        reason = f"it ended for {finish_reason!r}" if finish_reason else "it is not at its end"
        super().__init__(f"the answer is not whole: {reason} after {len(text)} characters")
        self.finish_reason = finish_reason
        self.text = text


class LibraryNotFoundError(ImportError):
    """There is no libdormouse to load, or it is of another version."""


_CLASSES: Dict[int, Type[DormouseError]] = {
    _abi.ERROR_INVALID_ARGUMENT: InvalidArgumentError,
    _abi.ERROR_NOT_FOUND: NotFoundError,
    _abi.ERROR_INPUT_OUTPUT: InputOutputError,
    _abi.ERROR_MALFORMED: MalformedError,
    _abi.ERROR_UNSUPPORTED: UnsupportedError,
    _abi.ERROR_CANCELLED: CancelledError,
    _abi.ERROR_OUT_OF_MEMORY: OutOfMemoryError,
    _abi.ERROR_CONTEXT_FULL: ContextFullError,
    _abi.ERROR_NUMERICAL: NumericalError,
    _abi.ERROR_BUSY: BusyError,
    _abi.ERROR_OVERLOADED: OverloadedError,
    _abi.ERROR_TIMED_OUT: TimedOutError,
    _abi.ERROR_INTERNAL: InternalError,
}


def error_for(status: int, message: str) -> DormouseError:
    """The exception for a status; DormouseError itself for one that this package does not know."""
    return _CLASSES.get(status, DormouseError)(status, message)

"""Finds and loads the shared library, and calls it with Python's errors."""

from __future__ import annotations

import ctypes
import functools
import os
import threading
import weakref
from pathlib import Path
from typing import Any, Callable, List, Optional, TypeVar

from . import _abi
from ._errors import LibraryNotFoundError, error_for

SONAME = "libdormouse.so.0"
_PACKAGE = Path(__file__).resolve().parent
_Result = TypeVar("_Result")


def _candidates() -> List[str]:
    named = os.environ.get("DORMOUSE_LIBRARY")
    if named:
        return [named]
    found = []
    packed = _PACKAGE / SONAME
    if packed.is_file():
        found.append(str(packed))
    found.append(SONAME)
    # From a checkout (bindings/python/src/dormouse): what `make build` made.
    for folder in _PACKAGE.parents[3:4]:
        built = folder / ".build" / "release" / "libDormouse.so"
        if built.is_file():
            found.append(str(built))
    return found


@functools.lru_cache(maxsize=None)
def library() -> ctypes.CDLL:
    """The loaded library: DORMOUSE_LIBRARY, else the packed copy, else the system's, else the repository's build."""
    reasons = []
    for candidate in _candidates():
        try:
            loaded = ctypes.CDLL(candidate)
            _abi.declare(loaded)
            return loaded
        except (OSError, AttributeError) as error:
            reasons.append(str(error))
    raise LibraryNotFoundError(
        "libdormouse could not be loaded (build it with `make build`, install it with `make install`, or name it in "
        "DORMOUSE_LIBRARY): " + "; ".join(reasons)
    )


def call(name: str, *arguments: Any) -> int:
    """Calls dormouse_<name> with `arguments` and an error of our own; a negative status is raised."""
    error = _abi.error(struct_size=ctypes.sizeof(_abi.error))
    status: int = getattr(library(), "dormouse_" + name)(*arguments, ctypes.byref(error))
    if status < 0:
        message = error.message.decode("utf-8", "replace")
        raise error_for(status, message or status_name(status))
    return status


def status_name(status: int) -> str:
    """The name of a status, such as "MALFORMED"."""
    name: bytes = library().dormouse_status_name(status)
    return name.decode("ascii")


def version() -> str:
    """The version of the library that runs."""
    number: int = library().dormouse_version_number()
    return f"{number // 1000000}.{number // 1000 % 1000}.{number % 1000}"


def filled(element: Any, name: str, *arguments: Any) -> Any:
    """What a function delivers into a caller's buffer, as a ctypes array: asks for the size, then for the contents."""
    count = ctypes.c_size_t()
    error = _abi.error(struct_size=ctypes.sizeof(_abi.error))
    function = getattr(library(), "dormouse_" + name)
    buffer = (element * 0)()
    # What an engine at work tells of itself may be longer at the second call, or shorter.
    while True:
        room = len(buffer)
        status = function(buffer if room else None, room, ctypes.byref(count), *arguments, ctypes.byref(error))
        if status == _abi.OK:
            return buffer if count.value == room else (element * count.value).from_buffer(buffer)
        if status != _abi.ERROR_BUFFER_TOO_SMALL:
            raise error_for(status, error.message.decode("utf-8", "replace"))
        buffer = (element * count.value)()


def text(name: str, *arguments: Any) -> bytes:
    """The bytes that a function delivers."""
    return bytes(filled(ctypes.c_char, name, *arguments))


class Worker:
    """A thread for one piece of work, which Ctrl-C in the waiting thread does not lose.

    Thread.join forgets a running thread when an exception hits it (python/cpython#89437), hence an event of our own.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._is_wanted = True
        self._is_done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dormouse", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wait(self) -> None:
        self._is_done.wait()

    def stop(self, cancel: Callable[[], None]) -> None:
        """Cancels the work, and waits until it is over."""
        self._is_wanted = False
        # Interrupted while it was starting, the thread may be off or not; a late one finds that nothing is wanted.
        if self._thread.ident is None:
            self._is_done.wait(1)
            return
        while not self._is_done.is_set():
            # A cancel that came before the call began, or between two steps, found nothing to stop: say it again.
            cancel()
            self._is_done.wait(0.05)

    def _run(self) -> None:
        try:
            if self._is_wanted:
                self._work()
        finally:
            self._is_done.set()


def interruptible(work: Callable[[], _Result], cancel: Callable[[], None]) -> _Result:
    """Runs a blocking call so that Ctrl-C is heard: signals reach the main thread only while it runs Python."""
    if threading.current_thread() is not threading.main_thread():
        return work()
    results: List[_Result] = []
    failures: List[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as failure:  # handed to the caller below
            failures.append(failure)

    worker = Worker(run)
    try:
        worker.start()
        worker.wait()
    except BaseException:
        worker.stop(cancel)
        raise
    if failures:
        raise failures[0]
    return results[0]


class Handle:
    """An opaque handle of the library that is freed once: by `close`, a with statement of its owner, or the garbage
    collector, and never while a call of any thread is inside the library with it.

        with handle as pointer:
            call("session_prefill", pointer, ...)

    `keep` is a callback that the library may call as long as the handle lives, and while it is freed.
    """

    def __init__(self, kind: str, pointer: Optional[int], keep: Any = None) -> None:
        self.keep = keep
        self._kind = kind
        self._pointer = pointer
        self._is_closed = pointer is None
        self._is_awaited = False
        # One entry for each call that is inside the library: its thread.
        self._users: List[int] = []
        self._changed = threading.Condition(threading.RLock())
        _handles.add(self)

    def __enter__(self) -> ctypes.c_void_p:
        with self._changed:
            if self._is_closed:
                raise ValueError(f"this {self._kind} is closed")
            self._users.append(threading.get_ident())
            return ctypes.c_void_p(self._pointer)

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._users.remove(threading.get_ident())
            pointer = self._taken() if self._is_closed and not self._users and not self._is_awaited else None
            self._changed.notify_all()
        self._free(pointer)

    @property
    def pointer(self) -> ctypes.c_void_p:
        """Of a handle that nobody closes while it is used."""
        if self._pointer is None:
            raise ValueError(f"this {self._kind} is closed")
        return ctypes.c_void_p(self._pointer)

    @property
    def is_open(self) -> bool:
        return not self._is_closed

    def cancel(self, *, blocking: bool = True) -> None:
        """Tells the call under way to stop. Without `blocking`, not while another thread has the handle's lock."""
        if self._kind not in _CANCELLABLE or not self._changed.acquire(blocking):
            return
        try:
            if self._pointer is not None:
                getattr(library(), f"dormouse_{self._kind}_cancel")(self._pointer)
        finally:
            self._changed.release()

    def close(self) -> None:
        """Frees the handle. Calls of other threads that can be cancelled are, and waited for; otherwise, and where this
        very thread is inside such a call (in a callback), the last one out frees it."""
        with self._changed:
            if self._is_closed:
                return
            self._is_closed = True
            if self._kind in _CANCELLABLE and threading.get_ident() not in self._users:
                self._await_users()
            pointer = None if self._users else self._taken()
        self._free(pointer)

    def _await_users(self) -> None:
        self._is_awaited = True
        try:
            while self._users:
                # A cancel that came before the call began, or between two steps, found nothing to stop: say it again.
                self.cancel()
                self._changed.wait(0.05)
        finally:
            self._is_awaited = False

    def _taken(self) -> Optional[int]:
        pointer, self._pointer = self._pointer, None
        return pointer

    def _free(self, pointer: Optional[int]) -> None:
        if pointer is not None:
            getattr(library(), f"dormouse_{self._kind}_free")(pointer)

    def __del__(self) -> None:
        # Nobody is inside a call any more: whoever is holds the handle.
        self._is_closed = True
        self._free(getattr(self, "_pointer", None) and self._taken())


_CANCELLABLE = {"session", "transcriber"}
_handles: "weakref.WeakSet[Handle]" = weakref.WeakSet()


def _renew_locks() -> None:
    """In a forked child, whose other threads are gone, and may have held a lock."""
    for handle in list(_handles):
        handle._changed = threading.Condition(threading.RLock())
        handle._users = [user for user in handle._users if user == threading.get_ident()]


os.register_at_fork(after_in_child=_renew_locks)

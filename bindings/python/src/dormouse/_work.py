"""One answer in the making: a call of the library on a thread of its own, and the events that it has told."""

from __future__ import annotations

import atexit
import collections
import os
import threading
import weakref
from typing import Any, Callable, Deque, List, Optional

from . import _abi
from ._errors import error_for
from ._forms import Parser
from ._library import Handle
from .events import Event, event_of

_STOPPED = 1  # what our callback returns to stop the work


class Work:
    """A call and its events, shared by the thread inside the library and whoever reads them.

    The thread's last deed is `_end`, whatever happened: nobody waits for events that do not come. It holds this object
    and not the stream that is read, so that a stream that nobody holds any more is collected, and stops its work.
    """

    def __init__(
        self, run: Callable[[Any], int], handle: Handle, *, has_log_probabilities: bool, parser: Optional[Parser] = None
    ) -> None:
        self._run: Optional[Callable[[Any], int]] = run
        self._handle = handle
        self._has_log_probabilities = has_log_probabilities
        self.parser = parser
        """Of the whole answer."""
        self._changed = threading.Condition()
        self._events: Deque[Event] = collections.deque()
        self._failure: Optional[BaseException] = None
        self._thread: Optional[threading.Thread] = None
        self._stop_reason: Optional[str] = None
        self._listeners: List[Callable[[], None]] = []
        self.is_started: bool = False
        self.is_over: bool = False
        """The thread has left the library for good."""
        self.is_released: bool = False
        """Nobody is going to read any further: the answer is at its end, was closed or forgotten."""

    @property
    def is_held(self) -> bool:
        """Whether the session is taken by it."""
        return self.is_started and not self.is_released

    @property
    def is_leaving(self) -> bool:
        """Whether it is stopped, but still inside the library."""
        return self.is_started and self.is_released and not self.is_over

    # Beginning and ending

    def start(self, listener: Optional[Callable[[], None]] = None) -> None:
        """Begins once. `listener` is told, on any thread, that `poll` has something to say."""
        with self._changed:
            if self.is_started:
                return
            self.is_started = True
            if listener is not None:
                self._listeners.append(listener)
        _working.add(self)
        self._thread = threading.Thread(target=self._main, name="dormouse", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as failure:  # the system has no more threads
            self._end(failure)

    def cancel(self, reason: str, *, blocking: bool = True) -> None:
        """Stops the work within one layer's time, without waiting. Its reader is told `reason`, if nothing else."""
        if self._stop_reason is None:
            self._stop_reason = reason
        if self.is_started and not self.is_over:
            self._handle.cancel(blocking=blocking)

    def stop(self, reason: str) -> None:
        """Stops the work, and waits until the session is free again."""
        self.release()
        self.cancel(reason)
        thread = self._thread
        if not self.is_started or thread is threading.current_thread():
            return
        with self._changed:
            # Interrupted while it was starting, the thread may be off or not; a late one finds that nothing is wanted.
            if thread is None or thread.ident is None:
                self._changed.wait_for(lambda: self.is_over, 1)
                self.is_over = True
                return
        # A cancel that came before the call began, or between two steps, found nothing to stop: say it again.
        while not self._is_over_within(0.05):
            self.cancel(reason)

    def release(self) -> None:
        self.is_released = True

    def _is_over_within(self, seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.is_over, seconds)

    # Reading

    def take(self) -> Optional[Event]:
        """Waits for the next event; None behind the last one. Raises what the call has failed with, however often."""
        with self._changed:
            self._changed.wait_for(lambda: self._events or self.is_over)
            event = self._next()
            # Behind its last event, the session is free.
            if event is not None and event.kind == "end":
                self._changed.wait_for(lambda: self.is_over)
                self.release()
            return event

    @property
    def is_ready(self) -> bool:
        """Whether `take` has something to say at once."""
        with self._changed:
            return self.is_over or (bool(self._events) and self._events[0].kind != "end")

    def _next(self) -> Optional[Event]:
        if self._events:
            return self._events.popleft()
        self.release()
        if self._failure is not None:
            raise self._failure
        return None

    # On the thread

    def _main(self) -> None:
        failure: Optional[BaseException] = None
        try:
            status = _STOPPED
            if self._run is not None and self._stop_reason is None:
                status = self._run(_abi.event_fn(self._receive))
            if status == _STOPPED:
                failure = self._failure or error_for(_abi.ERROR_CANCELLED, self._stop_reason or "stopped")
        except BaseException as error:  # raised where the events are read
            failure = error
        finally:
            self._end(failure)

    def _receive(self, _: Optional[int], pointer: Any) -> int:
        if self._stop_reason is not None:
            return _STOPPED
        try:
            event = event_of(pointer.contents, self._has_log_probabilities)
            with self._changed:
                self._events.append(event)
                self._changed.notify_all()
            self._tell()
        except BaseException as failure:
            self._failure = failure
            return _STOPPED
        return 0

    def _end(self, failure: Optional[BaseException]) -> None:
        with self._changed:
            self._failure = failure
            self.is_over = True
            # What the call was given (media, for one) may go.
            self._run = None
            self._changed.notify_all()
        _working.discard(self)
        try:
            self._tell()
        except RuntimeError:  # the listener's loop is closed: nobody listens
            pass

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()

    def forget_the_thread(self) -> None:
        """In a forked child, where the thread is not."""
        self._changed = threading.Condition()
        self.release()
        self.is_over = True
        self._run = None
        self._failure = error_for(
            _abi.ERROR_INVALID_ARGUMENT, "the answer belongs to the process that this one was forked from"
        )


_working: "weakref.WeakSet[Work]" = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    """No thread may be inside the library while the interpreter goes away under its callback."""
    for work in list(_working):
        work.stop("the interpreter ends")


def _forget_all() -> None:
    for work in list(_working):
        work.forget_the_thread()
    _working.clear()


os.register_at_fork(after_in_child=_forget_all)

"""Embeddings of many texts: sessions side by side, which the engine computes in one batch."""

from __future__ import annotations

import contextlib
import ctypes
import queue
import threading
import time
from typing import TYPE_CHECKING, Any, Dict, List, Sequence

from . import _arrays
from ._errors import error_for
from ._abi import ERROR_TIMED_OUT
from ._library import interruptible
from ._values import document

if TYPE_CHECKING:
    from .engine import Engine
    from .session import Session


def embed(engine: "Engine", texts: Sequence[Any], sessions: int, options: Dict[str, Any]) -> Any:
    """float32 [texts, hidden_size], computed by so many sessions at most."""
    run = _Run([_arrays.tokens(ids) for ids in texts], int(engine._known()["hidden_size"]), options)
    if texts:
        longest = max(len(ids) for ids in run.texts)
        with contextlib.ExitStack() as opened:
            for _ in range(min(sessions, len(texts))):
                session = engine.session(context_length=max(1, longest), private=True)
                run.sessions.append(opened.enter_context(session))
            interruptible(run.work, run.cancel)
    return _arrays.shaped(run.rows, [len(texts), run.width])


class _Run:
    """The texts of one call, which a thread for each session takes one after the other."""

    def __init__(self, texts: List[Any], width: int, options: Dict[str, Any]) -> None:
        self.texts = texts
        self.width = width
        self.sessions: "List[Session]" = []
        self.rows: Any = (ctypes.c_float * (len(texts) * width))()
        self._options = options
        limit = options.get("time_limit")
        self._deadline = None if limit is None else time.monotonic() + limit
        self._failures: List[BaseException] = []
        self._is_over = threading.Event()
        self._numbers: "queue.SimpleQueue[int]" = queue.SimpleQueue()
        for number in range(len(texts)):
            self._numbers.put(number)

    def work(self) -> None:
        """Raises what the first session that failed did."""
        threads = [threading.Thread(target=self._take, args=[session], daemon=True) for session in self.sessions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._failures:
            raise self._failures[0]

    def cancel(self) -> None:
        self._is_over.set()
        for session in self.sessions:
            session.cancel()

    def _take(self, session: "Session") -> None:
        try:
            while not self._is_over.is_set():
                number = self._numbers.get_nowait()
                offset = number * self.width * ctypes.sizeof(ctypes.c_float)
                row = (ctypes.c_float * self.width).from_buffer(self.rows, offset)
                session._embed_into(row, self.texts[number], self._config())
        except queue.Empty:
            pass
        except BaseException as failure:  # raised by `work`
            self._failures.append(failure)
            self.cancel()

    def _config(self) -> bytes:
        """The options, with what is left of the time for all texts."""
        if self._deadline is None:
            return document(self._options)
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise error_for(ERROR_TIMED_OUT, "time_limit passed before all texts were done")
        return document({**self._options, "time_limit": left})

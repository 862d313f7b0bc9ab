"""The events of an answer as they come, to be read by a thread or by a task of asyncio."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType
from typing import TYPE_CHECKING, AsyncIterator, Iterator, Optional, Type

from . import _abi
from ._errors import error_for
from ._work import Work
from .events import Answer, Event

if TYPE_CHECKING:
    from .session import Session

_FORGOTTEN = "nobody reads the answer any more"


class _Reader:
    """What both kinds of streams have: the work, the session that it takes, and what was read of the answer."""

    def __init__(self, session: "Session", work: Work) -> None:
        self._session = session
        self._work = work
        self._answer = Answer(_parser=work.parser)
        self._is_closed = False

    def __del__(self) -> None:
        """Nobody holds the stream: its work stops, and the session's next call waits for that."""
        work: Optional[Work] = getattr(self, "_work", None)
        if work is not None and not work.is_released:
            work.release()
            work.cancel(_FORGOTTEN, blocking=False)

    def __repr__(self) -> str:
        if self._answer.end is not None:
            state = f"at its end: {self._answer!r}"
        elif self._is_closed or self._work.is_released:
            state = "closed"
        else:
            state = f"after {len(self._answer.tokens)} tokens" if self._work.is_started else "not begun"
        return f"<{type(self).__name__} {state}>"


class Stream(_Reader, Iterator[Event]):
    """The events of an answer as they come. Leaving it (`close`, or the end of a with statement) stops the work.

    The library works on a thread of its own; what went wrong there is raised here. Nothing starts before the first
    event is asked for, and from then on the session is taken until the answer is at its end, closed, or forgotten.
    Any thread may read it, or close it: one that reads meanwhile gets a CancelledError.
    """

    _closing_thread: Optional[int] = None

    def __iter__(self) -> "Stream":
        return self

    def __next__(self) -> Event:
        if self._is_closed:
            if self._answer.end is not None or self._closing_thread == threading.get_ident():
                raise StopIteration
            raise error_for(_abi.ERROR_CANCELLED, "another thread has closed the stream")
        try:
            if not self._work.is_started:
                self._session._take_for(self._work)
                self._work.start()
            event = self._work.take()
        except BaseException:
            if self._work.is_held:  # Ctrl-C
                self.close()
            raise
        if event is None:
            raise StopIteration
        self._answer.add(event)
        return event

    def answer(self) -> Answer:
        """Waits for the rest; the whole answer."""
        for _ in self:
            pass
        return self._answer

    def text(self) -> str:
        """Waits for the rest; the text of the whole answer."""
        return self.answer().text

    def close(self) -> None:
        """Stops the work and waits until the session is free again."""
        if self._is_closed:
            return
        self._closing_thread = threading.get_ident()
        self._is_closed = True
        self._work.stop("the stream was closed")

    def __enter__(self) -> "Stream":
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()


class AsyncStream(_Reader, AsyncIterator[Event]):
    """The events of an answer, for a task of asyncio: `async for event in session.achat(...)`.

    When the task is cancelled while it waits here, the work stops, and the session is free when the CancelledError of
    asyncio comes out. A loop that is left otherwise stops the work too; with `async with` it is known when.
    """

    def __init__(self, session: "Session", work: Work) -> None:
        super().__init__(session, work)
        self._wake: Optional[asyncio.Event] = None

    def __aiter__(self) -> "AsyncStream":
        return self

    async def __anext__(self) -> Event:
        if self._is_closed:
            raise StopAsyncIteration
        try:
            wake = self._wake or await self._begin()
            # Other tasks get their turn, however fast the events come.
            await asyncio.sleep(0)
            while not self._work.is_ready:
                await wake.wait()
                wake.clear()
            event = self._work.take()
        except BaseException:
            if self._work.is_held:
                await self.aclose()
            raise
        if event is None:
            raise StopAsyncIteration
        self._answer.add(event)
        return event

    async def answer(self) -> Answer:
        """Waits for the rest; the whole answer."""
        async for _ in self:
            pass
        return self._answer

    async def text(self) -> str:
        """Waits for the rest; the text of the whole answer."""
        return (await self.answer()).text

    async def aclose(self) -> None:
        """Stops the work and waits until the session is free again, also where the task is cancelled meanwhile."""
        self._is_closed = True
        self._work.release()
        self._work.cancel("the stream was closed")
        cancelled: Optional[asyncio.CancelledError] = None
        while self._work.is_leaving:
            try:
                await asyncio.sleep(0.002)
            except asyncio.CancelledError as error:
                cancelled = error
            self._work.cancel("the stream was closed")
        if cancelled is not None:
            raise cancelled

    async def __aenter__(self) -> "AsyncStream":
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        await self.aclose()

    async def _begin(self) -> asyncio.Event:
        wake = asyncio.Event()
        loop = asyncio.get_running_loop()
        # A stream before this one that is still on its way out keeps the library, but not this loop.
        while self._session._is_left_at_work():
            await asyncio.sleep(0.002)
        self._session._take_for(self._work)
        self._wake = wake
        self._work.start(lambda: _tell(loop, wake))
        return wake


def _tell(loop: asyncio.AbstractEventLoop, wake: asyncio.Event) -> None:
    loop.call_soon_threadsafe(wake.set)

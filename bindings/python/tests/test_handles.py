"""Handles and works by themselves, over a library that writes down what it is asked: what is freed when, and by whom."""

import ctypes
import gc
import threading
import time
import weakref

import pytest

from dormouse import CancelledError, _abi, _library, _work


class Calls:
    """A library that has sessions and engines, and nothing in them."""

    def __init__(self):
        self.made = []

    def __getattr__(self, name):
        if not name.startswith("dormouse_"):
            raise AttributeError(name)
        return lambda *arguments: self.made.append(name)

    def reached(self, count, name):
        """Waits until it was asked so often."""
        end = time.monotonic() + 60
        while self.made.count(name) < count:
            assert time.monotonic() < end, self.made
            time.sleep(0.001)


@pytest.fixture
def calls(monkeypatch):
    calls = Calls()
    monkeypatch.setattr(_library, "library", lambda: calls)
    made = []
    create = _library.Handle.__init__

    def remember(self, *arguments):
        create(self, *arguments)
        made.append(weakref.ref(self))

    monkeypatch.setattr(_library.Handle, "__init__", remember)
    yield calls
    for handle in filter(None, (reference() for reference in made)):
        handle._taken()  # the real library must not see it, whatever failed


class Inside(threading.Thread):
    """A thread that is inside a call with a handle, until it is told to leave it."""

    def __init__(self, handle, leave):
        super().__init__(daemon=True)
        self.handle, self.leave = handle, leave
        self.entered = threading.Event()
        self.start()
        assert self.entered.wait(60)

    def run(self):
        with self.handle:
            self.entered.set()
            assert self.leave.wait(60)


def test_a_session_is_freed_when_its_last_call_is_out(calls):
    handle, leave = _library.Handle("session", 1), threading.Event()
    inside = [Inside(handle, leave) for _ in range(2)]
    closing = threading.Thread(target=handle.close, daemon=True)
    closing.start()
    calls.reached(2, "dormouse_session_cancel")  # it says so again, and waits
    assert not handle.is_open and "dormouse_session_free" not in calls.made and closing.is_alive()
    with pytest.raises(ValueError, match="this session is closed"):
        with handle:
            pass
    leave.set()
    for thread in [closing, *inside]:
        thread.join(60)
        assert not thread.is_alive()
    made = list(calls.made)
    assert made.count("dormouse_session_free") == 1 and made[-1] == "dormouse_session_free"
    handle.close()
    handle.cancel()
    del handle
    gc.collect()
    assert calls.made == made


def test_an_engine_is_freed_by_the_last_call(calls):
    """Nothing can cancel its calls: closing does not wait for them."""
    handle, leave = _library.Handle("engine", 1), threading.Event()
    inside = Inside(handle, leave)
    handle.close()
    assert calls.made == []
    leave.set()
    inside.join(60)
    assert calls.made == ["dormouse_engine_free"]


def test_closing_inside_a_call_of_its_own(calls):
    handle = _library.Handle("transcriber", 1)
    with handle:
        with handle:
            handle.close()
        assert calls.made == []
    assert calls.made == ["dormouse_transcriber_free"]


def test_handles_that_nobody_closes(calls):
    handle = _library.Handle("router", 1)
    del handle
    gc.collect()
    assert calls.made == ["dormouse_router_free"]


def event(kind):
    return ctypes.pointer(_abi.event(struct_size=ctypes.sizeof(_abi.event), kind=kind))


def test_the_last_event_comes_when_the_call_is_over(calls):
    """Whoever has it in hand finds the session free."""
    may_end = threading.Event()

    def run(receive):
        for kind in (_abi.EVENT_PROMPT, _abi.EVENT_END):
            assert receive(None, event(kind)) == 0
        assert may_end.wait(60)
        return 0

    work = _work.Work(run, _library.Handle("session", 1), has_log_probabilities=False)
    work.start()
    assert work.take().kind == "prompt"
    threading.Timer(0.05, may_end.set).start()
    assert not work.is_ready or work.is_over
    assert work.take().kind == "end"
    assert work.is_over and not work.is_held
    assert work.take() is None


def test_a_work_that_is_stopped_before_it_begins(calls):
    """Its thread finds that nothing is wanted, and says so: its reader is not left waiting."""
    work = _work.Work(lambda _: 0, _library.Handle("session", 1), has_log_probabilities=False)
    work.cancel("too early")
    work.start()
    for _ in range(2):
        with pytest.raises(CancelledError, match="too early"):
            work.take()


def test_a_thread_that_cannot_begin(calls, monkeypatch):
    def fail(self):
        raise RuntimeError("can't start new thread")

    work = _work.Work(lambda _: 0, _library.Handle("session", 1), has_log_probabilities=False)
    monkeypatch.setattr(threading.Thread, "start", fail)
    work.start()
    with pytest.raises(RuntimeError, match="new thread"):
        work.take()
    work.stop("it never was")
    assert work.is_over

"""Many sessions of one engine: forks, saved sessions, shared prefixes, sliding, limits and threads."""

import os
import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import MODELS

import dormouse
from dormouse import Engine

QUESTION = [{"role": "user", "content": "What is 7 plus 5?"}]
ANSWER = "7 plus 5 is 12."
LONG = {"ignore_eos": True, "max_tokens": 24, "stream": False}


def prompt(number, count=70):
    """Prompts of one number are equal, and those of different ones differ from their first token on."""
    return [(7 * index + index // 5 + number) % 97 for index in range(count)]


@pytest.fixture
def engine():
    """An engine whose cache and statistics are the test's own."""
    with Engine(MODELS / "good-v3-group8") as engine:
        yield engine


def reached(engine, name, value):
    """Waits until so many sessions are at work, or wait."""
    end = time.monotonic() + 60
    while engine.statistics()["sessions"][name] != value:
        assert time.monotonic() < end, engine.statistics()
        time.sleep(0.002)


# Forks


def test_fork(engine):
    with engine.session() as session:
        session.prefill(prompt(1))
        before = engine.statistics()["cache"]["f32"]
        with session.fork() as fork:
            after = engine.statistics()["cache"]["f32"]
            assert after["used"] == before["used"] and after["shared"] == 2  # 70 tokens are two pages
            assert len(fork) == 70
            answer = session.generate(**LONG)
            assert fork.generate(**LONG).tokens == answer.tokens
            session.truncate(0)
            session.close()
            assert len(fork) == 94  # it needs the first one no more
            fork.truncate(70)
            assert fork.generate(**LONG).tokens == answer.tokens


def test_forks_go_their_own_ways(tiny):
    with tiny.session() as session:
        session.chat(QUESTION, stream=False)
        with session.fork() as fork:
            more = {"role": "assistant", "content": ANSWER}
            questions = ["What is 2 plus 5?", "What is 9 plus 4?"]
            answers = [
                branch.chat([*QUESTION, more, {"role": "user", "content": text}], stream=False)
                for branch, text in zip([session, fork], questions)
            ]
            assert [answer.text for answer in answers] == ["2 plus 5 is 7.", "9 plus 4 is 13."]
            assert all(answer.end.prompt_reused > 20 for answer in answers)


# Saved sessions


def test_save_and_restore(engine, tmp_path):
    path = tmp_path / "session"
    with engine.session() as session, engine.session(private=True) as other:
        session.prefill(prompt(2))
        session.save(path)
        expected = session.generate(**LONG).tokens
        other.prefill([1, 2, 3])
        other.restore(path)
        assert len(other) == 70 and other.generate(**LONG).tokens == expected
        other.restore(str(path))
        assert len(other) == 70
    assert [file.name for file in tmp_path.iterdir()] == ["session"]


def test_restore_that_fails_leaves_the_session(engine, tmp_path):
    path = tmp_path / "session"
    with engine.session(private=True) as session:
        session.prefill(prompt(3))
        session.save(path)
        session.truncate(5)
        expected = session.generate(**LONG).tokens
        session.truncate(5)

        def refused(error, target=session, file=path):
            with pytest.raises(error) as caught:
                target.restore(file)
            assert str(file) in caught.value.message
            if target is session:
                assert len(session) == 5 and session.generate(**LONG).tokens == expected
                session.truncate(5)

        refused(dormouse.NotFoundError, file=tmp_path / "missing")
        with engine.session(cache="bf16") as other:
            refused(dormouse.UnsupportedError, other)
        with engine.session(context_length=69) as other:
            refused(dormouse.ContextFullError, other)
        with Engine(MODELS / "good-v3-group8", weights="int8") as packed, packed.session() as other:
            refused(dormouse.UnsupportedError, other)
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
        refused(dormouse.MalformedError)
        path.write_bytes(data[:-1])
        refused(dormouse.MalformedError)
        path.write_bytes(b"")
        refused(dormouse.MalformedError)


def test_save_where_no_file_can_be(engine, tmp_path):
    with engine.session() as session:
        for path in [tmp_path / "no" / "folder", tmp_path]:
            with pytest.raises(dormouse.DormouseError) as caught:
                session.save(path)
            assert str(path) in caught.value.message
    assert list(tmp_path.iterdir()) == []


# Shared prefixes


def test_prefixes_are_shared(engine):
    with engine.session() as session:
        first = session.generate(prompt(4), **LONG)
        assert first.end.prompt_shared == 0
    with engine.session() as session:
        second = session.generate(prompt(4), **LONG)
        assert second.tokens == first.tokens
        assert second.end.prompt_shared == 69  # the last one is computed, for its logits
    with engine.session() as session:
        assert session.generate(prompt(4)[:66] + [1, 2, 3, 4], **LONG).end.prompt_shared == 66
    cache = engine.statistics()["cache"]["f32"]
    assert cache["tokens_found"] == 69 + 66 and cache["tokens_asked"] == 3 * 69
    assert cache["hit_rate"] == pytest.approx((69 + 66) / (3 * 69))
    assert cache["prefix_pages"] > 0


def test_private_sessions_share_nothing(engine):
    with engine.session(private=True) as session:
        first = session.generate(prompt(5), **LONG)
    with engine.session() as session:
        assert session.generate(prompt(5), **LONG).end.prompt_shared == 0
    with engine.session(private=True) as session:
        second = session.generate(prompt(5), **LONG)
        assert (second.tokens, second.end.prompt_shared) == (first.tokens, 0)


@pytest.mark.parametrize("prefix_cache", [False, 1])
def test_no_room_for_prefixes(prefix_cache):
    with Engine(MODELS / "good-v3-group8", prefix_cache=prefix_cache) as engine:
        for _ in range(2):
            with engine.session() as session:
                assert session.generate(prompt(6), **LONG).end.prompt_shared == 0
        cache = engine.statistics()["cache"]["f32"]
        assert cache["prefix_pages"] == 0 and cache["used"] == 0


# Contexts that are full, time that runs out


def test_slide(engine):
    with engine.session(context_length=32) as session:
        answer = session.generate(prompt(7, 20), **LONG)
        assert (answer.finish_reason, len(answer.tokens), len(session)) == ("context", 12, 32)
    with engine.session(context_length=32, overflow="slide", keep_tokens=4) as session:
        answer = session.generate(prompt(7, 20), **LONG)
        assert (answer.finish_reason, len(answer.tokens)) == ("length", 24)
        assert len(session) <= 32
        with pytest.raises(dormouse.ContextFullError):
            session.prefill(prompt(7, 29))


def test_time_limit(engine):
    with engine.session() as session:
        with pytest.raises(dormouse.TimedOutError):
            session.generate(prompt(8), time_limit=1e-9, stream=False)
        with pytest.raises(TimeoutError):
            session.generate(prompt(8), time_limit=1e-9, stream=False)
        session.truncate(0)
    with engine.session(overflow="slide", context_length=128) as session:
        answer = session.generate(prompt(8), ignore_eos=True, time_limit=0.3, stream=False)
        assert answer.finish_reason == "time" and answer.tokens


def test_bad_terms(engine):
    with engine.session() as session:
        for options in [{"priority": 101}, {"priority": 0.5}, {"time_limit": 0}, {"time_limit": -1}]:
            with pytest.raises(dormouse.InvalidArgumentError, match=next(iter(options))):
                session.generate(prompt(9), stream=False, **options)
        assert session.generate(prompt(9), priority=-100, time_limit=1e9, **LONG).end.waiting_seconds >= 0


# Threads


def test_threads_say_what_each_says_alone(engine):
    with engine.session(private=True) as session:
        alone = []
        for number in range(6):
            session.truncate(0)
            alone.append(session.generate(prompt(number), **LONG).tokens)

    def generate(number):
        with engine.session(private=number % 2 == 0) as session:
            return session.generate(prompt(number), **LONG).tokens

    for _ in range(3):
        with ThreadPoolExecutor(6) as pool:
            assert list(pool.map(generate, range(6))) == alone
    sessions = engine.statistics()["sessions"]
    assert sessions["working"] == sessions["waiting"] == 0 and sessions["entered"] == sessions["left"] == 24


def endless(engine):
    """A session that is never full: it stays at work until it is stopped."""
    return engine.session(context_length=128, overflow="slide")


class Held:
    """A session that is at work until it is let go."""

    def __init__(self, engine):
        self.session = endless(engine)
        self.thread = threading.Thread(target=self._work)
        self.thread.start()
        reached(engine, "working", 1)

    def _work(self):
        with pytest.raises(dormouse.CancelledError):
            self.session.generate(prompt(1), ignore_eos=True, stream=False)

    def let_go(self):
        self.session.cancel()
        self.thread.join()
        self.session.close()


@pytest.fixture
def narrow():
    """One place, and room for one that waits."""
    with Engine(MODELS / "good-v3-group8", batch_limit=1, queue_limit=1) as engine:
        yield engine


def test_overload_and_cancel_while_waiting(narrow):
    held = Held(narrow)
    outcome = []

    def wait():
        try:
            waiting.prefill(prompt(2))
        except dormouse.DormouseError as error:
            outcome.append(error)

    with narrow.session() as waiting, narrow.session() as late:
        thread = threading.Thread(target=wait)
        thread.start()
        reached(narrow, "waiting", 1)
        with pytest.raises(dormouse.OverloadedError, match="queue_limit"):
            late.prefill([1, 2, 3])
        with pytest.raises(dormouse.BusyError):
            waiting.truncate(0)
        waiting.cancel()
        thread.join()
        assert [type(error) for error in outcome] == [dormouse.CancelledError] and len(waiting) == 0
        # There is room again, and time that runs out there is an error too.
        with pytest.raises(dormouse.TimedOutError):
            late.generate([1, 2, 3], time_limit=0.05, stream=False)
        held.let_go()
        late.prefill([1, 2, 3])
        assert len(late) == 3
    sessions = narrow.statistics()["sessions"]
    assert (sessions["refused"], sessions["cancelled"], sessions["failed"]) == (1, 1, 1)


def test_larger_priorities_are_let_in_first():
    """Each stays at work until it was seen there: when events arrive says nothing of who was let in first."""
    with Engine(MODELS / "good-v3-group8", batch_limit=1) as engine:
        held = Held(engine)
        begun, seen, threads = queue.SimpleQueue(), threading.Semaphore(0), []

        def generate(priority):
            with endless(engine) as session, session.generate([1], ignore_eos=True, priority=priority) as stream:
                next(event for event in stream if event.kind == "token")
                begun.put(priority)
                seen.acquire()

        for count, priority in enumerate([0, 5, -5], 1):
            threads.append(threading.Thread(target=generate, args=[priority]))
            threads[-1].start()
            reached(engine, "waiting", count)
        held.let_go()
        for expected in [5, 0, -5]:
            assert begun.get(timeout=60) == expected
            seen.release()
        for thread in threads:
            thread.join()


def test_limits_of_the_cache():
    """Pages that another session holds, without being at work, do not come by waiting."""
    model = MODELS / "good-v3-group8"
    with Engine(model, without_weights=True) as engine:
        page = engine.plan(context_length=64)["cache"]
    with Engine(model, cache_limit=2 * page, prefix_cache=False) as engine:
        with pytest.raises(dormouse.OutOfMemoryError, match="cache_limit"):
            engine.session(context_length=129)
        with engine.session(context_length=128) as first, engine.session(context_length=128) as second:
            first.prefill(prompt(1, 65))
            with pytest.raises(dormouse.OutOfMemoryError, match="cache_limit"):
                second.prefill([1])
            first.truncate(64)
            second.prefill([1])


# Threads on one session


def ended(thread):
    """Waits for a thread that must not hang."""
    thread.join(60)
    assert not thread.is_alive()


class Reading:
    """A thread that reads a stream, and what came of it: an Answer, or what was raised."""

    def __init__(self, stream):
        self.outcome = None
        self.stream = stream
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        try:
            self.outcome = self.stream.answer()
        except BaseException as error:
            self.outcome = error

    def result(self):
        ended(self.thread)
        return self.outcome


def test_threads_that_chat_on_one_session(engine):
    """One answers whole; those that come while it is at work are BusyErrors, at once, and cut nothing."""
    with engine.session(context_length=1024) as session:
        for _ in range(10):
            session.truncate(0)
            barrier = threading.Barrier(4)

            def work():
                barrier.wait()
                try:
                    return session.generate(prompt(1), **LONG)
                except dormouse.BusyError as error:
                    return error

            with ThreadPoolExecutor(4) as pool:
                outcomes = [future.result(60) for future in [pool.submit(work) for _ in range(4)]]
            answers = [outcome for outcome in outcomes if isinstance(outcome, dormouse.Answer)]
            assert answers and all(len(answer.tokens) == 24 for answer in answers)
            assert all(answer.finish_reason == "length" for answer in answers)


def test_a_second_thread_is_told_at_once(engine):
    with endless(engine) as session, session.generate([1], ignore_eos=True) as stream:
        next(stream)
        outcomes = []

        def second():
            for call in (lambda: session.generate([1], **LONG), lambda: session.prefill([1]), lambda: len(session)):
                try:
                    outcomes.append(call())
                except dormouse.BusyError as error:
                    outcomes.append(type(error))

        thread = threading.Thread(target=second)
        thread.start()
        ended(thread)
        assert outcomes == [dormouse.BusyError] * 3
        assert next(stream).kind == "token"


@pytest.mark.parametrize("how", ["stream.close", "session.close", "session.cancel"])
def test_ending_what_another_thread_reads(engine, how):
    """However early the end comes: before the thread of the work has begun, in the middle, after it."""
    for delay in range(40):
        session = endless(engine)
        stream = session.generate([1], ignore_eos=True)
        reading = Reading(stream)
        time.sleep(delay % 10 * 0.0002)
        while not stream._work.is_started and how == "session.cancel":
            time.sleep(0)
        {"stream.close": stream.close, "session.close": session.close, "session.cancel": session.cancel}[how]()
        assert isinstance(reading.result(), (dormouse.CancelledError, ValueError)), how
        session.close()


def test_closing_a_session_that_another_thread_fills(engine):
    """Nothing is freed under a call; the call ends with an error."""
    for _ in range(5):
        session = engine.session(context_length=1024)
        outcome = []

        def fill():
            try:
                while True:
                    session.prefill(prompt(1, 512))
                    session.truncate(0)
            except (dormouse.CancelledError, ValueError) as error:
                outcome.append(type(error))

        thread = threading.Thread(target=fill, daemon=True)
        thread.start()
        time.sleep(0.01)
        session.close()
        ended(thread)
        assert len(outcome) == 1


def test_two_threads_may_read_one_stream(engine):
    """Each event reaches one of them, and both are told of the end."""
    with engine.session(context_length=1024) as session:
        stream = session.generate(prompt(1), max_tokens=200, ignore_eos=True)
        counts = [0, 0]

        def read(index):
            for _ in stream:
                counts[index] += 1

        threads = [threading.Thread(target=read, args=[index], daemon=True) for index in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            ended(thread)
        assert sum(counts) >= 202 and len(stream.answer().tokens) == 200


def test_an_engine_closed_while_others_work(engine):
    """Sessions keep what they need; calls of the engine's own say that it is closed, and none loses it."""
    other = Engine(MODELS / "good-v3-group8")
    session = endless(other)
    with session.generate([1], ignore_eos=True) as stream:
        next(stream)
        stop = threading.Event()
        outcomes = []

        def ask():
            while not stop.is_set():
                try:
                    other.statistics()
                except ValueError as error:
                    outcomes.append(str(error))
                    return

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        other.close()
        for thread in threads:
            ended(thread)
        stop.set()
        assert outcomes == ["this engine is closed"] * 3
        assert next(stream).kind == "token"
    session.close()


def test_a_forked_child_waits_for_nobody(engine):
    """The thread that fills the stream is not in the child: reading there is an error, and the child ends."""
    with endless(engine) as session, session.generate([1], ignore_eos=True) as stream:
        next(stream)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                for _ in range(1 << 20):
                    next(stream)
            except dormouse.DormouseError as error:
                code = 0 if "forked" in str(error) else 2
            finally:
                os._exit(code)
        end = time.monotonic() + 60
        while (status := os.waitpid(child, os.WNOHANG))[0] == 0:
            assert time.monotonic() < end or os.kill(child, 9)
            time.sleep(0.01)
        assert os.waitstatus_to_exitcode(status[1]) == 0
        assert next(stream).kind == "token"


def test_chats_on_a_pool_of_threads(tiny):
    """As services do it: each event of a stream is asked for by another thread."""
    with ThreadPoolExecutor(3) as pool, tiny.session() as session:
        stream = session.chat(QUESTION)
        events = []
        while (event := pool.submit(next, stream, None).result(60)) is not None:
            events.append(event)
        assert "".join(event.text for event in events) == ANSWER

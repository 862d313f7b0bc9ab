"""Sessions together: forks, files, shared prefixes, limits, priorities, and many at once."""

import threading
import time

import pytest

import dormouse

GREEDY = {"stream": False, "ignore_eos": True}


@pytest.fixture(scope="module")
def engine(tiny_path):
    with dormouse.Engine(tiny_path, threads=2) as engine:
        yield engine


def prompt(count, seed):
    return [(index * 37 + seed * 101 + index * index * seed) % 1000 for index in range(count)]


def alone(engine, tokens, count):
    with engine.session(private=True) as session:
        return session.generate(tokens, max_tokens=count, **GREEDY).tokens


def busy(session):
    """Keeps a session at work; what is returned lets it go and waits for it."""
    go, begun = threading.Event(), threading.Event()

    def work():
        with session.generate([1, 2, 3], ignore_eos=True, max_tokens=400) as stream:
            next(stream)
            begun.set()
            go.wait()

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait()

    def release():
        go.set()
        thread.join()

    return release


def wait_for(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_a_fork_goes_its_own_way(engine):
    tokens = prompt(100, 1)
    with engine.session() as session:
        session.prefill(tokens)
        used = engine.statistics()["cache"]["f32"]["used"]
        with session.fork() as fork:
            assert engine.statistics()["cache"]["f32"]["used"] == used
            assert len(fork) == 100
            left = session.generate([5], max_tokens=8, **GREEDY).tokens
            right = fork.generate([6], max_tokens=8, **GREEDY).tokens
    assert left == alone(engine, [*tokens, 5], 8)
    assert right == alone(engine, [*tokens, 6], 8)


def test_a_saved_session_goes_on(engine, tiny_path, tmp_path):
    with engine.session() as session:
        session.generate(prompt(90, 2), max_tokens=5, **GREEDY)
        session.save(tmp_path / "session")
        expected = session.generate([], max_tokens=8, **GREEDY).tokens
    with dormouse.Engine(tiny_path, threads=1) as other, other.session() as session:
        session.prefill([1, 2])
        session.restore(tmp_path / "session")
        assert len(session) == 95
        assert session.generate([], max_tokens=8, **GREEDY).tokens == expected


def test_files_that_do_not_fit_change_nothing(engine, tiny_path, tmp_path):
    path = tmp_path / "session"
    with engine.session() as session:
        session.prefill(prompt(70, 3))
        session.save(path)
    damaged = tmp_path / "damaged"
    damaged.write_bytes(path.read_bytes()[:-1] + b"\x00")
    with engine.session(context_length=64) as session, engine.session() as longer:
        session.prefill([1, 2, 3])
        with pytest.raises(dormouse.ContextFullError):
            session.restore(path)
        with pytest.raises(dormouse.NotFoundError):
            session.restore(tmp_path / "absent")
        with pytest.raises(dormouse.MalformedError):
            longer.restore(damaged)
        assert (len(session), len(longer)) == (3, 0)
    with dormouse.Engine(tiny_path, weights="int8") as other, other.session() as session:
        with pytest.raises(dormouse.UnsupportedError):
            session.restore(path)


def test_prefixes_are_shared_but_for_private_sessions(engine):
    tokens = prompt(150, 4)
    with engine.session() as first:
        first.prefill(tokens)
    with engine.session() as second:
        answer = second.generate([*tokens, 7], max_tokens=6, **GREEDY)
        assert answer.end.prompt_shared == 150
        assert answer.tokens == alone(engine, [*tokens, 7], 6)
    with engine.session(private=True) as third:
        assert third.generate([*tokens, 7], max_tokens=1, **GREEDY).end.prompt_shared == 0
    cache = engine.statistics()["cache"]["f32"]
    assert cache["tokens_found"] >= 150 and 0 < cache["hit_rate"] <= 1


def test_an_engine_without_prefixes(tiny_path):
    with dormouse.Engine(tiny_path, prefix_cache=False) as engine:
        assert engine.plan()["prefix_cache"] == 0
        for _ in range(2):
            with engine.session() as session:
                assert session.generate(prompt(80, 5), max_tokens=1, **GREEDY).end.prompt_shared == 0


def test_a_sliding_context_goes_on(engine):
    with engine.session(context_length=96, overflow="slide", keep_tokens=8) as session:
        answer = session.generate(prompt(60, 6), max_tokens=120, **GREEDY)
        assert len(answer.tokens) == 120 and answer.finish_reason == "length"
        assert len(session) <= 96
    with engine.session(context_length=96) as session:
        assert session.generate(prompt(60, 6), max_tokens=120, **GREEDY).finish_reason == "context"
    with pytest.raises(dormouse.InvalidArgumentError, match="keep_tokens"):
        engine.session(context_length=96, keep_tokens=8)


def test_time_limits(tiny_path):
    with dormouse.Engine(tiny_path, batch_limit=1) as engine:
        with engine.session() as first, engine.session() as second:
            release = busy(first)
            with pytest.raises(dormouse.TimedOutError):
                second.generate([1, 2], time_limit=0.05, **GREEDY)
            release()
            with second.generate([1, 2], time_limit=0.1, ignore_eos=True) as stream:
                events = []
                for event in stream:
                    events.append(event)
                    time.sleep(0.001)
            assert events[-1].finish_reason in ("time", "context")
            assert len(second.generate([], max_tokens=1, **GREEDY).tokens) == 1


def test_too_many_are_turned_away_and_waiting_can_be_cancelled(tiny_path):
    with dormouse.Engine(tiny_path, batch_limit=1, queue_limit=1) as engine:
        with engine.session() as first, engine.session() as second, engine.session() as third:
            release = busy(first)
            failures = []

            def wait():
                try:
                    second.prefill([1, 2])
                except dormouse.CancelledError as failure:
                    failures.append(failure)

            thread = threading.Thread(target=wait)
            thread.start()
            wait_for(lambda: engine.statistics()["sessions"]["waiting"] == 1)
            with pytest.raises(dormouse.OverloadedError):
                third.prefill([1, 2])
            second.cancel()
            thread.join()
            assert len(failures) == 1 and len(second) == 0
            release()
            third.prefill([1, 2])


def test_larger_priorities_go_first(tiny_path):
    with dormouse.Engine(tiny_path, batch_limit=1) as engine, engine.session() as first:
        release = busy(first)
        order, threads = [], []

        def work(priority):
            with engine.session() as session:
                for event in session.generate([1], max_tokens=1, ignore_eos=True, priority=priority):
                    if event.kind == "token":
                        order.append(priority)

        for count, priority in enumerate([0, 3, -2], 1):
            threads.append(threading.Thread(target=work, args=(priority,)))
            threads[-1].start()
            wait_for(lambda count=count: engine.statistics()["sessions"]["waiting"] == count)
        release()
        for thread in threads:
            thread.join()
        assert order == [3, 0, -2]


def test_many_threads_get_what_one_gets(engine):
    prompts = [prompt(20 + 13 * index, index) for index in range(8)]
    found = {}

    def work(index):
        with engine.session() as session:
            found[index] = session.generate(prompts[index], max_tokens=24, **GREEDY).tokens

    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {index: alone(engine, prompts[index], 24) for index in range(8)}
    statistics = engine.statistics()
    assert statistics["sessions"]["working"] == 0 and statistics["steps"]["largest_batch"] > 1


def test_limits_of_the_cache(tiny_path):
    with dormouse.Engine(tiny_path, without_weights=True) as engine:
        page = engine.plan(context_length=64)["cache"]
    with dormouse.Engine(tiny_path, cache_limit=2 * page, prefix_cache=False) as engine:
        with pytest.raises(dormouse.OutOfMemoryError, match="cache_limit"):
            engine.session(context_length=129)
        with engine.session(context_length=128) as first, engine.session(context_length=128) as second:
            first.prefill(prompt(65, 7))
            with pytest.raises(dormouse.OutOfMemoryError, match="cache_limit"):
                second.prefill([1])
            first.truncate(64)
            second.prefill([1])

"""Answers read by tasks of asyncio: as threads read them, and cancelled with their task."""

import asyncio
import gc
import time

import dormouse
import pytest
from conftest import MODELS

QUESTION = [{"role": "user", "content": "What is 7 plus 5?"}]
ANSWER = "7 plus 5 is 12."
ENDLESS = {"ignore_eos": True, "temperature": 5.0}


def endless(engine):
    """A session that is never full: it stays at work until it is stopped."""
    return engine.session(context_length=128, overflow="slide")


@pytest.fixture
def engine():
    """An engine whose statistics are the test's own."""
    with dormouse.Engine(MODELS / "good-v3-group8") as engine:
        yield engine


def working(engine):
    return engine.statistics()["sessions"]["working"]


def test_events(tiny):
    async def main():
        with tiny.session() as session:
            events = [event async for event in session.achat(QUESTION)]
            assert "".join(event.text for event in events) == ANSWER
            assert [event.kind for event in events] == [event.kind for event in session.chat(QUESTION)]
            assert await session.achat(QUESTION[0]["content"]).text() == ANSWER
            answer = await session.achat(QUESTION, max_tokens=2).answer()
            assert (answer.finish_reason, len(answer.tokens)) == ("length", 2)
            session.truncate(0)
            ids = tiny.tokenize_messages(QUESTION)
            assert (await session.agenerate(ids).answer()).text == ANSWER
            session.truncate(0)
            expected = session.generate("7 plus", stream=False, max_tokens=5).tokens
            session.truncate(0)
            assert (await session.agenerate("7 plus", max_tokens=5).answer()).tokens == expected

    asyncio.run(main())


def test_tasks_side_by_side(tiny):
    async def ask():
        with tiny.session() as session:
            return await session.achat(QUESTION).text()

    async def main():
        return await asyncio.gather(*(ask() for _ in range(8)))

    assert asyncio.run(main()) == [ANSWER] * 8


def test_other_tasks_get_their_turn(engine):
    """However fast events come, and however many are there already."""

    async def main():
        turns = 0

        async def count():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.ensure_future(count())
        with engine.session() as session:
            stream = session.agenerate([1, 2, 3], max_tokens=50, ignore_eos=True)
            await stream.__anext__()
            time.sleep(0.2)  # events heap up
            before = turns
            answer = await stream.answer()
            assert len(answer.tokens) == 50 and turns >= before + 50
        counting.cancel()

    asyncio.run(main())


def test_a_cancelled_task_frees_the_session(engine):
    """Whenever it is cancelled: before the work begins, ahead of the first event, in the middle. When the task is done,
    so is the work."""

    async def read(session, seen):
        async for event in session.agenerate([1], ignore_eos=True):
            seen.append(event)

    async def main():
        for count in (0, 1, 5):
            with endless(engine) as session:
                seen = []
                task = asyncio.ensure_future(read(session, seen))
                while len(seen) < count:
                    await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert working(engine) == 0
                session.truncate(0)
                assert len((await session.agenerate([1], ignore_eos=True, max_tokens=3).answer()).tokens) == 3
        for number in range(30):
            with endless(engine) as session:
                task = asyncio.ensure_future(read(session, []))
                await asyncio.sleep(number % 6 * 0.0005)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert working(engine) == 0

    asyncio.run(main())


def test_time_that_runs_out(engine):
    async def main():
        with endless(engine) as session:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(session.agenerate([1], ignore_eos=True).answer(), 0.05)
            assert working(engine) == 0

    asyncio.run(main())


def test_a_loop_that_is_left(engine):
    async def main():
        with endless(engine) as session:
            async for event in session.agenerate([1], ignore_eos=True):
                if event.kind == "token":
                    break
            del event
            gc.collect()
            assert len(session) > 0  # it waits for what is stopping
            session.truncate(0)
            async with session.agenerate([1], ignore_eos=True) as stream:
                await stream.__anext__()
            assert working(engine) == 0
            with pytest.raises(StopAsyncIteration):
                await stream.__anext__()
            # What is on its way out is waited for by the loop too.
            async for _ in session.agenerate([1], ignore_eos=True):
                break
            gc.collect()
            assert (await session.agenerate([1], ignore_eos=True, max_tokens=3).answer()).finish_reason == "length"

    asyncio.run(main())


def test_errors(tiny):
    async def main():
        with tiny.session(context_length=8) as session:
            with pytest.raises(dormouse.ContextFullError):
                await session.achat([{"role": "user", "content": "plus " * 100}]).answer()
            with pytest.raises(dormouse.InvalidArgumentError, match="max_token"):
                await session.agenerate([1], max_token=3).answer()
            stream = session.agenerate([1], ignore_eos=True)
            await stream.__anext__()
            with pytest.raises(dormouse.BusyError):
                session.achat(QUESTION)
            await stream.aclose()
            stream = session.achat(QUESTION)
        with pytest.raises((dormouse.CancelledError, ValueError), match="closed"):
            await stream.answer()
        with pytest.raises(ValueError, match="closed"):
            session.achat(QUESTION)

    asyncio.run(main())


def test_closing_what_a_task_reads(engine):
    async def main():
        session = endless(engine)
        task = asyncio.ensure_future(session.agenerate([1], ignore_eos=True).answer())
        await asyncio.sleep(0.02)
        await asyncio.get_running_loop().run_in_executor(None, session.close)
        with pytest.raises((dormouse.CancelledError, ValueError)):
            await asyncio.wait_for(task, 60)

    asyncio.run(main())


def test_a_loop_that_ends_before_its_work(engine):
    """The thread finds nobody to tell, and stops."""
    session = endless(engine)

    async def main():
        stream = session.agenerate([1], ignore_eos=True)
        await stream.__anext__()
        return stream

    stream = asyncio.run(main())
    end = time.monotonic() + 60
    while working(engine):
        assert time.monotonic() < end
        time.sleep(0.002)
    assert repr(stream).startswith("<AsyncStream after ")
    session.close()

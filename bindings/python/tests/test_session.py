"""Session: prefill, logits, answers as streams, stopping them."""

import gc
import math
import os
import signal
import subprocess
import sys
import threading
import time
import weakref

import pytest
from conftest import REPOSITORY

import dormouse

numpy = pytest.importorskip("numpy")
QUESTION = [{"role": "user", "content": "What is 7 plus 5?"}]
ANSWER = "7 plus 5 is 12."
ENDLESS = {"ignore_eos": True, "temperature": 5.0}


@pytest.fixture
def kimi_like():
    with dormouse.Engine(REPOSITORY / "examples" / "models" / "dormouse-omni") as engine:
        yield engine


def test_answer(tiny):
    with tiny.session() as session:
        answer = session.chat(QUESTION, stream=False)
        assert (answer.text, answer.finish_reason) == (ANSWER, "stop")
        assert tiny.detokenize(answer.tokens, skip_special=True) == ANSWER
        assert len(session) == len(tiny.tokenize_messages(QUESTION)) + len(answer.tokens)


def test_stream(tiny):
    with tiny.session() as session:
        events = list(session.chat(QUESTION))
        assert "".join(event.text for event in events) == ANSWER
        assert [event.kind for event in events].count("end") == 1 and events[-1].finish_reason == "stop"
        assert events[0].kind == "prompt" and events[0].prompt_tokens == events[0].prompt_done
        assert session.chat(QUESTION).text() == ANSWER


def test_next_turn_computes_only_what_is_new(tiny):
    with tiny.session() as session:
        first = session.chat(QUESTION, stream=False)
        messages = [*QUESTION, {"role": "assistant", "content": first.text}, {"role": "user", "content": "2 + 2 = ?"}]
        second = session.chat(messages, stream=False, max_tokens=2)
        assert second.end.prompt_reused >= first.end.prompt_tokens


def test_generate(tiny):
    ids = tiny.tokenize_messages(QUESTION)
    with tiny.session() as session:
        assert session.generate(ids, stream=False).text == ANSWER
        session.truncate(len(ids))
        session.prefill([5])
        assert len(session.generate(stream=False, max_tokens=3, ignore_eos=True).tokens) == 3
        session.truncate(0)
        assert session.generate("7 plus", stream=False, max_tokens=2).tokens


def test_log_probabilities(tiny):
    with tiny.session() as session:
        answer = session.chat(QUESTION, stream=False, logprobs=-1)
        assert len(answer.log_probabilities) == len(answer.tokens)
        assert all(value <= 0 for value in answer.log_probabilities)
        for event in session.chat(QUESTION, logprobs=3):
            if event.kind == "token":
                assert len(event.alternatives) == 3
                assert event.alternatives[0][0] == event.token  # greedy
                assert sum(math.exp(value) for _, value in event.alternatives) <= 1.0001


def test_seed(tiny):
    with tiny.session() as session:
        options = {"temperature": 3.0, "max_tokens": 10, "stream": False}
        texts = {seed: session.chat(QUESTION, seed=seed, **options).tokens for seed in (1, 2, 3)}
        assert texts[2] == session.chat(QUESTION, seed=2, **options).tokens
        assert len({tuple(tokens) for tokens in texts.values()}) > 1


def test_logits(bare):
    ids = [3, 1, 4, 1, 5, 9, 2, 6]
    with bare.session() as expanded, bare.session(attention="absorbed") as absorbed:
        logits = expanded.prefill_logits(ids)
        assert logits.dtype == numpy.float32 and logits.shape == (8, bare.info()["vocabulary_size"])
        numpy.testing.assert_allclose(expanded.logits(), logits[-1], rtol=1e-4, atol=1e-5)
        steps = numpy.concatenate([absorbed.prefill_logits([token]) for token in ids])
        assert numpy.linalg.norm(steps - logits) <= 1e-5 * numpy.linalg.norm(logits)
        expanded.truncate(2)
        with pytest.raises(dormouse.InvalidArgumentError):
            expanded.truncate(3)


def test_leaving_a_stream_stops_the_work(tiny):
    with tiny.session() as session:
        with session.chat(QUESTION, **ENDLESS) as stream:
            for event in stream:
                if event.generated_tokens == 3:
                    break
        # The session is free at once.
        assert session.chat(QUESTION, stream=False).text == ANSWER
        assert list(stream) == []


def test_a_second_answer_never_cuts_the_first(tiny):
    """The session is taken until the first one is read to its end, closed or forgotten."""
    with tiny.session() as session:
        first = session.chat(QUESTION)
        text = next(first).text + next(first).text
        for call in (session.chat, session.achat, session.generate, session.agenerate):
            with pytest.raises(dormouse.BusyError, match="not read to its end"):
                call("x")
        second = tiny.session().chat(QUESTION)
        assert next(second).kind == "prompt"
        assert first.text() == ANSWER and ANSWER.startswith(text)
        assert session.chat(QUESTION, stream=False).text == ANSWER


def test_streams_that_have_not_begun_take_nothing(tiny):
    with tiny.session() as session:
        early, late = session.chat(QUESTION), session.chat(QUESTION)
        assert late.text() == early.text() == ANSWER
        early, late = session.chat(QUESTION), session.chat(QUESTION)
        next(early)
        with pytest.raises(dormouse.BusyError):
            next(late)
        early.close()
        assert late.text() == ANSWER


def test_a_forgotten_stream_frees_what_it_holds(tiny):
    with tiny.session() as session:
        for event in session.chat(QUESTION, **ENDLESS):
            if event.kind == "token":
                break
        assert 0 < len(session) < 4096
        session.truncate(0)
        iterator = iter(session.chat(QUESTION, **ENDLESS))
        next(iterator)
        del iterator
        assert session.chat(QUESTION, stream=False).text == ANSWER
        held = weakref.ref(session)
        stream = session.chat(QUESTION, **ENDLESS)
        next(stream)
    del stream, session
    gc.collect()
    assert held() is None


def test_media_go_with_the_answer(kimi_like):
    """The images of an answer are held while it is made, and no longer."""
    with kimi_like.session() as session:
        image = dormouse.Image(numpy.zeros((28, 28, 3), numpy.uint8))
        stream = session.chat({"role": "user", "content": [image, "x"]}, max_tokens=1, ignore_eos=True)
        held = weakref.ref(image)
        del image
        assert held() is not None
        stream.answer()
        gc.collect()
        assert held() is None


def test_after_the_end_the_session_is_free(tiny):
    """With the last event in hand, no call is a BusyError by chance."""
    with tiny.session() as session:
        for _ in range(50):
            for event in session.chat(QUESTION, max_tokens=2):
                if event.kind == "end":
                    assert len(session) > 0
                    session.truncate(0)


def test_cancel_from_another_thread(tiny):
    with tiny.session() as session:
        timer = threading.Timer(0.2, session.cancel)
        timer.start()
        with pytest.raises(dormouse.CancelledError):
            while True:  # until the cancel falls into a call
                session.chat(QUESTION, stream=False, **ENDLESS)
                session.truncate(0)
        timer.join()


def test_errors_come_out_of_the_stream(tiny):
    with tiny.session(context_length=8) as session:
        stream = session.chat([{"role": "user", "content": "plus " * 100}])
        with pytest.raises(dormouse.ContextFullError):
            next(stream)
        with pytest.raises(dormouse.InvalidArgumentError, match="max_token"):
            session.generate([1], stream=False, max_token=3)
        with pytest.raises(dormouse.InvalidArgumentError):
            session.generate([1], stream=False, temperature="hot")
        with pytest.raises(dormouse.InvalidArgumentError):
            session.prefill([1 << 30])
        with pytest.raises(ValueError):
            session.prefill([1 << 40])
        with pytest.raises(ValueError):
            session.truncate(-1)


def test_closed(tiny):
    session = tiny.session()
    stream = session.chat(QUESTION, **ENDLESS)
    next(stream)
    session.close()
    session.close()
    session.cancel()
    assert not session
    with pytest.raises(ValueError, match="closed"):
        session.prefill([1])


PROGRAM = """
import sys, dormouse
engine = dormouse.Engine(sys.argv[1])
session = engine.session()
print("ready", flush=True)
try:
    while True:
        {work}
        session.truncate(0)
except KeyboardInterrupt:
    print("interrupted", session.chat({question!r}, stream=False).text, flush=True)
"""


@pytest.mark.parametrize(
    "work",
    [
        "session.prefill([5] * 1000)",
        "session.chat({question!r}, ignore_eos=True, stream=False)",
        "[event for event in session.chat({question!r}, ignore_eos=True)]",
    ],
)
def test_keyboard_interrupt(tiny_path, work):
    """Ctrl-C is heard within a step, and leaves the session usable."""
    program = PROGRAM.format(work=work.format(question=QUESTION), question=QUESTION)
    process = subprocess.Popen([sys.executable, "-c", program, tiny_path], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.7)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, f"interrupted {ANSWER}\n")


def test_the_interpreter_ends_while_a_stream_runs(tiny_path):
    program = f"""
import sys, dormouse
session = dormouse.Engine(sys.argv[1]).session()
next(session.chat({QUESTION!r}, ignore_eos=True))
"""
    done = subprocess.run([sys.executable, "-c", program, os.fspath(tiny_path)], capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")

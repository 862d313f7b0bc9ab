"""Embeddings: one text behind a session's tokens, and many at once."""

import json
import threading

import dormouse
import numpy
import pytest
from conftest import MODELS, REPOSITORY

TEXTS = ["What is 7 plus 5?", "a", "one two three", "And minus 3?"] * 6


def goldens(model):
    data = (REPOSITORY / "Tests" / "Fixtures" / "embeddings" / "goldens.safetensors").read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])

    def tensor(name):
        entry = header[f"{model}.{name}"]
        first, end = (8 + size + offset for offset in entry["data_offsets"])
        kind = {"I32": numpy.int32, "F32": numpy.float32}[entry["dtype"]]
        return numpy.frombuffer(data[first:end], kind).reshape(entry["shape"])

    return tensor("input_ids"), tensor("last"), tensor("mean")


@pytest.mark.parametrize("model", ["good-v3-group8", "good-dots-published"])
def test_equal_to_transformers(model):
    ids, last, mean = goldens(model)
    texts = [ids[:length] for length in (1, 64, 65, 600)]
    with dormouse.Engine(MODELS / model) as engine:
        for pooling, expected in (("last", last), ("mean", mean)):
            found = engine.embed(texts, pooling=pooling)
            assert found.dtype == numpy.float32 and found.shape == expected.shape
            errors = numpy.linalg.norm(found - expected, axis=1) / numpy.linalg.norm(expected, axis=1)
            assert errors.max() <= 1e-5


def test_one_is_as_many(tiny):
    rows = tiny.embed(TEXTS, normalize=True)
    assert rows.shape == (len(TEXTS), tiny.info()["hidden_size"])
    numpy.testing.assert_allclose(numpy.linalg.norm(rows, axis=1), 1, rtol=1e-5)
    with tiny.session() as session:
        for text, row in zip(TEXTS, rows):
            numpy.testing.assert_allclose(session.embed(text, normalize=True), row, atol=1e-5)
        assert len(session) == 0
    assert tiny.embed([]).shape == (0, rows.shape[1])


def test_a_session_stays_as_it_was(tiny):
    with tiny.session() as session:
        session.prefill(tiny.tokenize("What is"))
        length, logits = len(session), session.logits()
        row = session.embed(" 7 plus 5?", pooling="mean")
        assert row.shape == (tiny.info()["hidden_size"],)
        assert len(session) == length and (session.logits() == logits).all()
        with pytest.raises(dormouse.TimedOutError):
            session.embed("x", time_limit=1e-9)
        assert len(session) == length


def test_what_is_wrong_is_told(tiny, bare):
    with pytest.raises(TypeError, match="not a list of texts"):
        tiny.embed("a text")
    for options in ({"pooling": "max"}, {"normalise": True}, {"priority": 1000}):
        with pytest.raises(dormouse.InvalidArgumentError, match=next(iter(options))):
            tiny.embed(["a", "b"], **options)
    with pytest.raises(dormouse.InvalidArgumentError, match="no tokens"):
        bare.embed([[1, 2], []])
    with pytest.raises(dormouse.InvalidArgumentError, match="not an id"):
        bare.embed([[1, 2], [1 << 20]])
    with pytest.raises(dormouse.TimedOutError):
        bare.embed([[1] * 500] * 50, time_limit=1e-6)
    with pytest.raises(dormouse.NotFoundError):
        bare.embed(["a text"])


def test_beside_answers(tiny):
    """While another session answers, and from several threads at once."""
    alone = tiny.embed(TEXTS)
    with tiny.session() as session:
        stream = session.chat("What is 7 plus 5?", max_tokens=200, ignore_eos=True)
        next(stream)
        found = {}
        threads = [threading.Thread(target=lambda n=n: found.update({n: tiny.embed(TEXTS)})) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stream.close()
    assert len(found) == 3
    for rows in found.values():
        numpy.testing.assert_allclose(rows, alone, atol=1e-5)

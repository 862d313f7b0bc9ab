"""Speech: a Whisper model by itself, and beside a model that reads only."""

import array
import io
import threading
import wave
from pathlib import Path

import dormouse
import numpy as np
import pytest
from conftest import REPOSITORY

WHISPER = REPOSITORY / "Tests" / "Fixtures" / "whisper" / "good-multilingual"
GREEDY = {"temperature": 0, "ignore_eos": True, "max_tokens": 8, "stream": False}


def samples(seconds=2.0, pitch=220):
    times = np.arange(int(16000 * seconds)) / 16000
    return (0.4 * np.sin(2 * np.pi * pitch * times) * np.sin(9 * times)).astype(np.float32)


@pytest.fixture
def audio(tmp_path):
    """A real file, and the samples that it decodes to."""
    whole = np.round(samples() * 32767).astype("<i2")
    path = tmp_path / "speech.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(whole.tobytes())
    return path, whole.astype(np.float32) / 32768


@pytest.fixture(scope="module")
def transcriber():
    with dormouse.Transcriber(WHISPER, threads=2) as opened:
        yield opened


def test_files_and_samples(transcriber, audio):
    path, floats = audio
    expected = transcriber.transcribe(floats, rate=16000)
    assert expected.text and expected.language and expected.segments
    assert "".join(segment.text for segment in expected.segments).strip() == expected.text
    for way in (path, str(path), path.read_bytes(), dormouse.Audio(path), dormouse.Audio(floats, rate=16000)):
        assert transcriber.transcribe(way) == expected
    first = expected.segments[0]
    assert 0 <= first.start < first.end <= 2.1 and first.tokens and first.language == expected.language


def test_open_files_and_whole_numbers(transcriber, audio):
    """Samples of whole numbers are scaled by what their type goes up to, as those of a file."""
    path, floats = audio
    expected = transcriber.transcribe(path)
    with open(path, "rb") as file:
        assert transcriber.transcribe(file) == expected
    for content in (memoryview(path.read_bytes()), io.BytesIO(path.read_bytes())):
        assert transcriber.transcribe(content) == expected
    short = np.round(floats * 32768).astype(np.int16)
    same = [
        short, short[:, None], np.stack([short, short], 1), short.astype(np.int32) << 16, memoryview(short),
        array.array("h", short.tolist()), floats.astype(np.float64), floats.tolist(), list(short),
        (short.astype(np.int32) + 32768).astype(np.uint16),
    ]
    for samples_ in same:
        assert transcriber.transcribe(samples_, rate=np.int64(16000)) == expected, type(samples_)
    bytes_ = (short >> 8).astype(np.int8)
    eight = transcriber.transcribe((bytes_.astype(np.float32) / 128), rate=16000)
    assert transcriber.transcribe(bytes_, rate=16000) == eight
    assert transcriber.transcribe((bytes_.astype(np.int16) + 128).astype(np.uint8), rate=16000) == eight
    for wrong in (short.astype(np.int64), short.tolist(), short > 0):
        with pytest.raises(ValueError, match="samples"):
            transcriber.transcribe(wrong, rate=16000)
    assert repr(expected).startswith("<Transcript ") and repr(expected).endswith(" segments>")
    assert repr(transcriber) == "<Transcriber good-multilingual>"


def test_closing_from_another_thread(audio):
    """Its call ends with an error, and nothing is freed under it; also where the call's own callback closes it."""
    for close in (lambda opened: threading.Thread(target=opened.close).start(), lambda opened: opened.close()):
        opened = dormouse.Transcriber(WHISPER, threads=2)
        with pytest.raises(dormouse.CancelledError):
            opened.transcribe(samples(900), rate=16000, on_segment=lambda _: close(opened))
        with pytest.raises(ValueError, match="closed"):
            opened.transcribe(samples(), rate=16000)


def test_options(transcriber):
    floats = samples()
    german = transcriber.transcribe(floats, rate=16000, language="de", temperature=0)
    assert german.language == "de" and all(segment.temperature == 0 for segment in german.segments)
    translation = transcriber.transcribe(floats, rate=16000, language="de", task="translate", temperature=0)
    assert translation.segments != german.segments
    drawn = [transcriber.transcribe(floats, rate=16000, temperature=1.0, seed=seed).text for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_segments_come_one_by_one(transcriber):
    seen = []
    transcript = transcriber.transcribe(samples(70), rate=16000, on_segment=seen.append)
    assert len(seen) > 1 and tuple(seen) == transcript.segments
    with pytest.raises(KeyError, match="enough"):
        transcriber.transcribe(samples(70), rate=16000, on_segment=lambda _: {}["enough"])


def test_cancel(transcriber):
    def cancel(_):
        threading.Thread(target=transcriber.cancel).start()

    with pytest.raises(dormouse.CancelledError, match="the transcriber was cancelled"):
        transcriber.transcribe(samples(900), rate=16000, on_segment=cancel)
    assert transcriber.transcribe(samples(), rate=16000).segments


def test_what_is_wrong(transcriber, tmp_path):
    with pytest.raises(dormouse.InvalidArgumentError, match="'xx'|\"xx\""):
        transcriber.transcribe(samples(), rate=16000, language="xx")
    with pytest.raises(dormouse.InvalidArgumentError, match="beams"):
        transcriber.transcribe(samples(), rate=16000, beams=5)
    with pytest.raises(ValueError, match="rate"):
        transcriber.transcribe(samples())
    with pytest.raises(ValueError, match="already"):
        transcriber.transcribe(dormouse.Audio(samples(), rate=16000), rate=16000)
    with pytest.raises(dormouse.InvalidArgumentError, match="0 samples"):
        transcriber.transcribe(dormouse.Audio([], rate=16000))
    with pytest.raises(dormouse.NotFoundError, match="none.wav"):
        transcriber.transcribe(tmp_path / "none.wav")
    with pytest.raises(dormouse.NotFoundError, match="nowhere"):
        dormouse.Transcriber(tmp_path / "nowhere")
    with pytest.raises(dormouse.OutOfMemoryError, match="good-multilingual"):
        dormouse.Transcriber(WHISPER, memory_limit=1000)
    with pytest.raises(ValueError, match="residency"):
        dormouse.Transcriber(WHISPER, residency="somewhere")
    closed = dormouse.Transcriber(WHISPER)
    closed.close()
    with pytest.raises(ValueError, match="closed"):
        closed.transcribe(samples(), rate=16000)


def test_loading_can_be_stopped():
    def stop(done, total):
        raise LookupError("not now")

    with pytest.raises(LookupError, match="not now"):
        dormouse.Transcriber(WHISPER, progress=stop)


def test_chats_with_speech(tiny_path, transcriber, audio):
    path, floats = audio
    text = transcriber.transcribe(floats, rate=16000).text
    with dormouse.Engine(tiny_path, threads=2, media={"speech_model": WHISPER, "roots": [path.parent]}) as engine:
        written = [{"role": "user", "content": f"say: {text}"}]
        named = {"type": "input_audio", "input_audio": {"url": str(path)}}
        for part in (dormouse.Audio(floats, rate=16000), dormouse.Audio(path), named):
            spoken = [{"role": "user", "content": ["say: ", part]}]
            assert engine.tokenize_messages(spoken) == engine.tokenize_messages(written)
        assert engine.render_messages([{"role": "user", "content": ["say: ", named]}]) == engine.render_messages(written)
        with engine.session(private=True) as session, engine.session(private=True) as other:
            fresh = dormouse.Audio(samples(pitch=300), rate=16000)
            answers = [session.chat([{"role": "user", "content": [fresh, "hm"]}], **GREEDY) for _ in range(2)]
            assert answers[0].end.transcribed_tokens > 0 == answers[1].end.transcribed_tokens
            assert answers[0].end.transcribed_seconds == answers[1].end.transcribed_seconds == 2
            assert answers[0].end.audio_tokens == 0
            expected = other.chat(written, **GREEDY)
            assert session.chat([{"role": "user", "content": ["say: ", dormouse.Audio(path)]}], **GREEDY).tokens == (
                expected.tokens
            )


def test_a_failed_opening_leaves_no_thread(tiny_path):
    """The text model is there, and the speech model finds no memory."""

    def schedulers():
        return [path.read_text() for path in Path("/proc/self/task").glob("*/comm")].count("dormouse-0\n")

    before = schedulers()
    with dormouse.Engine(tiny_path) as engine:
        used = engine.statistics()["memory"]["used"]
        assert schedulers() == before + 1
    with pytest.raises(dormouse.OutOfMemoryError, match="speech_model"):
        dormouse.Engine(tiny_path, media={"speech_model": WHISPER}, memory_limit=used + 1000)
    assert schedulers() == before


def test_chats_without_speech(tiny):
    with tiny.session() as session, pytest.raises(dormouse.UnsupportedError, match="speech_model"):
        session.chat([{"role": "user", "content": [dormouse.Audio(samples(), rate=16000)]}], **GREEDY)

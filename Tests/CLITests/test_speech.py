"""Speech on the command line: `transcribe`, and `run --speech-model`, through real files."""

import json
import math
import struct
import wave
from pathlib import Path

import pytest

WHISPER = Path(__file__).resolve().parents[1] / "Fixtures" / "whisper" / "good-multilingual"
GREEDY = ["--temperature", "0", "--max-tokens", "8", "--json"]


@pytest.fixture
def audio(tmp_path):
    path = tmp_path / "speech.wav"
    tone = [int(12000 * math.sin(index * 0.09) * math.sin(index * 0.0006)) for index in range(32000)]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(struct.pack("<32000h", *tone))
    return path


def test_transcribe(dormouse, audio):
    result = dormouse("transcribe", WHISPER, audio, "--json")
    assert result.status == 0, result.error
    *segments, end = result.lines
    assert segments and {line["event"] for line in segments} == {"segment"} and end["event"] == "end"
    assert end["text"] == "".join(line["text"] for line in segments) != ""
    assert end["language"] == segments[0]["language"]
    assert 0 <= segments[0]["start"] < segments[0]["end"] <= 2.1
    lines = dormouse("transcribe", WHISPER / "config.json", audio, "--threads", "2").out
    assert lines == "".join(f"[{line['start']:.2f} - {line['end']:.2f}]{line['text']}\n" for line in segments)


def test_language_and_task(dormouse, audio):
    texts = []
    for options in [["--language", "de"], ["--language", "de", "--task", "translate"]]:
        result = dormouse("transcribe", WHISPER, audio, *options, "--json")
        assert result.status == 0, result.error
        assert result.lines[-1]["language"] == "de"
        texts.append(result.out)
    assert texts[0] != texts[1]


@pytest.mark.parametrize(
    ("options", "status", "fragment"),
    [
        (["--language", "xx"], 1, "is unknown to the model"),
        (["--task", "sing"], 2, "transcribe"),
        (["--threads", "0"], 2, "--threads"),
        (["--memory", "1K"], 1, "memory_limit"),
    ],
)
def test_wrong_options(dormouse, audio, options, status, fragment):
    result = dormouse("transcribe", WHISPER, audio, *options)
    assert (result.status, result.out) == (status, "")
    assert fragment in result.error


def test_wrong_files(dormouse, audio, tiny, tmp_path):
    result = dormouse("transcribe", WHISPER, tmp_path / "none.wav")
    assert (result.status, result.out) == (1, "") and "none.wav: cannot open" in result.error
    result = dormouse("transcribe", tmp_path / "nowhere", audio)
    assert (result.status, result.out) == (1, "") and "nowhere" in result.error
    result = dormouse("transcribe", tiny, audio)
    assert (result.status, result.out) == (1, "") and "config.json" in result.error
    (tmp_path / "noise.wav").write_bytes(b"nothing of the kind")
    result = dormouse("transcribe", WHISPER, tmp_path / "noise.wav")
    assert (result.status, result.out) == (1, "") and "noise.wav" in result.error


def test_chats_with_speech(dormouse, tiny, audio):
    text = dormouse("transcribe", WHISPER, audio, "--json").lines[-1]["text"].strip()
    spoken = dormouse("run", tiny, "-p", "say", "--audio", audio, "--speech-model", WHISPER, *GREEDY)
    assert spoken.status == 0, spoken.error
    messages = json.dumps([{"role": "user", "content": text + "say"}])
    written = dormouse("run", tiny, "--messages", "-", *GREEDY, input=messages)
    assert [line.get("token") for line in spoken.lines] == [line.get("token") for line in written.lines]
    assert spoken.lines[-1]["transcribed_tokens"] > 0 and spoken.lines[-1]["transcribed_seconds"] == 2
    assert written.lines[-1]["transcribed_tokens"] == 0 == spoken.lines[-1]["audio_tokens"]


def test_chats_without_speech(dormouse, tiny, audio):
    result = dormouse("run", tiny, "-p", "say", "--audio", audio)
    assert (result.status, result.out) == (1, "") and "speech_model" in result.error
    result = dormouse("run", tiny, "-p", "say", "--audio", audio, "--speech-model", "/nowhere")
    assert (result.status, result.out) == (1, "") and "media_config: speech_model: /nowhere" in result.error

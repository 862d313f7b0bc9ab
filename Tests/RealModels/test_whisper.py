"""Real Whisper weights: `dormouse transcribe` and faster-whisper write the same of the same audio.

Both take the most likely token each time, from the same weights in float32, and hear the same 30 seconds: sentences of
espeak-ng, filled up with silence (faster-whisper fills a shorter audio up otherwise than OpenAI's and transformers do).
Where the texts part, the two tokens must be as good as equally likely.
"""

import json
import os
import pathlib
import subprocess
import wave

import numpy as np
import pytest

faster_whisper = pytest.importorskip("faster_whisper")
import ctranslate2  # noqa: E402
from ctranslate2_whisper import convert  # noqa: E402

import dormouse  # noqa: E402

FOLDER = pathlib.Path(os.environ.get("DORMOUSE_REAL_MODELS", "/nonexistent"))
COMMAND = os.environ.get("DORMOUSE_BIN", "dormouse")
RATE, SECONDS = 16000, 30
NEAR_TIE = 1e-3  # difference of log-probabilities
SENTENCES = {
    "en": ("en-us", "The quick brown fox jumps over the lazy dog."),
    "de": ("de", "Der Zug nach Hamburg fährt heute um zehn Uhr ab."),
    "fr": ("fr-fr", "Le chat dort sur la table de la cuisine."),
    "it": ("it", "Il museo apre alle nove di mattina."),
    "pl": ("pl", "Dzisiaj jest bardzo ładna pogoda."),
    "ru": ("ru", "Сегодня хорошая погода в Москве."),
    "pt": ("pt-br", "Eu gosto muito de café com leite."),
}
PLAIN = {"temperature": 0.0, "compression_ratio_threshold": None, "no_speech_threshold": None}


@pytest.fixture(scope="session")
def recordings(tmp_path_factory):
    """Makes a WAV file of a sentence; gives its path and its samples."""
    folder = tmp_path_factory.mktemp("recordings")

    def make(language):
        voice, text = SENTENCES[language]
        path = folder / f"{language}.wav"
        if not path.exists():
            spoken = folder / f"{language}.spoken.wav"
            subprocess.run(["espeak-ng", "-v", voice, "-s", "140", "-w", spoken, text], check=True)
            subprocess.run(
                ["ffmpeg", "-v", "error", "-i", spoken, "-af", f"aresample={RATE},apad=whole_len={RATE * SECONDS}",
                 "-ac", "1", "-c:a", "pcm_s16le", path], check=True)  # fmt: skip
        with wave.open(str(path)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768
        assert len(samples) == RATE * SECONDS
        return path, samples

    return make


def times(segments):
    return [time for segment in segments for time in (segment.start, segment.end)]


class Pair:
    """The same weights for both."""

    def __init__(self, name, folder):
        source = FOLDER / name
        self.folder = folder / name
        convert(source, self.folder)
        self.theirs = faster_whisper.WhisperModel(str(source), device="cpu", compute_type="float32", cpu_threads=2)
        self.ours = dormouse.Transcriber(self.folder)
        self.suppressed = json.loads((self.folder / "generation_config.json").read_text())["suppress_tokens"]

    def compare(self, samples, timestamps, language=None):
        """-> our transcript, after the comparison"""
        segments, info = self.theirs.transcribe(
            samples, language=language, beam_size=1, best_of=1, condition_on_previous_text=False,
            without_timestamps=not timestamps, log_prob_threshold=None, suppress_tokens=self.suppressed, **PLAIN)
        segments = list(segments)
        ours = self.ours.transcribe(
            samples, rate=RATE, timestamps=timestamps, logprob_threshold=None, **({"language": language} if language else {}),
            **PLAIN)
        theirs = "".join(segment.text for segment in segments)
        text = "".join(segment.text for segment in ours.segments)
        if self.theirs.model.is_multilingual:
            assert ours.language == info.language
        for segment in ours.segments:
            assert 0 <= segment.start <= segment.end <= SECONDS
        if text == theirs:
            if timestamps:
                assert times(ours.segments) == pytest.approx(times(segments))
            return ours
        assert len(ours.segments) == len(segments) == 1, f"{text!r} instead of {theirs!r}"
        gap, what = self.difference(
            samples, info.language, timestamps, segments[0].tokens, list(ours.segments[0].tokens))
        print(f"{info.language}: {what}")
        assert abs(gap) < NEAR_TIE, what
        return ours

    def difference(self, samples, language, timestamps, theirs, ours):
        """-> by how much their log-probability of their token is above that of ours where the tokens part, and a sentence"""
        end = self.theirs.hf_tokenizer.token_to_id("<|endoftext|>")
        theirs, ours = theirs + [end], ours + [end]
        place = next(index for index, (left, right) in enumerate(zip(theirs, ours)) if left != right)
        tokenizer = faster_whisper.tokenizer.Tokenizer(
            self.theirs.hf_tokenizer, self.theirs.model.is_multilingual, task="transcribe", language=language)
        prompt = self.theirs.get_prompt(tokenizer, [], without_timestamps=not timestamps) + theirs[:place]
        features = np.ascontiguousarray(self.theirs.feature_extractor(samples)[None, :, : SECONDS * 100])
        step = self.theirs.model.generate(
            ctranslate2.StorageView.from_array(features), [prompt], beam_size=1, max_length=2 * place + 4,
            return_logits_vocab=True)[0]  # fmt: skip
        # Tokens that were forced are written too; half of max_length is for them and what follows.
        logits = np.array(step.logits[0][place], np.float64)
        gap = logits[theirs[place]] - logits[ours[place]]
        names = [self.theirs.hf_tokenizer.id_to_token(tokens[place]) for tokens in (theirs, ours)]
        return gap, f"token {place} is {names[1]!r} instead of {names[0]!r}; log-probabilities differ by {gap:.1e}"


def pair(name):
    @pytest.fixture(scope="module")
    def made(tmp_path_factory):
        if not (FOLDER / name).is_dir():
            pytest.skip(f"no {name} in DORMOUSE_REAL_MODELS")
        return Pair(name, tmp_path_factory.mktemp("folders"))

    return made


base, english = pair("whisper-base"), pair("whisper-tiny.en")


@pytest.mark.parametrize("language", SENTENCES)
def test_many_languages(base, recordings, language):
    """The language is detected by both."""
    ours = base.compare(recordings(language)[1], timestamps=False)
    assert len(ours.segments) == 1 and len(ours.text) > 10


@pytest.mark.parametrize("language", ["en", "de"])
def test_timestamps(base, recordings, language):
    ours = base.compare(recordings(language)[1], timestamps=True, language=language)
    assert 1 < ours.segments[-1].end < 10


@pytest.mark.parametrize("timestamps", [False, True])
def test_english_alone(english, recordings, timestamps):
    ours = english.compare(recordings("en")[1], timestamps=timestamps)
    assert ours.text.startswith("The quick")


def test_what_is_no_near_tie(base, recordings):
    """Any other token than theirs is less likely by far: the comparison can fail, and looks at the right place."""
    _, samples = recordings("en")
    segments, _ = base.theirs.transcribe(
        samples, language="en", beam_size=1, without_timestamps=True, suppress_tokens=base.suppressed, **PLAIN)
    tokens = next(segments).tokens
    assert base.ours.transcribe(samples, rate=RATE, timestamps=False, **PLAIN).segments[0].tokens == tuple(tokens)
    other = tokens[:3] + [tokens[3] + 1] + tokens[4:]
    gap, what = base.difference(samples, "en", False, tokens, other)
    assert gap > 10, what


def test_the_command_writes_the_same(base, recordings):
    path, samples = recordings("de")
    ours = base.ours.transcribe(samples, rate=RATE, temperature=0.0)
    lines = subprocess.run(
        [COMMAND, "transcribe", base.folder, path, "--json"], check=True, capture_output=True, text=True).stdout.splitlines()
    end = json.loads(lines[-1])
    assert end["event"] == "end" and end["text"].strip() == ours.text and end["language"] == "de"


def test_the_published_tokenizer_has_an_empty_token(base):
    vocabulary = json.loads((base.folder / "tokenizer.json").read_text())["model"]["vocab"]
    assert vocabulary[""] == 50256

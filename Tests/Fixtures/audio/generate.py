"""Writes features.safetensors: log-mel features of transformers' extractors for audio by formula; resampled.safetensors:
audio at other rates by the formula of torchaudio's `sinc_interp_kaiser`, in double precision.

Run with Python 3.11, transformers 5.23.0, torch:
    python Tests/Fixtures/audio/generate.py
"""

import pathlib

import numpy as np
from safetensors.numpy import save_file
from transformers import Dots3NoteFeatureExtractor, WhisperFeatureExtractor

import synthetic_audio

HERE = pathlib.Path(__file__).parent
SHOWN = 9  # whole frames in the file
EVERY = 8  # of these frames the mean; of all together the mean of every channel


def summary(features):
    """Some whole frames of [channels, frames], the means of others, and the mean of every channel."""
    frames = features.T.astype(np.float32)
    chosen = np.unique(np.linspace(0, len(frames) - 1, SHOWN).astype(np.int32))
    return {
        "frames": chosen,
        "rows": frames[chosen],
        "count": np.array([len(frames)], np.int32),
        "frame_means": frames[::EVERY].mean(1, dtype=np.float64).astype(np.float32),
        "channel_means": frames.mean(0, dtype=np.float64).astype(np.float32),
    }


def whisper(sound, channels, **options):
    extractor = WhisperFeatureExtractor(feature_size=channels)
    return extractor(sound, sampling_rate=synthetic_audio.RATE, return_tensors="np", **options)["input_features"][0]


def features():
    short, long = synthetic_audio.voice(75001, 1), synthetic_audio.voice(40 * synthetic_audio.RATE + 5927, 2)
    result = {
        "short-80": whisper(short, 80),
        "whole-128": whisper(synthetic_audio.voice(30 * synthetic_audio.RATE, 3), 128),
        "cut-80": whisper(long, 80),
        "long-80": whisper(long, 80, truncation=False, padding="longest"),
        "windows-128": whisper(long, 128, truncation=False, padding=True, pad_to_multiple_of=480000),
        "silence-80": whisper(np.zeros(16000, np.float32), 80),
        "loud-80": whisper((30 * synthetic_audio.noise(48000, 4)).astype(np.float32), 80),
        "few-samples-80": whisper(synthetic_audio.voice(3, 5), 80),
    }
    dots = Dots3NoteFeatureExtractor()(synthetic_audio.voice(61 * synthetic_audio.RATE + 4321, 6), sampling_rate=synthetic_audio.RATE)
    for index, chunk in enumerate(dots["input_features"].numpy()):
        result[f"dots-{index}"] = chunk
    return {f"{name}.{key}": value for name, array in result.items() for key, value in summary(array).items()}


def resample(sound, rate, target, width=64, rolloff=0.9475937167399596, beta=14.769656459379492):
    """torchaudio.functional.resample with `sinc_interp_kaiser`, sample by sample, in double precision."""
    base = min(rate, target) * rolloff
    count = -(-len(sound) * target // rate)
    x = sound.astype(np.float64)
    reach = int(np.ceil(width * rate / base)) + 1
    result = np.empty(count)
    for index in range(count):
        centre = index * rate / target
        first = int(np.floor(centre)) - reach
        taps = np.arange(first, first + 2 * reach + 2)
        distance = np.clip((taps / rate - index / target) * base, -width, width)
        window = np.i0(beta * np.sqrt(1 - (distance / width) ** 2)) / np.i0(beta)
        weights = np.sinc(distance) * window * base / rate
        inside = (taps >= 0) & (taps < len(sound))
        result[index] = weights[inside] @ x[taps[inside]]
    return result.astype(np.float32)


def resampled():
    cases = {8000: 1001, 44100: 4003, 48000: 3999, 11025: 1001, 22050: 2003, 96000: 7011}
    return {f"rate-{rate}": resample(synthetic_audio.voice(count, 7), rate, synthetic_audio.RATE) for rate, count in cases.items()}


if __name__ == "__main__":
    save_file(features(), HERE / "features.safetensors")
    save_file(resampled(), HERE / "resampled.safetensors")

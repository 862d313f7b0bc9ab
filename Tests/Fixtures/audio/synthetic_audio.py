"""Audio by formula, so that no fixture holds any; `Tests/Support/SyntheticAudio.swift` makes the same."""

import numpy as np

RATE = 16000


def noise(count, seed):
    """Uniform in -1..1, exact in float32: a hash of the index."""
    x = (np.arange(count, dtype=np.uint64) * 0x9E3779B1 + seed * 0x85EBCA77) & 0xFFFFFFFF
    x ^= x >> 16
    x = (x * 0x7FEB352D) & 0xFFFFFFFF
    x ^= x >> 15
    x = (x * 0x846CA68B) & 0xFFFFFFFF
    x ^= x >> 16
    return (x >> 8).astype(np.float64) / 2**23 - 1


def voice(count, seed):
    """Gliding tones whose loudness swells, a chirp, noise, and half a second of silence in every two and a half."""
    i = np.arange(count)
    t = i / RATE
    swell = 0.5 + 0.5 * np.sin(2 * np.pi * 1.3 * t + seed)
    tone = np.sin(2 * np.pi * (220 + 35 * seed) * t + 60 * np.sin(2 * np.pi * 0.5 * t))
    sweep = np.fmod(t, 3)
    chirp = np.sin(2 * np.pi * (300 * sweep + 700 * sweep * sweep))
    mixed = 0.4 * tone * swell + 0.15 * chirp + 0.05 * noise(count, seed)
    return np.where((i // 8000) % 5 == 3, 0.0, mixed).astype(np.float32)

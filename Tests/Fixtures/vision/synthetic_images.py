"""Images by formula, so that no fixture holds any; `Tests/Support/SyntheticImages.swift` makes the same ones."""

import numpy as np


def image(width, height, seed=0):
    """[height, width, 3], uint8: smooth in places, steep in others."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    return ((x * x * 3 + y * y * 5 + x * y * 7 + c * 50 + x * 11 + y * 23 + seed * 31) % 256).astype(np.uint8)


def video(frames, width, height, seed=0):
    """[frames, height, width, 3]."""
    return np.stack([image(width, height, seed + frame) for frame in range(frames)])

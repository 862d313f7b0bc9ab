"""Number formats of weights: to them and back, in numpy, by the rules that define them.

Groups and blocks lie along the last axis, as weights are read. Every function takes finite float32 and returns new
arrays.
"""

import numpy as np

GROUP = 32  # weights that share a scale in Q8_0 and Q4_0
FLOAT8_BLOCK = 128  # rows and columns that share a scale in DeepSeek-V3's fp8
FLOAT8_MOST = 448.0  # the largest e4m3 number


def to_bfloat16(values: np.ndarray) -> np.ndarray:
    """float32 -> the bits of the nearest bfloat16 (ties to even), uint16 of the same shape."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_bfloat16(bits: np.ndarray) -> np.ndarray:
    """Bits of bfloat16, uint16 -> float32 of the same shape."""
    return (np.ascontiguousarray(bits).astype(np.uint32) << 16).view(np.float32)


def round_q8_0(values: np.ndarray) -> np.ndarray:
    """What llama.cpp's Q8_0 keeps of `values`: integers in -127...127 times a float16 scale for each 32.

    The scale is the greatest magnitude / 127; integers come from the scale before it is rounded to float16.
    """
    groups = _groups(values)
    scale = np.abs(groups).max(axis=-1, keepdims=True) / np.float32(127)
    integers = _half_away_from_zero(groups * _inverse(scale))
    return (integers * _through_float16(scale)).reshape(values.shape)


def round_q4_0(values: np.ndarray) -> np.ndarray:
    """What llama.cpp's Q4_0 keeps of `values`: integers in 0...15, less 8, times a float16 scale for each 32.

    The scale is the value of the greatest magnitude / -8, sign included, so that this value becomes 0 (that is, -8).
    """
    groups = _groups(values)
    place = np.abs(groups).argmax(axis=-1)[..., None]
    scale = np.take_along_axis(groups, place, axis=-1) / np.float32(-8)
    integers = np.minimum(15, np.trunc(groups * _inverse(scale) + np.float32(8.5)))
    return ((integers - np.float32(8)) * _through_float16(scale)).reshape(values.shape)


def to_float8(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A float32 matrix -> (e4m3 bits, uint8 [rows, columns]; scales, float32 [rows / 128, columns / 128], rounded up).

    As in DeepSeek-V3's checkpoints, where the scales are called `weight_scale_inv`: a weight is its number times the
    scale of its block.
    """
    rows, columns = values.shape
    grid = (-(-rows // FLOAT8_BLOCK), -(-columns // FLOAT8_BLOCK))
    padded = np.zeros((grid[0] * FLOAT8_BLOCK, grid[1] * FLOAT8_BLOCK), np.float32)
    padded[:rows, :columns] = values
    blocks = padded.reshape(grid[0], FLOAT8_BLOCK, grid[1], FLOAT8_BLOCK)
    scales = np.abs(blocks).max(axis=(1, 3)) / np.float32(FLOAT8_MOST)
    scaled = blocks * _inverse(scales)[:, None, :, None]
    return _e4m3_bits(scaled).reshape(padded.shape)[:rows, :columns].copy(), scales


def from_float8(bits: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """The inverse of `to_float8`, without loss."""
    sign = np.where(bits & 0x80, np.float32(-1), np.float32(1))
    exponent = (bits >> 3 & 0xF).astype(np.int32)
    mantissa = (bits & 7).astype(np.float32)
    numbers = np.where(exponent == 0, np.ldexp(mantissa, -9), np.ldexp(8 + mantissa, exponent - 10))
    spread = np.repeat(np.repeat(scales, FLOAT8_BLOCK, axis=0), FLOAT8_BLOCK, axis=1)
    return (sign * numbers * spread[: bits.shape[0], : bits.shape[1]]).astype(np.float32)


def _e4m3_bits(values: np.ndarray) -> np.ndarray:
    """The nearest e4m3 number (ties to even) of float32 values of at most `FLOAT8_MOST`."""
    bits = np.ascontiguousarray(values).view(np.uint32)
    sign = (bits >> 24 & 0x80).astype(np.uint8)
    magnitude = bits & 0x7FFFFFFF
    # Of 23 mantissa bits three stay; the exponent's bias goes from 127 to 7.
    normal = ((magnitude + 0x7FFFF + (magnitude >> 20 & 1)) >> 20).astype(np.int32) - (120 << 3)
    tiny = np.rint(np.abs(values) * np.float32(512)).astype(np.int32)  # steps of 2^-9 below 2^-6
    return sign | np.where(np.abs(values) < np.float32(2**-6), tiny, normal).astype(np.uint8)


def _groups(values: np.ndarray) -> np.ndarray:
    if values.shape[-1] % GROUP:
        raise ValueError(f"{values.shape[-1]} columns: expected a multiple of {GROUP}")
    return np.ascontiguousarray(values, dtype=np.float32).reshape(*values.shape[:-1], -1, GROUP)


def _inverse(scale: np.ndarray) -> np.ndarray:
    """1 / scale, and 0 where the scale is 0."""
    return np.divide(np.float32(1), scale, out=np.zeros_like(scale), where=scale != 0)


def _half_away_from_zero(values: np.ndarray) -> np.ndarray:
    return np.copysign(np.floor(np.abs(values) + np.float32(0.5)), values)


def _through_float16(scale: np.ndarray) -> np.ndarray:
    return scale.astype(np.float16).astype(np.float32)

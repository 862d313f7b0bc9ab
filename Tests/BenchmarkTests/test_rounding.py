"""Number formats against values worked out by hand and against exhaustive search."""

import numpy as np
import pytest

import rounding


def group(*values):
    """One group of 32 that begins with `values`."""
    return np.array([*values, *[0.0] * (32 - len(values))], np.float32)


def test_bfloat16_rounds_to_nearest_even():
    values = np.array([1.0, 1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-20, -2.5, 0.0], np.float32)
    expected = np.array([1.0, 1.0, 1 + 2**-6, 1 + 2**-7, -2.5, 0.0], np.float32)
    np.testing.assert_array_equal(rounding.from_bfloat16(rounding.to_bfloat16(values)), expected)


def test_q8_0_by_hand():
    # The scale is 127 / 127 = 1: integers, halves away from zero.
    np.testing.assert_array_equal(rounding.round_q8_0(group(127, 2.5, -2.5, 0.4)), group(127, 3, -3, 0))
    # 1 / 127 in float16 is 0.00787353515625.
    np.testing.assert_array_equal(rounding.round_q8_0(group(1.0))[:2], np.float32([127 * 0.00787353515625, 0]))


def test_q4_0_by_hand():
    # The scale is 8 / -8 = -1: the greatest becomes -8, and of the other sign only 7 steps are left.
    values = group(8, -8, 1.4, 1.6, -3)
    np.testing.assert_array_equal(rounding.round_q4_0(values), group(8, -7, 1, 2, -3))
    np.testing.assert_array_equal(rounding.round_q4_0(-values), group(-8, 7, -1, -2, 3))


@pytest.mark.parametrize("function", [rounding.round_q8_0, rounding.round_q4_0])
def test_groups_keep_to_themselves(function):
    values = np.random.default_rng(1).standard_normal((3, 96), dtype=np.float32)
    whole = function(values)
    for row in range(3):
        for start in range(0, 96, 32):
            np.testing.assert_array_equal(whole[row, start : start + 32], function(values[row, start : start + 32]))
    np.testing.assert_array_equal(function(np.zeros((2, 32), np.float32)), np.zeros((2, 32)))
    with pytest.raises(ValueError, match="40 columns"):
        function(np.zeros((2, 40), np.float32))


def test_errors_of_rounding_are_those_of_the_formats():
    values = np.random.default_rng(2).standard_normal((64, 2048), dtype=np.float32)
    error = {
        f: np.linalg.norm(f(values) - values) / np.linalg.norm(values)
        for f in (rounding.round_q8_0, rounding.round_q4_0)
    }
    # A step is about 2 / 127 of a deviation in 8 bits and 2 / 8 in 4; a uniform error is a step / sqrt(12).
    assert 0.004 < error[rounding.round_q8_0] < 0.007
    assert 0.06 < error[rounding.round_q4_0] < 0.10


def test_float8_finds_the_nearest_number():
    numbers = rounding.from_float8(np.arange(128, dtype=np.uint8)[None, :], np.ones((1, 1), np.float32))[0]
    numbers = numbers[:127]  # 0x7F is NaN
    assert numbers.max() == 448 and numbers[1] == 2**-9 and np.all(np.diff(numbers) > 0)
    # A block whose greatest is 448 has the scale 1.
    values = np.random.default_rng(3).uniform(-20, 20, (128, 128)).astype(np.float32)
    values[0, :16] = [448, 0, 2**-9, 2**-10, 3 * 2**-10, 2**-6, 17, 19, -17, -19, 0.001, -0.001, 447, 2**-7, 9.5, 10.5]
    bits, scales = rounding.to_float8(values)
    assert scales.tolist() == [[1.0]]
    found = rounding.from_float8(bits, scales)
    nearest = np.abs(np.abs(values)[..., None] - numbers).min(axis=-1)
    np.testing.assert_array_equal(np.abs(values - found), nearest)
    # Ties go to the even mantissa: 17 lies between 16 and 18, 19 between 18 and 20.
    assert found[0, 3:10].tolist() == [0.0, 2**-8, 2**-6, 16.0, 20.0, -16.0, -20.0]


def test_float8_scales_each_block():
    values = np.zeros((130, 200), np.float32)
    values[0, 0], values[0, 199], values[129, 0] = 4.48, 896, -44.8
    bits, scales = rounding.to_float8(values)
    assert bits.shape == (130, 200) and bits.dtype == np.uint8
    np.testing.assert_allclose(scales, [[0.01, 2], [0.1, 0]], rtol=1e-6)
    np.testing.assert_allclose(rounding.from_float8(bits, scales), values, rtol=1e-6)

"""Packed matrices against numpy: what they hold is close to the weights, and products are exact for what they hold."""

import pytest

import dormouse
from dormouse import PackedMatrix

numpy = pytest.importorskip("numpy")
random = numpy.random.default_rng(11)
TYPES = ["int8", "int4"]
SHAPES = [(1, 1, 1), (3, 5, 2), (16, 32, 1), (17, 33, 4), (130, 200, 9), (64, 1030, 300)]


@pytest.fixture(params=dormouse.instruction_sets().usable)
def instruction_set(request):
    dormouse.force_instruction_set(request.param)
    yield
    dormouse.force_instruction_set(None)


def grouped(values):
    """[rows, groups, 32], zeroes where there are no more columns."""
    rows, columns = values.shape
    return numpy.pad(values, ((0, 0), (0, -columns % 32))).reshape(rows, -1, 32)


def rounded(inputs):
    """Activations in bytes with a scale for each group of 32, by the header's rule."""
    values = grouped(inputs).astype(numpy.float32)
    top = numpy.abs(values).max(-1, keepdims=True)
    inverse = numpy.where(top > 0, numpy.float32(127) / numpy.where(top > 0, top, 1), 0).astype(numpy.float32)
    steps = numpy.rint(values * inverse).astype(numpy.float64) * (top.astype(numpy.float64) / 127)
    return steps.reshape(len(inputs), -1)[:, : inputs.shape[1]]


def normal(rows, columns):
    return random.standard_normal((rows, columns)).astype(numpy.float32)


@pytest.mark.parametrize("rows, columns, tokens", SHAPES)
@pytest.mark.parametrize("type", TYPES)
def test_product(instruction_set, type, rows, columns, tokens):
    weights, inputs = normal(rows, columns), normal(tokens, columns)
    with PackedMatrix(weights, type=type) as matrix:
        held = matrix.dequantize()
        result = matrix.multiply(inputs)
        assert matrix.shape == held.shape == (rows, columns) and result.shape == (tokens, rows)
        sizes = numpy.abs(rounded(inputs)) @ numpy.abs(held.T.astype(numpy.float64))
        difference = numpy.abs(result - rounded(inputs) @ held.T.astype(numpy.float64))
        assert (difference <= 1e-6 * sizes).all()
        assert numpy.array_equal(matrix.multiply(inputs[-1:])[0], result[-1])
        assert numpy.array_equal(matrix.dequantize(rows - 1), held[-1:])
        assert matrix.dequantize(rows).shape == (0, columns) and matrix.multiply(inputs[:0]).shape == (0, rows)


def test_int8_is_within_half_a_step(instruction_set):
    weights = normal(40, 320)
    with PackedMatrix(weights, type="int8") as matrix:
        difference = numpy.abs(grouped(matrix.dequantize() - weights))
        # Scales are squares of whole numbers, rounded upward; 127 is the root of a row's greatest.
        tops = numpy.abs(grouped(weights)).max(-1, keepdims=True).astype(numpy.float64)
        greatest = tops.max(1, keepdims=True)
        roots = numpy.ceil(127 * numpy.sqrt(tops / greatest) - 1e-6)
        assert (difference <= 0.5001 * (roots / 127) ** 2 * greatest / 127).all()


def test_int4_is_better_than_sixteen_even_steps(instruction_set):
    """Q4_0: the weight of the greatest magnitude becomes -8 times the scale."""
    weights = normal(64, 512)
    groups = grouped(weights)
    tops = numpy.take_along_axis(groups, numpy.abs(groups).argmax(-1, keepdims=True), -1)
    even = numpy.clip(numpy.rint(groups / (tops / -8)), -8, 7) * (tops / -8)
    with PackedMatrix(weights, type="int4") as matrix:
        error = numpy.linalg.norm(matrix.dequantize() - weights)
        assert error < 0.9 * numpy.linalg.norm(even - groups)


@pytest.mark.parametrize("type, bits", [("int8", 8), ("int4", 4)])
def test_size(type, bits):
    with PackedMatrix(normal(256, 1024), type=type) as matrix:
        assert 256 * 1024 * bits / 8 < matrix.byte_count < 256 * 1024 * (bits + 0.3) / 8


@pytest.mark.parametrize("type", TYPES)
def test_weights_of_every_type(type):
    """The same numbers in another type become the same matrix."""
    codes = random.integers(0x28, 0x48, (48, 96)).astype(numpy.uint8)
    values = ((1 + (codes & 7) / 8) * numpy.exp2((codes >> 3).astype(numpy.float64) - 7)).astype(numpy.float32)
    scales = numpy.array([[2, 0.5], [1, 4]], numpy.float32)
    spread = numpy.repeat(numpy.repeat(scales, 24, 0), 48, 1)
    bits = (values.view(numpy.uint32) >> 16).astype(numpy.uint16)
    with PackedMatrix(values, type=type) as matrix, PackedMatrix(values * spread, type=type) as scaled:
        held, held_scaled = matrix.dequantize(), scaled.dequantize()
    for data, weight_type in [(values.astype(numpy.float16), "f16"), (bits, "bf16")]:
        with PackedMatrix(data, type=type, weight_type=weight_type) as matrix:
            assert numpy.array_equal(matrix.dequantize(), held)
    with PackedMatrix(
        codes.tobytes(), columns=96, type=type, weight_type="f8_e4m3", scales=scales, block=(24, 48)
    ) as matrix:
        assert numpy.array_equal(matrix.dequantize(), held_scaled)


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize("bad", [numpy.nan, numpy.inf, -numpy.inf])
def test_not_a_number_shows(instruction_set, type, bad):
    weights, inputs = normal(20, 64), normal(3, 64)
    spoilt = weights.copy()
    spoilt[3, 40] = bad
    with PackedMatrix(spoilt, type=type) as matrix:
        assert numpy.array_equal(numpy.isnan(matrix.multiply(inputs)).all(0), numpy.arange(20) == 3)
        held = numpy.isnan(matrix.dequantize())
        assert held[3].all() and held.sum() == 64
    inputs[1, 5] = bad
    with PackedMatrix(weights, type=type) as matrix:
        assert numpy.array_equal(numpy.isnan(matrix.multiply(inputs)).all(1), numpy.arange(3) == 1)


def test_what_is_refused():
    weights = normal(4, 32)
    with pytest.raises(dormouse.InvalidArgumentError, match="int8 or int4"):
        PackedMatrix(weights, type="int5")
    with pytest.raises(dormouse.InvalidArgumentError, match="rows"):
        PackedMatrix(weights[:0], type="int8")
    for arguments in [{"columns": 0}, {"columns": 33}, {"weight_type": "f64"}, {"scales": weights}]:
        with pytest.raises(ValueError):
            PackedMatrix(weights, type="int8", **arguments)
    with pytest.raises(ValueError, match="two dimensions"):
        PackedMatrix(weights.tobytes(), type="int8")
    with PackedMatrix(weights, type="int8") as matrix:
        with pytest.raises(ValueError):
            matrix.multiply(weights[:, :-1])
        for first_row, row_count in [(5, None), (3, 2), (-1, 1), (0, -1)]:
            with pytest.raises(ValueError):
                matrix.dequantize(first_row, row_count)
    with pytest.raises(ValueError, match="closed"):
        matrix.multiply(weights)

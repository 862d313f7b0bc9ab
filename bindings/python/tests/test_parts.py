"""The parts against numpy."""

import os

import pytest

import dormouse
from dormouse import LatentCache, Router

numpy = pytest.importorskip("numpy")
random = numpy.random.default_rng(7)


@pytest.fixture(params=["baseline", None])
def instruction_set(request):
    """The portable kernels, and the best."""
    dormouse.force_instruction_set(request.param)
    yield
    dormouse.force_instruction_set(None)


def test_instruction_sets():
    sets = dormouse.instruction_sets()
    assert sets.chosen == os.environ.get("DORMOUSE_ISA", sets.usable[-1])
    assert "baseline" in sets.usable and set(sets.usable) <= set(sets.built)
    dormouse.force_instruction_set("baseline")
    assert dormouse.instruction_sets().chosen == "baseline"
    dormouse.force_instruction_set(None)
    assert dormouse.instruction_sets().chosen == sets.chosen
    with pytest.raises(dormouse.DormouseError, match="abacus"):
        dormouse.force_instruction_set("abacus")


def noaux_tc(logits, bias, groups, kept_groups, chosen, scale):
    """DeepSeek-V3's choice: the bias counts in the choice alone; a group is as good as its two best."""
    scores = 1 / (1 + numpy.exp(-logits.astype(numpy.float64)))
    choice = scores + bias
    grouped = choice.reshape(len(logits), groups, -1)
    group_scores = numpy.sort(grouped, axis=-1)[..., -2:].sum(-1)
    keep = numpy.argsort(-group_scores, axis=-1, kind="stable")[:, :kept_groups]
    masked = numpy.full_like(grouped, -numpy.inf)
    for row in range(len(logits)):
        masked[row, keep[row]] = grouped[row, keep[row]]
    ids = numpy.argsort(-masked.reshape(len(logits), -1), axis=-1, kind="stable")[:, :chosen]
    weights = numpy.take_along_axis(scores, ids, axis=-1)
    return ids, weights / (weights.sum(-1, keepdims=True) + 1e-20) * scale


def test_router_of_v3():
    logits = random.standard_normal((50, 64)).astype(numpy.float32)
    bias = random.standard_normal(64).astype(numpy.float32) / 4
    with Router(
        n_routed_experts=64, num_experts_per_tok=6, scoring_func="sigmoid", topk_method="noaux_tc", n_group=8,
        topk_group=3, norm_topk_prob=True, routed_scaling_factor=2.5,
    ) as router:
        ids, weights = router.route(logits, bias)
        expected_ids, expected_weights = noaux_tc(logits, bias, 8, 3, 6, 2.5)
        assert numpy.array_equal(numpy.sort(ids), numpy.sort(expected_ids))
        order, expected_order = numpy.argsort(ids), numpy.argsort(expected_ids)
        numpy.testing.assert_allclose(
            numpy.take_along_axis(weights, order, -1), numpy.take_along_axis(expected_weights, expected_order, -1),
            rtol=1e-5,
        )
        with pytest.raises(dormouse.InvalidArgumentError):
            router.route(logits)
        with pytest.raises(ValueError):
            router.route(logits[:, :-1], bias)
        with pytest.raises(ValueError):
            router.route(logits, bias[:-1])
        with pytest.raises(dormouse.NumericalError):
            router.route(numpy.full((1, 64), numpy.nan), bias)


def test_router_of_v2():
    logits = random.standard_normal((20, 16)).astype(numpy.float32)
    with Router(
        n_routed_experts=16, num_experts_per_tok=3, scoring_func="softmax", topk_method="greedy",
        norm_topk_prob=False, routed_scaling_factor=1.5,
    ) as router:
        ids, weights = router.route(logits)
    shares = numpy.exp(logits) / numpy.exp(logits).sum(-1, keepdims=True)
    expected = numpy.argsort(-shares, axis=-1)[:, :3]
    assert numpy.array_equal(numpy.sort(ids), numpy.sort(expected))
    numpy.testing.assert_allclose(weights, numpy.take_along_axis(shares, ids.astype(int), -1) * 1.5, rtol=1e-5)


def attention(query, rows, rank, scale):
    scores = query.astype(numpy.float64) @ rows.T * scale
    shares = numpy.exp(scores - scores.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True) @ rows[:, :rank]


def as_bfloat16(values):
    """Rounds to the nearest bfloat16, ties to even."""
    bits = values.astype(numpy.float32).view(numpy.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(numpy.uint32).view(numpy.float32)


def as_int8(rows, rank):
    """Latents in 255 steps from the row's greatest magnitude down, the rest in bfloat16, all computed in float32."""
    top = numpy.abs(rows[:, :rank]).max(-1, keepdims=True)
    steps = numpy.rint(rows[:, :rank] * (numpy.float32(127) / top))
    return numpy.concatenate([steps * (top / numpy.float32(127)), as_bfloat16(rows[:, rank:])], -1)


@pytest.mark.parametrize("type", ["f32", "bf16", "int8"])
@pytest.mark.parametrize("rank, rope, heads, count", [(64, 16, 4, 33), (512, 64, 16, 300), (5, 2, 1, 7), (48, 8, 3, 1)])
def test_latent_cache(instruction_set, type, rank, rope, heads, count):
    rows = random.standard_normal((count, rank + rope)).astype(numpy.float32)
    query = random.standard_normal((heads, rank + rope)).astype(numpy.float32)
    with LatentCache(kv_lora_rank=rank, qk_rope_head_dim=rope, capacity=count, type=type) as cache:
        for start in range(0, count, 10):
            cache.append(rows[start : start + 10])
        sizes = {"f32": 4 * (rank + rope), "bf16": 2 * (rank + rope), "int8": rank + 4 + 2 * rope}
        # Whole pages of 64 rows.
        assert len(cache) == count and cache.byte_count == (count + 63) // 64 * 64 * sizes[type]
        held = {"f32": rows, "bf16": as_bfloat16(rows), "int8": as_int8(rows, rank)}[type]
        scale = (rank + rope) ** -0.5
        out = cache.attend(query, scale=scale)
        expected, tolerance = attention(query, held, rank, scale), 1e-5
        if dormouse.instruction_sets().chosen == "avx512" and type != "f32" and (rank + rope) % 2 == 0:
            # Everything is rounded to bfloat16 before it is multiplied, weights too.
            held, tolerance = as_bfloat16(held), 2**-9
            expected = attention(as_bfloat16(query * numpy.float32(scale)), held, rank, 1.0)
        assert numpy.linalg.norm(out - expected) <= tolerance * numpy.linalg.norm(expected)
        one = cache.attend(query, scale=scale, row_count=1)
        numpy.testing.assert_allclose(one, numpy.repeat(held[:1, :rank], heads, 0), rtol=1e-5, atol=1e-6)
        with pytest.raises(dormouse.ContextFullError):
            cache.append(rows[:1])
        cache.truncate(0)
        assert len(cache) == 0
        with pytest.raises(ValueError):
            cache.append(rows[:, :-1])
        with pytest.raises(ValueError):
            cache.attend(query[:, :-1], scale=1.0)


SHAPES = [(1, 1, 1), (3, 5, 2), (128, 256, 1), (130, 200, 3), (257, 129, 40)]


@pytest.mark.parametrize("rows, columns, tokens", SHAPES)
@pytest.mark.parametrize("type", ["f32", "f16", "bf16"])
def test_multiply(instruction_set, type, rows, columns, tokens):
    weights = random.standard_normal((rows, columns)).astype(numpy.float32)
    inputs = random.standard_normal((tokens, columns)).astype(numpy.float32)
    if type == "f16":
        data = weights.astype(numpy.float16)
        weights = data.astype(numpy.float32)
    elif type == "bf16":
        weights = as_bfloat16(weights)
        data = (weights.view(numpy.uint32) >> 16).astype(numpy.uint16)
    else:
        data = weights
    check_product(dormouse.multiply(data, inputs, type=type), inputs, weights)


def check_product(result, inputs, weights):
    expected = inputs.astype(numpy.float64) @ weights.astype(numpy.float64).T
    assert result.shape == expected.shape
    assert numpy.linalg.norm(result - expected) <= 1e-6 * max(1e-6, numpy.linalg.norm(expected)) * 10


def float8(codes):
    """e4m3: sign, 4 bits of exponent with bias 7, 3 bits of mantissa; no infinities."""
    sign = numpy.where(codes & 0x80, -1.0, 1.0)
    exponent, mantissa = (codes >> 3 & 15).astype(numpy.int32), (codes & 7) / 8
    normal = (1 + mantissa) * numpy.exp2(exponent - 7.0)
    return sign * numpy.where(exponent == 0, mantissa * 2.0**-6, normal)


@pytest.mark.parametrize("rows, columns, tokens", SHAPES)
@pytest.mark.parametrize("scale_type", ["f32", "f8_e8m0"])
def test_multiply_float8(instruction_set, rows, columns, tokens, scale_type):
    codes = random.integers(0, 256, (rows, columns)).astype(numpy.uint8)
    codes[(codes & 0x7F) == 0x7F] = 0x3A  # no NaN
    block = (128, 128) if rows > 5 else (2, 3)
    grid = (-(-rows // block[0]), -(-columns // block[1]))
    exponents = random.integers(120, 130, grid).astype(numpy.uint8)
    values = numpy.exp2(exponents.astype(numpy.float32) - 127)
    if scale_type == "f32":
        values = (values * 1.3).astype(numpy.float32)
        scales = values
    else:
        scales = exponents
    spread = numpy.repeat(numpy.repeat(values, block[0], 0), block[1], 1)[:rows, :columns]
    inputs = random.standard_normal((tokens, columns)).astype(numpy.float32)
    result = dormouse.multiply(codes, inputs, type="f8_e4m3", scales=scales, scale_type=scale_type, block=block)
    check_product(result, inputs, float8(codes) * spread)


def test_multiply_of_wrong_shapes():
    inputs = numpy.ones((1, 4), numpy.float32)
    with pytest.raises(ValueError):
        dormouse.multiply(numpy.ones(6, numpy.float32), inputs)
    with pytest.raises(ValueError):
        dormouse.multiply(numpy.ones(4, numpy.float32), inputs, type="f64")
    with pytest.raises(ValueError):
        dormouse.multiply(numpy.ones(4, numpy.uint8), inputs, type="f8_e4m3")
    with pytest.raises(ValueError):
        dormouse.multiply(numpy.ones(4, numpy.uint8), inputs, type="f8_e4m3", scales=numpy.ones(2, numpy.float32))
    with pytest.raises(ValueError):
        dormouse.multiply(numpy.ones(4, numpy.float32), inputs, scales=numpy.ones(1, numpy.float32))
    with pytest.raises(ValueError):
        dormouse.multiply(numpy.ones(4, numpy.float32), numpy.ones(4, numpy.float32))


def test_measure_machine():
    limits = dormouse.measure_machine(1)
    assert limits.bytes_per_second > 1e8 and limits.operations_per_second > 1e8

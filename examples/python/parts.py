"""The parts alone, on arrays of your own: router, latent cache, kernels. Needs numpy."""

import numpy

from dormouse import LatentCache, PackedMatrix, Router, instruction_sets, multiply


def main() -> None:
    random = numpy.random.default_rng(1)

    with Router(
        n_routed_experts=256, num_experts_per_tok=8, scoring_func="sigmoid", topk_method="noaux_tc", n_group=8,
        topk_group=4, norm_topk_prob=True, routed_scaling_factor=2.5,
    ) as router:
        ids, weights = router.route(random.standard_normal((3, 256)), correction_bias=numpy.zeros(256))
        print("8 of 256 experts:", ids[0].tolist(), "weights", weights[0].round(3).tolist())

    with LatentCache(kv_lora_rank=64, qk_rope_head_dim=16, capacity=100) as cache:
        rows = random.standard_normal((100, 80)).astype(numpy.float32)
        query = random.standard_normal((4, 80)).astype(numpy.float32)
        cache.append(rows)
        scores = query @ rows.T / 8
        shares = numpy.exp(scores - scores.max(1, keepdims=True))
        expected = (shares / shares.sum(1, keepdims=True)) @ rows[:, :64]
        difference = numpy.abs(cache.attend(query, scale=1 / 8) - expected).max()
        print(f"attention over {len(cache)} rows in {cache.byte_count} bytes: differs from numpy by {difference:.1e}")

    weights = random.standard_normal((256, 128)).astype(numpy.float32)
    inputs = random.standard_normal((2, 128)).astype(numpy.float32)
    difference = numpy.abs(multiply(weights, inputs) - inputs @ weights.T).max()
    print(f"{instruction_sets().chosen}: the product differs from numpy by {difference:.1e}")

    with PackedMatrix(weights, type="int4") as matrix:
        error = numpy.linalg.norm(matrix.dequantize() - weights) / numpy.linalg.norm(weights)
        print(f"int4: {matrix.byte_count} bytes instead of {weights.nbytes}, {error:.1%} off")


main()

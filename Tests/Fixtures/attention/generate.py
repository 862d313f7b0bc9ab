"""Golden results of absorbed latent attention over cached rows, in numpy float64 from float32 inputs.

Run it with a Python that has numpy, ml_dtypes and safetensors; it rewrites golden.safetensors beside it. Each case holds
rows [layers, tokens, rank + rope] as given to the cache, query [heads, rank + rope], scale [1], sizes [rank, rope], and
for each layer the output [layers, heads, rank]: from the rows as given, rounded to bfloat16 as a narrow cache does, and,
where rows have an even width, with scaled queries that are rounded as well ("pairs").
"""

import pathlib

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).parent
# name: layers, tokens, heads, rank, rope
CASES = {"v3": (1, 67, 16, 512, 64), "odd": (3, 29, 5, 23, 6), "one": (2, 1, 1, 3, 2), "lite": (1, 130, 3, 128, 16)}


def bfloat16(values):
    return values.astype(ml_dtypes.bfloat16).astype(np.float32)


def attend(rows, query, scale, rank):
    rows, query = rows.astype(np.float64), query.astype(np.float64)
    scores = query @ rows.T * scale
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return (weights @ rows[:, :rank]).astype(np.float32)


def main():
    tensors = {}
    for index, (name, (layers, tokens, heads, rank, rope)) in enumerate(CASES.items()):
        random = np.random.default_rng(200 + index)
        rows = random.standard_normal((layers, tokens, rank + rope), np.float32)
        query = random.standard_normal((heads, rank + rope), np.float32)
        scale = np.float32(1.7 / np.sqrt(rank + rope))
        narrow = bfloat16(rows)
        tensors |= {
            f"{name}.rows": rows, f"{name}.query": query, f"{name}.scale": np.array([scale]),
            f"{name}.sizes": np.array([rank, rope], np.int32),
            f"{name}.float32": np.stack([attend(layer, query, scale, rank) for layer in rows]),
            f"{name}.bfloat16": np.stack([attend(layer, query, scale, rank) for layer in narrow]),
        }  # fmt: skip
        if query.shape[1] % 2 == 0:
            scaled = bfloat16(query * scale)
            tensors[f"{name}.pairs"] = np.stack([attend(layer, scaled, 1, rank) for layer in narrow])
    save_file(tensors, HERE / "golden.safetensors")


if __name__ == "__main__":
    main()

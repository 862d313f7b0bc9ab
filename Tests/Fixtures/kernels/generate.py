"""Writes goldens.json: numbers that torch, numpy and ml_dtypes computed, as an outside truth for the kernels.

Made with torch 2.x, numpy 2.x and ml_dtypes (versions in the file's "made_with"). Run: python generate.py
"""

import json
import pathlib

import ml_dtypes
import numpy as np
import torch


def bits(values):
    """float32 values as unsigned integers; every NaN as one pattern."""
    array = np.asarray(values, dtype=np.float32).copy()
    array[np.isnan(array)] = np.nan
    return array.view(np.uint32).tolist()


def words(torch_type, patterns):
    raw = torch.tensor(patterns, dtype=torch.int32).to(torch.int16)
    return bits(raw.view(torch_type).float().numpy())


def products():
    """Small products in float64: float8 weights with block scales, and what they give."""
    result = []
    rng = np.random.default_rng(7)
    for rows, columns, row_block, column_block, kind in [
        (5, 40, 2, 16, "float32"), (9, 130, 4, 128, "float32"), (6, 33, 128, 32, "e8m0"),
    ]:
        weights = rng.integers(0, 256, (rows, columns), dtype=np.uint8)
        weights[(weights & 0x7F) == 0x7F] = 0
        grid = (-(-rows // row_block), -(-columns // column_block))
        if kind == "float32":
            scales = rng.uniform(0.001, 0.1, grid).astype(np.float32)
            stored = scales.view(np.uint32)
        else:
            stored = rng.integers(110, 135, grid, dtype=np.uint8)
            scales = stored.view(ml_dtypes.float8_e8m0fnu)
        x = rng.standard_normal((3, columns)).astype(np.float32)
        whole = np.repeat(np.repeat(scales.astype(np.float64), row_block, 0), column_block, 1)[:rows, :columns]
        values = torch.from_numpy(weights).view(torch.float8_e4m3fn).double().numpy() * whole
        result.append({
            "rows": rows, "columns": columns, "row_block": row_block, "column_block": column_block, "scale_type": kind,
            "weights": weights.ravel().tolist(), "scales": stored.ravel().tolist(), "x": bits(x.ravel()),
            "y": (x.astype(np.float64) @ values.T).ravel().tolist(),
        })
    return result


def vectors():
    x = torch.linspace(-20, 20, 37)
    up = torch.cos(torch.arange(37.0))
    return {
        "x": bits(x), "up": bits(up),
        "silu": (torch.nn.functional.silu(x.double()) * up.double()).tolist(),
        "softmax": torch.softmax(x.double(), 0).tolist(),
        "rms_norm": torch.nn.functional.rms_norm(x.double(), (37,), up.double(), 1e-6).tolist(),
    }


every_byte = np.arange(256, dtype=np.uint8)
spread = sorted(set(range(0, 65536, 251)) | {0, 1, 0x3FF, 0x400, 0x7BFF, 0x7C00, 0x7C01, 0x7F80, 0x8001, 0xFC00, 0xFFFF})
goldens = {
    "made_with": {"torch": torch.__version__, "numpy": np.__version__, "ml_dtypes": ml_dtypes.__version__},
    "e4m3": bits(torch.from_numpy(every_byte).view(torch.float8_e4m3fn).float().numpy()),
    "e8m0": bits(every_byte.view(ml_dtypes.float8_e8m0fnu).astype(np.float32)),
    "words": spread,
    "float16": words(torch.float16, spread),
    "bfloat16": words(torch.bfloat16, spread),
    "products": products(),
    "vectors": vectors(),
}
path = pathlib.Path(__file__).parent / "goldens.json"
path.write_text(json.dumps(goldens, separators=(",", ":")) + "\n")

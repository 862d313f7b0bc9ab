#!/usr/bin/env python3
"""Writes the benchmark's model (see bench_model.py) with random weights of a normal distribution.

The same numbers go into a Hugging Face folder in bf16 and, when asked for, into a folder in fp8 (e4m3 in blocks of
128 x 128) and into GGUFs for llama.cpp, so that engines are timed on equal work. Writing again writes the same bytes.
"""

import argparse
import contextlib
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import bench_model
import checkpoint
import rounding

DEVIATION = 0.02  # of the weights, as models are initialised
SEED = 7

# Bytes a weight takes on disk.
BYTES_PER_WEIGHT = {"bf16": 2.0, "fp8": 1.0, "Q8_0": 34 / 32, "Q4_0": 18 / 32}


Announced = list[tuple[str, str, tuple[int, ...]]]  # name, type, shape


class BFloat16Folder:
    """The tensors as they are drawn."""

    def __init__(self, path: Path, shape: bench_model.Shape):
        self.folder, self.shape = checkpoint.Folder(path), shape

    def begin(self, name: str, tensors: list[bench_model.Tensor]) -> None:
        announced = [entry for tensor in tensors for part in tensor.names for entry in self.announce(tensor, part)]
        self.shard = self.folder.shard(name, announced)

    def announce(self, tensor: bench_model.Tensor, name: str) -> Announced:
        """What `write` writes for one of the tensor's names."""
        return [(name, "BF16", tensor.part_shape)]

    def write(self, tensor: bench_model.Tensor, bits: np.ndarray) -> None:
        for name, part in tensor.folder_parts(bits):
            self.shard.write(name, part)

    def end(self) -> None:
        self.shard.close()

    def close(self) -> None:
        self.folder.finish(bench_model.configuration(self.shape))


class Float8Folder(BFloat16Folder):
    """Weights as e4m3 with a scale a block; norms, the router and both ends of the vocabulary stay bf16, as in V3."""

    def announce(self, tensor: bench_model.Tensor, name: str) -> Announced:
        if tensor.kind != "weight":
            return super().announce(tensor, name)
        grid = tuple(-(-size // rounding.FLOAT8_BLOCK) for size in tensor.part_shape)
        return [(name, "F8_E4M3", tensor.part_shape), (name + "_scale_inv", "F32", grid)]

    def write(self, tensor: bench_model.Tensor, bits: np.ndarray) -> None:
        for name, part in tensor.folder_parts(bits):
            if tensor.kind != "weight":
                self.shard.write(name, part)
            else:
                numbers, scales = rounding.to_float8(rounding.from_bfloat16(part))
                self.shard.write(name, numbers)
                self.shard.write(name + "_scale_inv", scales)

    def close(self) -> None:
        block = [rounding.FLOAT8_BLOCK, rounding.FLOAT8_BLOCK]
        scheme = {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": block}
        self.folder.finish(bench_model.configuration(self.shape) | {"quantization_config": scheme})


class RoundedFolder(BFloat16Folder):
    """Weights after a function of float32 matrices, kept as float32: what a rounding costs, and nothing else."""

    def __init__(self, path: Path, shape: bench_model.Shape, function: Callable[[np.ndarray], np.ndarray]):
        super().__init__(path, shape)
        self.function = function

    def announce(self, tensor: bench_model.Tensor, name: str) -> Announced:
        return [(name, "F32" if self._is_rounded(tensor) else "BF16", tensor.part_shape)]

    def write(self, tensor: bench_model.Tensor, bits: np.ndarray) -> None:
        for name, part in tensor.folder_parts(bits):
            rounded = self.function(rounding.from_bfloat16(part)) if self._is_rounded(tensor) else part
            self.shard.write(name, rounded)

    @staticmethod
    def _is_rounded(tensor: bench_model.Tensor) -> bool:
        return tensor.kind not in ("norm", "router")


def draw(tensor: bench_model.Tensor, index: int) -> np.ndarray:
    """The bfloat16 bits of the tensor with this place in the model; the same in every run."""
    if tensor.kind == "norm":
        return rounding.to_bfloat16(np.ones(tensor.shape, np.float32))
    generator = np.random.default_rng([SEED, index])
    if len(tensor.shape) < 3:
        return rounding.to_bfloat16(_normal(generator, tensor.shape))
    bits = np.empty(tensor.shape, np.uint16)  # stacks of experts a matrix at a time: float32 takes twice the memory
    for matrix in bits:
        matrix[...] = rounding.to_bfloat16(_normal(generator, matrix.shape))
    return bits


def _normal(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return generator.standard_normal(shape, dtype=np.float32) * np.float32(DEVIATION)


def write_all(shape: bench_model.Shape, folders: list, files: list, progress: Callable[[str], None]) -> None:
    """Draws each tensor once and hands it to every folder and every GGUF."""
    index = 0
    for name, tensors in bench_model.shards(shape):
        progress(name)
        for folder in folders:
            folder.begin(name, tensors)
        for tensor in tensors:
            bits = draw(tensor, index)
            index += 1
            for target in folders + files:
                target.write(tensor, bits)
        for folder in folders:
            folder.end()
    for target in folders + files:
        target.close()


def path_of(models: Path, layers: int, name: str) -> Path:
    """Where the model of a type lies: a folder for bf16 and fp8, a file for the GGUFs."""
    folder = models / f"{layers}-layers"
    return folder / name if name in ("bf16", "fp8") else folder / f"{name.lower()}.gguf"


def missing(models: Path, layers: int, names: list[str]) -> list[str]:
    return [name for name in names if not path_of(models, layers, name).exists()]


@contextlib.contextmanager
def unfinished(folder: Path) -> Iterator[Path]:
    """A new folder beside `folder` to write into, which is gone afterwards, whatever happens."""
    path = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def write_missing(models: Path, shape: bench_model.Shape, names: list[str], progress: Callable[[str], None]) -> None:
    """Writes those of `names` ("bf16", "fp8", "Q8_0", "Q4_0") that are not there; all of a model or nothing of it."""
    names = missing(models, shape.layers, names)
    if not names:
        return
    with unfinished(models / f"{shape.layers}-layers") as folder:
        write_all(shape, *_targets(folder, shape, names), progress)
        for name in names:
            final = path_of(models, shape.layers, name)
            final.parent.mkdir(parents=True, exist_ok=True)
            (folder / final.name).rename(final)


def _targets(folder: Path, shape: bench_model.Shape, names: list[str]) -> tuple[list, list]:
    makers = {"bf16": BFloat16Folder, "fp8": Float8Folder}
    folders = [makers[name](folder / name, shape) for name in names if name in makers]
    types = [name for name in names if name not in makers]
    if not types:
        return folders, []
    from peer_file import PeerFile  # the one part that needs the gguf package

    return folders, [PeerFile(folder / f"{name.lower()}.gguf", name, shape) for name in types]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where models are kept; this one goes to FOLDER/N-layers")
    parser.add_argument("--layers", type=int, default=6, help="1 dense and the rest with experts; default 6")
    parser.add_argument(
        "--types", default="bf16", help="of bf16, fp8, Q8_0, Q4_0, with commas between; default bf16; all 10 to 14 GB"
    )
    arguments = parser.parse_args()
    names = arguments.types.split(",")
    unknown = [name for name in names if name not in BYTES_PER_WEIGHT]
    if unknown or arguments.layers < 1:
        parser.error(f"unknown type {unknown[0]}" if unknown else "--layers must be at least 1")
    write_missing(
        arguments.folder, bench_model.Shape(layers=arguments.layers), names, lambda part: print(part, file=sys.stderr)
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

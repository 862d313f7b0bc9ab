"""Writes safetensors, a tensor at a time, and the folder of a published model around them."""

import json
import struct
from pathlib import Path

import numpy as np

# Names of the types in a safetensors header, and how numpy holds their bits.
TYPES = {"BF16": np.uint16, "F32": np.float32, "F8_E4M3": np.uint8}


class Shard:
    """One safetensors file whose tensors are known before their values."""

    def __init__(self, path: Path, tensors: list[tuple[str, str, tuple[int, ...]]]):
        """tensors: (name, type, shape) in the order in which `write` gets them."""
        header, offset = {}, 0
        for name, type_name, shape in tensors:
            end = offset + int(np.prod(shape)) * np.dtype(TYPES[type_name]).itemsize
            header[name] = {"dtype": type_name, "shape": list(shape), "data_offsets": [offset, end]}
            offset = end
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        self.expected = list(tensors)
        self.file = open(path, "wb")
        self.file.write(struct.pack("<Q", len(text)) + text)

    def write(self, name: str, values: np.ndarray) -> None:
        expected, type_name, shape = self.expected.pop(0)
        if (name, values.dtype, values.shape) != (expected, np.dtype(TYPES[type_name]), tuple(shape)):
            raise ValueError(f"{name} {values.dtype} {values.shape} where {expected} {type_name} {shape} was announced")
        np.ascontiguousarray(values).tofile(self.file)

    def close(self) -> None:
        self.file.close()
        if self.expected:
            raise ValueError(f"{self.expected[0][0]} was announced and never written")


def read(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file, bfloat16 and fp8 as their bits.

    Raises ValueError for a file that is none.
    """
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0] if len(data) >= 8 else 0
    if not 0 < length <= len(data) - 8:
        raise ValueError(f"{path} is no safetensors file")
    tensors = {}
    for name, entry in json.loads(data[8 : 8 + length]).items():
        if name != "__metadata__":
            begin, end = (8 + length + offset for offset in entry["data_offsets"])
            tensors[name] = np.frombuffer(data[begin:end], TYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors


class Folder:
    """A model folder of several shards."""

    def __init__(self, path: Path):
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self.weight_map: dict[str, str] = {}

    def shard(self, name: str, tensors: list[tuple[str, str, tuple[int, ...]]]) -> Shard:
        """name: without its suffix."""
        file = f"{name}.safetensors"
        self.weight_map |= {tensor: file for tensor, _, _ in tensors}
        return Shard(self.path / file, tensors)

    def finish(self, configuration: dict) -> None:
        """Writes the index and config.json. There is no tokenizer: measuring needs token ids alone."""
        index = {"metadata": {}, "weight_map": self.weight_map}
        (self.path / "model.safetensors.index.json").write_text(json.dumps(index))
        (self.path / "config.json").write_text(json.dumps(configuration, indent=1))

"""Writes and reads safetensors byte for byte, so that fixtures do not depend on what a library supports (F8_E8M0)."""

import json
import struct

import ml_dtypes
import numpy as np

TYPES = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E8M0": np.dtype(ml_dtypes.float8_e8m0fnu),
    "I32": np.dtype("<i4"),
    "I64": np.dtype("<i8"),
}
NAMES = {dtype: name for name, dtype in TYPES.items()}


def encode(tensors, metadata=None):
    """The bytes of a safetensors file holding `tensors` (name -> numpy array) in their order."""
    header, blobs, offset = {}, [], 0
    if metadata:
        header["__metadata__"] = metadata
    for name, array in tensors.items():
        blob = np.ascontiguousarray(array).tobytes()
        end = offset + len(blob)
        header[name] = {"dtype": NAMES[array.dtype], "shape": list(array.shape), "data_offsets": [offset, end]}
        blobs.append(blob)
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(blobs)


def save(path, tensors, metadata=None):
    path.write_bytes(encode(tensors, metadata))


def load(path):
    """Tensors of a safetensors file as name -> numpy array."""
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    result = {}
    for name, entry in header.items():
        begin, end = (8 + length + o for o in entry["data_offsets"])
        result[name] = np.frombuffer(data[begin:end], TYPES[entry["dtype"]]).reshape(entry["shape"])
    return result

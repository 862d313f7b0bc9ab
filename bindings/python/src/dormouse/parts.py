"""The parts of the runtime, each usable alone on plain arrays: the MoE router, the latent cache, the kernels."""

from __future__ import annotations

import ctypes
import json
import operator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Dict, List, Optional, Tuple, Type

from . import _abi, _arrays
from ._library import Handle, call, text
from ._values import document

_TYPES = {
    "f32": (_abi.TYPE_F32, 4), "f16": (_abi.TYPE_F16, 2), "bf16": (_abi.TYPE_BF16, 2),
    "f8_e4m3": (_abi.TYPE_F8_E4M3, 1),
}
_SCALE_TYPES = {"f32": (_abi.TYPE_F32, 4), "f8_e8m0": (_abi.TYPE_F8_E8M0, 1)}


def _create(kind: str, config: Dict[str, Any], *arguments: Any) -> Handle:
    pointer = ctypes.c_void_p()
    call(kind + "_create", ctypes.byref(pointer), document(config), *arguments)
    return Handle(kind, pointer.value)


class Part:
    """What is freed when it is closed."""

    _handle: Handle

    def close(self) -> None:
        """Frees it."""
        self._handle.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}{'' if self._handle.is_open else ', closed'}>"

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()


class Router(Part):
    """The MoE router of the DeepSeek family; `config` has the names of the model's config.json."""

    def __init__(self, **config: Any) -> None:
        self._handle = Handle("router", None)
        self._handle = _create("router", config)
        self._experts = int(config["n_routed_experts"])
        self._chosen = int(config["num_experts_per_tok"])

    def __enter__(self) -> "Router":
        return self

    def route(self, logits: Any, correction_bias: Any = None) -> Tuple[Any, Any]:
        """ids (int32) and weights (float32), both [tokens, num_experts_per_tok].

        logits: [tokens, n_routed_experts]; correction_bias: [n_routed_experts], for noaux_tc alone.
        """
        values = _arrays.Floats(logits, "logits", 2)
        tokens, experts = values.shape
        if experts != self._experts:
            raise ValueError(f"logits has {experts} columns, not one for each of {self._experts} experts")
        bias = None
        if correction_bias is not None:
            bias = _arrays.Floats(correction_bias, "correction_bias", 1)
            if bias.shape != (self._experts,):
                raise ValueError(f"correction_bias has {bias.shape[0]} values, not {self._experts}")
        ids = (ctypes.c_int32 * (tokens * self._chosen))()
        weights = (ctypes.c_float * (tokens * self._chosen))()
        with self._handle as pointer:
            call("router_route", ids, weights, pointer, values.pointer, bias and bias.pointer, tokens)
        shape = [tokens, self._chosen]
        return _arrays.shaped(ids, shape), _arrays.shaped(weights, shape)


class LatentCache(Part):
    """The latent cache of one layer, with its attention. A row is the normed latent, then the rotated key.

    type: "f32", "bf16", or "int8": latents in bytes with a scale a row, rotated keys in bf16.
    """

    def __init__(self, *, kv_lora_rank: int, qk_rope_head_dim: int, capacity: int, type: str = "f32") -> None:
        self._handle = Handle("latent_cache", None)
        config = {
            "kv_lora_rank": kv_lora_rank, "qk_rope_head_dim": qk_rope_head_dim, "capacity": capacity, "type": type,
        }
        self._handle = _create("latent_cache", config)
        self._rank = operator.index(kv_lora_rank)
        self._width = self._rank + operator.index(qk_rope_head_dim)

    def __enter__(self) -> "LatentCache":
        return self

    def _size(self) -> Tuple[int, int]:
        rows, size = ctypes.c_size_t(), ctypes.c_size_t()
        with self._handle as pointer:
            call("latent_cache_size", ctypes.byref(rows), ctypes.byref(size), pointer)
        return rows.value, size.value

    def __len__(self) -> int:
        """Rows held."""
        return self._size()[0]

    def __bool__(self) -> bool:
        return self._handle.is_open

    @property
    def byte_count(self) -> int:
        """Bytes allocated for the rows."""
        return self._size()[1]

    def append(self, rows: Any) -> None:
        """Appends rows, float32 [rows, kv_lora_rank + qk_rope_head_dim]."""
        values = _arrays.Floats(rows, "rows", 2)
        self._check_width("rows", values.shape[1])
        with self._handle as pointer:
            call("latent_cache_append", pointer, values.pointer, values.shape[0])

    def truncate(self, row_count: int) -> None:
        """Keeps the first rows."""
        row_count = operator.index(row_count)
        if row_count < 0:
            raise ValueError(f"row_count is {row_count}, less than 0")
        with self._handle as pointer:
            call("latent_cache_truncate", pointer, row_count)

    def attend(self, query: Any, *, scale: float, row_count: int = 0) -> Any:
        """Absorbed attention of one token over the first `row_count` rows (0: all).

        query: [heads, kv_lora_rank + qk_rope_head_dim]; gives [heads, kv_lora_rank].
        """
        row_count = operator.index(row_count)
        if row_count < 0:
            raise ValueError(f"row_count is {row_count}, less than 0")
        values = _arrays.Floats(query, "query", 2)
        heads = values.shape[0]
        self._check_width("query", values.shape[1])
        out = (ctypes.c_float * (heads * self._rank))()
        with self._handle as pointer:
            call("latent_cache_attend", out, pointer, values.pointer, heads, row_count, float(scale))
        return _arrays.shaped(out, [heads, self._rank])

    def _check_width(self, name: str, width: int) -> None:
        if width != self._width:
            raise ValueError(f"{name} has {width} columns, not kv_lora_rank + qk_rope_head_dim = {self._width}")


@dataclass(frozen=True)
class InstructionSets:
    """Instruction sets by name."""

    built: List[str]
    usable: List[str]
    chosen: str


def instruction_sets() -> InstructionSets:
    """Those built into the library, usable on this processor, and chosen."""
    names = json.loads(text("kernels_list"))
    return InstructionSets(names["built"], names["usable"], names["chosen"])


def force_instruction_set(name: Optional[str]) -> None:
    """Engines and parts made from now on use it; None goes back to DORMOUSE_ISA or the best."""
    if name is not None and "\0" in name:
        raise ValueError(f"the name {name!r} has a NUL character in it")
    call("kernels_force", None if name is None else name.encode("utf-8"))


def multiply(
    weights: Any,
    inputs: Any,
    *,
    type: str = "f32",
    scales: Any = None,
    scale_type: str = "f32",
    block: Tuple[int, int] = (128, 128),
) -> Any:
    """inputs [tokens, columns] times the transpose of weights [rows, columns]: float32 [tokens, rows].

    weights holds rows * columns values of `type` ("f32", "f16", "bf16", "f8_e4m3") in any C-contiguous buffer;
    f8_e4m3 needs scales, one for each block of block[0] rows and block[1] columns.
    """
    values = _arrays.Floats(inputs, "inputs", 2)
    tokens, columns = values.shape
    rows, source = _weights(weights, columns, type, scales, scale_type, block)
    result = (ctypes.c_float * (tokens * rows))()
    call("kernels_multiply", result, *source, rows, columns, values.pointer, tokens)
    return _arrays.shaped(result, [tokens, rows])


class PackedMatrix(Part):
    """A weight matrix in 8 or 4 bits, with its product: what engines with int8 and int4 weights compute with.

    weights: rows * columns values of `weight_type`, with scales, as for `multiply`; `columns` may be left out where the
    array has two dimensions. type: "int8" or "int4". Packing takes a copy: the weights may go afterwards.
    """

    def __init__(
        self,
        weights: Any,
        *,
        type: str,
        columns: Optional[int] = None,
        weight_type: str = "f32",
        scales: Any = None,
        scale_type: str = "f32",
        block: Tuple[int, int] = (128, 128),
    ) -> None:
        self._handle = Handle("packed_matrix", None)
        if columns is None:
            shape: Tuple[Any, ...] = tuple(getattr(weights, "shape", None) or ())
            if len(shape) != 2:
                raise ValueError("weights must have two dimensions where columns is not given")
            columns = int(shape[1])
        columns = operator.index(columns)
        rows, source = _weights(weights, columns, weight_type, scales, scale_type, block)
        self._handle = _create("packed_matrix", {"type": type, "rows": rows, "columns": columns}, *source)
        self._shape = (rows, columns)

    def __enter__(self) -> "PackedMatrix":
        return self

    @property
    def shape(self) -> Tuple[int, int]:
        """Rows and columns."""
        return self._shape

    @property
    def byte_count(self) -> int:
        """Bytes that the packed weights take."""
        size = ctypes.c_size_t()
        with self._handle as pointer:
            call("packed_matrix_size", None, None, ctypes.byref(size), pointer)
        return size.value

    def multiply(self, inputs: Any) -> Any:
        """inputs [tokens, columns], rounded to 8 bits, times the transpose: float32 [tokens, rows]."""
        values = _arrays.Floats(inputs, "inputs", 2)
        tokens, columns = values.shape
        rows = self._shape[0]
        if columns != self._shape[1]:
            raise ValueError(f"inputs has {columns} columns, the matrix {self._shape[1]}")
        result = (ctypes.c_float * (tokens * rows))()
        with self._handle as pointer:
            call("packed_matrix_multiply", result, pointer, values.pointer, tokens)
        return _arrays.shaped(result, [tokens, rows])

    def dequantize(self, first_row: int = 0, row_count: Optional[int] = None) -> Any:
        """What it holds instead of the weights: float32 [row_count, columns]; without a count, to the last row."""
        rows, columns = self._shape
        first_row = operator.index(first_row)
        count = rows - first_row if row_count is None else operator.index(row_count)
        if not (0 <= first_row <= rows and 0 <= count <= rows - first_row):
            raise ValueError(f"{count} rows from row {first_row} on: the matrix has {rows} rows")
        result = (ctypes.c_float * (count * columns))()
        with self._handle as pointer:
            call("packed_matrix_dequantize", result, pointer, first_row, count)
        return _arrays.shaped(result, [count, columns])


def _weights(
    weights: Any, columns: int, type: str, scales: Any, scale_type: str, block: Tuple[int, int]
) -> Tuple[int, Tuple[Any, ...]]:
    """Rows, and the arguments of the C functions from `weights` to `block_columns`."""
    if type not in _TYPES:
        raise ValueError(f"type of weights is {type!r}, not one of {', '.join(map(repr, _TYPES))}")
    code, size = _TYPES[type]
    data = _arrays.raw_bytes(weights)
    if columns < 1 or len(data) % (columns * size):
        raise ValueError(f"weights has {len(data)} bytes, no multiple of {columns} columns of {size} bytes")
    rows = len(data) // (columns * size)
    return rows, (data, code, *_scales(type, scales, scale_type, block, rows, columns))


def _scales(
    type: str, scales: Any, scale_type: str, block: Tuple[int, int], rows: int, columns: int
) -> Tuple[Optional[bytes], int, int, int]:
    if type != "f8_e4m3":
        if scales is not None:
            raise ValueError(f"weights of type {type!r} take no scales")
        return None, 0, 0, 0
    if scales is None:
        raise ValueError("weights of type 'f8_e4m3' need scales")
    if scale_type not in _SCALE_TYPES:
        raise ValueError(f"scale_type is {scale_type!r}, not one of {', '.join(map(repr, _SCALE_TYPES))}")
    if min(block) < 1:
        raise ValueError(f"block is {block}, not two numbers of at least 1")
    code, size = _SCALE_TYPES[scale_type]
    data = _arrays.raw_bytes(scales)
    needed = -(-rows // block[0]) * -(-columns // block[1])
    if len(data) != needed * size:
        raise ValueError(f"scales has {len(data)} bytes, not {needed} values of {size} bytes")
    return data, code, block[0], block[1]


@dataclass(frozen=True)
class MachineLimits:
    """What this machine can do at most."""

    bytes_per_second: float
    operations_per_second: float


def measure_machine(threads: int = 0) -> MachineLimits:
    """Measures memory reads and float32 arithmetic with `threads` threads (0: all). Takes about a second."""
    reads, operations = ctypes.c_double(), ctypes.c_double()
    call("machine_measure", ctypes.byref(reads), ctypes.byref(operations), threads)
    return MachineLimits(reads.value, operations.value)

"""Arrays of any kind in, numpy arrays (or lists where numpy is missing) out."""

from __future__ import annotations

import array
import ctypes
from typing import Any, List, Sequence, Tuple

try:
    import numpy
except ImportError:  # numpy is a convenience
    numpy = None  # type: ignore[assignment]


class Floats:
    """A C-contiguous float32 array that lives as long as this object."""

    def __init__(self, values: Any, name: str, dimensions: int) -> None:
        self.shape, self._owner = _float_buffer(values, name)
        if len(self.shape) != dimensions:
            raise ValueError(f"{name} must have {dimensions} dimensions, not {len(self.shape)}")
        self.pointer = _pointer(self._owner, ctypes.c_float)


def _float_buffer(values: Any, name: str) -> Tuple[Tuple[int, ...], Any]:
    if numpy is not None:
        converted = numpy.ascontiguousarray(values, dtype=numpy.float32)
        return tuple(converted.shape), converted
    try:
        view = memoryview(values)
    except TypeError:
        shape = _list_shape(values)
        return shape, array.array("f", _flat(values, shape, name))
    if view.format != "f" or not view.c_contiguous or view.readonly:
        return tuple(view.shape or ()), array.array("f", _flat(view.tolist(), tuple(view.shape or ()), name))
    return tuple(view.shape or ()), values


def _list_shape(values: Any) -> Tuple[int, ...]:
    shape: List[int] = []
    while isinstance(values, (list, tuple)):
        shape.append(len(values))
        if not values:
            break
        values = values[0]
    return tuple(shape)


def _flat(values: Any, shape: Sequence[int], name: str) -> List[float]:
    if not shape:
        return [float(values)]
    if len(values) != shape[0]:
        raise ValueError(f"{name} is ragged")
    if len(shape) == 1:
        return [float(value) for value in values]
    return [number for row in values for number in _flat(row, shape[1:], name)]


def _pointer(buffer: Any, element: Any) -> Any:
    if numpy is not None and isinstance(buffer, numpy.ndarray):
        return buffer.ctypes.data_as(ctypes.POINTER(element))
    view = memoryview(buffer).cast("B")
    if len(view) == 0:
        return None
    return ctypes.cast((ctypes.c_char * len(view)).from_buffer(view), ctypes.POINTER(element))


def raw_bytes(values: Any) -> Any:
    """The bytes of any C-contiguous buffer (numpy array, bytes, memoryview, array.array)."""
    if numpy is not None and isinstance(values, numpy.ndarray):
        return numpy.ascontiguousarray(values).tobytes()
    return bytes(memoryview(values))


def tokens(values: Any) -> Any:
    """Token ids as a ctypes array of int32."""
    numbers = [int(value) for value in values]
    for index, number in enumerate(numbers):
        if not -(2**31) <= number < 2**31:
            raise ValueError(f"token {index} is {number}, beyond 32 bits")
    return (ctypes.c_int32 * len(numbers))(*numbers)


def shaped(buffer: Any, shape: Sequence[int]) -> Any:
    """A ctypes array as a numpy array of `shape` that shares its memory, or as nested lists."""
    if numpy is not None:
        return numpy.ctypeslib.as_array(buffer).reshape(shape) if len(buffer) else _empty(buffer, shape)
    return _nested(list(buffer), list(shape))


def _empty(buffer: Any, shape: Sequence[int]) -> Any:
    return numpy.zeros(shape, dtype=numpy.dtype(buffer._type_))


def _nested(flat: List[Any], shape: List[int]) -> Any:
    if len(shape) <= 1:
        return flat
    step = len(flat) // shape[0] if shape[0] else 0
    return [_nested(flat[index * step : (index + 1) * step], shape[1:]) for index in range(shape[0])]

"""Arrays of any kind in, numpy arrays (or lists where numpy is missing) out."""

from __future__ import annotations

import array
import ctypes
import operator
from typing import Any, List, Sequence, Tuple


def _numpy() -> Any:
    try:
        import numpy
    except ImportError:  # numpy is a convenience
        return None
    return numpy


numpy: Any = _numpy()


class Floats:
    """A C-contiguous float32 array that lives as long as this object."""

    def __init__(self, values: Any, name: str, dimensions: int) -> None:
        self.shape, self._owner = _float_buffer(values, name)
        if len(self.shape) != dimensions:
            raise ValueError(f"{name} must have {dimensions} dimensions, not {len(self.shape)}")
        self.pointer = _pointer(self._owner, ctypes.c_float)

    def scale(self, middle: float, half: float) -> None:
        """Takes `middle` from each value and divides by `half`: of values that are a copy of the caller's."""
        if numpy is not None:
            self._owner -= numpy.float32(middle)
            self._owner /= numpy.float32(half)
        else:
            for index, value in enumerate(self._owner):
                self._owner[index] = (value - middle) / half


def audio(values: Any) -> Floats:
    """Samples from -1 to 1, [frames] or [frames, channels]: those of whole numbers of up to 32 bits are divided by what
    their type goes up to, as files of audio have them, and those of no sign are centred first."""
    form, size, dimensions = _form(values)
    if form in "iu" and size > 4:
        raise ValueError(f"samples of {8 * size} bits have no range of their own: give int16, int32, uint8 or floats")
    if form not in "iuf":
        raise ValueError("samples are whole numbers of 8, 16 or 32 bits, or floats from -1 to 1")
    floats = Floats(values, "samples", 2 if dimensions == 2 else 1)
    if form in "iu":
        half = float(1 << (8 * size - 1))
        floats.scale(half if form == "u" else 0.0, half)
    return floats


def _form(values: Any) -> Tuple[str, int, int]:
    """Of samples: "i", "u" or "f" for what they are, the bytes of one, and the number of dimensions."""
    if isinstance(values, (list, tuple)):
        first = values[0] if values and isinstance(values[0], (list, tuple)) else values
        if len(first) == 0 or isinstance(first[0], (int, float)):
            return "f", 4, _checked_list(values)
    if numpy is not None:
        samples = numpy.asarray(values)
        return samples.dtype.kind, samples.dtype.itemsize, samples.ndim
    buffer: Any = values
    view = memoryview(buffer)
    letter = view.format.lstrip("@=<>!")
    kinds = {**dict.fromkeys("bhilq", "i"), **dict.fromkeys("BHILQ", "u"), **dict.fromkeys("efd", "f")}
    return kinds.get(letter, "?"), view.itemsize, view.ndim


def _checked_list(values: Sequence[Any]) -> int:
    """The dimensions of a list of Python's own numbers, whose whole ones have no type that would tell their range."""
    dimensions = 2 if values and isinstance(values[0], (list, tuple)) else 1
    for row in values if dimensions == 2 else [values]:
        if any(isinstance(value, int) and not -1 <= value <= 1 for value in row):
            raise ValueError("a list of samples holds numbers from -1 to 1: whole numbers need an array of their type")
    return dimensions


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
    numbers = [operator.index(value) for value in values]
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

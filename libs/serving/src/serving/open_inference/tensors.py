"""Tensors of the Open Inference Protocol, from JSON and from raw little-endian bytes, and back.

Numbers of every datatype become float64, as the boosters read them; a whole number that float64 does not hold is
refused rather than rounded. BYTES elements are text in UTF-8.
"""

import itertools
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serving.open_inference.messages import InputTensor
from serving.problems import Problem, ProblemError, problem

__all__ = ["Tensor", "bytes_of_numbers", "bytes_of_words", "tensor_of_bytes", "tensor_of_json"]

_DTYPES = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
_FLOATING = frozenset({"FP16", "BF16", "FP32", "FP64"})
_WHOLE_MAX = 2**53
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input that was read: `numbers` in row-major order, or `words` where the datatype is BYTES."""

    name: str
    shape: tuple[int, ...]
    datatype: str
    numbers: NDArray[np.float64] | None
    words: list[str] | None


def tensor_of_json(given: InputTensor) -> Tensor:
    """Read a tensor whose elements stand in the JSON, flat or nested as its shape says. Raises the 400 problem."""
    count = _count(given)
    flat = _flat(given)
    if len(flat) != count:
        raise _wrong(f"has {len(flat)} elements where its shape has {count}")
    types = {*map(type, flat)}
    if given.datatype == "BYTES":
        if not types <= {str}:
            raise _wrong("must hold strings only")
        return Tensor(given.name, given.shape, given.datatype, None, [str(word) for word in flat])
    if given.datatype in _FLOATING:
        allowed: set[type] = {int, float, type(None)}
    elif given.datatype == "BOOL":
        allowed = {bool}
    else:
        allowed = {int}
    if not types <= allowed:
        null = "; null stands for NaN in floating datatypes only" if type(None) in types else ""
        raise _wrong(f"holds an element that is not of its datatype{null}")
    dtype = np.dtype("<f4") if given.datatype == "BF16" else _DTYPES[given.datatype]
    try:
        with np.errstate(over="ignore"):
            array = np.array(flat, dtype=dtype)
    except OverflowError:
        raise _wrong("holds a number that its datatype cannot hold") from None
    return Tensor(given.name, given.shape, given.datatype, _float64(array), None)


def tensor_of_bytes(given: InputTensor, raw: memoryview) -> Tensor:
    """Read a tensor from exactly its bytes. Raises the 400 problem."""
    count = _count(given)
    if given.datatype == "BYTES":
        words = _words(raw)
        if len(words) != count:
            raise _wrong(f"has {len(words)} elements where its shape has {count}")
        return Tensor(given.name, given.shape, given.datatype, None, words)
    dtype = _DTYPES[given.datatype]
    if len(raw) != count * dtype.itemsize:
        raise _wrong(f"has {len(raw)} bytes where its shape has {count * dtype.itemsize}")
    if given.datatype == "BOOL":
        return Tensor(given.name, given.shape, "BOOL", (np.frombuffer(raw, np.uint8) != 0).astype(np.float64), None)
    array: NDArray[np.generic] = np.frombuffer(raw, dtype)
    if given.datatype == "BF16":
        # The upper half of a float32.
        array = (array.astype(np.uint32) << 16).view(np.float32)
    return Tensor(given.name, given.shape, given.datatype, _float64(array), None)


def bytes_of_numbers(column: NDArray[np.float64]) -> bytes:
    """Give an FP64 tensor's raw form."""
    return column.astype("<f8", copy=False).tobytes()


def bytes_of_words(words: Sequence[str]) -> bytes:
    """Give a BYTES tensor's raw form: each element's length as u32, then its bytes."""
    parts: list[bytes] = []
    for word in words:
        encoded = word.encode("utf-8")
        parts += (_LENGTH.pack(len(encoded)), encoded)
    return b"".join(parts)


def _count(given: InputTensor) -> int:
    if given.datatype != "BYTES" and given.datatype not in _DTYPES:
        raise _wrong("has a datatype that the protocol does not know")
    if any(size < 0 for size in given.shape):
        raise _wrong("has a negative size in its shape")
    return math.prod(given.shape)


def _flat(given: InputTensor) -> list[object]:
    """Flatten nested lists, which must have the tensor's shape."""
    elements: list[object] = given.data or []
    if not any(isinstance(element, list) for element in elements):
        return elements
    if len(elements) != given.shape[0]:
        raise _wrong("is not nested as its shape says")
    for size in given.shape[1:]:
        if not all(isinstance(element, list) and len(element) == size for element in elements):
            raise _wrong("is not nested as its shape says")
        elements = list(itertools.chain.from_iterable(elements))  # type: ignore[arg-type]  # all are lists
    return elements


def _words(raw: memoryview) -> list[str]:
    words: list[str] = []
    start, end = 0, len(raw)
    while start < end:
        if start + _LENGTH.size > end:
            raise _wrong("ends within the length of an element")
        (length,) = _LENGTH.unpack_from(raw, start)
        start += _LENGTH.size
        if start + length > end:
            raise _wrong("ends within an element")
        try:
            words.append(str(raw[start : start + length], "utf-8"))
        except UnicodeDecodeError:
            raise _wrong("holds an element that is not UTF-8") from None
        start += length
    return words


def _float64(array: NDArray[np.generic]) -> NDArray[np.float64]:
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8 and array.size:
        low, high = int(array.min()), int(array.max())
        if low < -_WHOLE_MAX or high > _WHOLE_MAX:
            raise _wrong("holds a whole number that float64 does not hold exactly")
    return array.astype(np.float64)


def _wrong(what: str) -> ProblemError:
    # Without the input's name: that is the caller's text until it is known as one of the model's.
    return problem(Problem.MALFORMED, f"An input {what}.")

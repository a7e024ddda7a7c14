"""Tensors as the Open Inference Protocol has them: datatypes, shapes, and elements as raw bytes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from inference.domain.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

BYTES: Final = "BYTES"
BOOL: Final = "BOOL"
DTYPES: Final[Mapping[str, np.dtype[Any]]] = {
    BOOL: np.dtype("?"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
    BYTES: np.dtype("O"),
}
"""By datatype, what an element is here: of BYTES a `bytes`."""

_PREFIX_BYTES: Final = 4
_WIDEST: Final = 2**31


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A named tensor.

    Attributes:
        datatype: One of `DTYPES`.
        shape: Of all its dimensions.
        values: Its elements, flat, the last dimension fastest, of the datatype's dtype.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: NDArray[Any]


def tensor_of(name: str, values: NDArray[Any], datatype: str) -> Tensor:
    """Make a tensor of an array of any rank."""
    return Tensor(name, datatype, values.shape, values.astype(DTYPES[datatype], copy=False).ravel())


def size_of(name: str, datatype: str, shape: Sequence[int]) -> int:
    """How many elements a tensor must have.

    Raises:
        InvalidRequest: Nobody knows its datatype, or its shape is none.
    """
    if datatype not in DTYPES:
        raise InvalidRequest(
            f"inputs[{name}].datatype", f"is {datatype!r}, must be one of {', '.join(DTYPES)}"
        )
    if not 1 <= len(shape) <= 2 or not all(0 <= width < _WIDEST for width in shape):
        raise InvalidRequest(f"inputs[{name}].shape", f"is {_shown(shape)}, must be [rows] or [rows, width]")
    return math.prod(shape)


def _shown(shape: Sequence[int]) -> str:
    return str(list(shape)) if len(shape) <= 8 and all(abs(width) < 2**63 for width in shape) else "too large"


def from_elements(name: str, datatype: str, shape: Sequence[int], elements: Sequence[Any]) -> Tensor:
    """Make a tensor of numbers, flags or `bytes`.

    Raises:
        InvalidRequest: It has more or fewer elements than its shape says, or one is not of its datatype.
    """
    size = size_of(name, datatype, shape)
    if len(elements) != size:
        problem = f"has {len(elements)} elements, its shape {list(shape)} needs {size}"
        raise InvalidRequest(f"inputs[{name}]", problem)
    try:
        with np.errstate(over="ignore"):
            values = np.fromiter(elements, DTYPES[datatype], size)
    except (OverflowError, ValueError, TypeError) as error:
        raise InvalidRequest(f"inputs[{name}]", f"has an element that is no {datatype}: {error}") from error
    return Tensor(name, datatype, tuple(shape), values)


def from_raw(name: str, datatype: str, shape: Sequence[int], raw: bytes) -> Tensor:
    """Read raw contents: little-endian elements without padding, each of BYTES behind its length in 4 bytes.

    Raises:
        InvalidRequest: They are longer or shorter than the shape says.
    """
    size = size_of(name, datatype, shape)
    if datatype == BYTES:
        return Tensor(name, datatype, tuple(shape), _texts_of(name, size, raw))
    dtype = DTYPES[datatype]
    if len(raw) != size * dtype.itemsize:
        problem = (
            f"has {len(raw)} raw bytes, its shape {list(shape)} of {datatype} needs {size * dtype.itemsize}"
        )
        raise InvalidRequest(f"inputs[{name}]", problem)
    if datatype == BOOL:
        # A byte that is neither 0 nor 1 is no bool to numpy.
        return Tensor(name, datatype, tuple(shape), np.frombuffer(raw, np.uint8) != 0)
    return Tensor(name, datatype, tuple(shape), np.frombuffer(raw, dtype))


def to_raw(tensor: Tensor) -> bytes:
    """Write raw contents."""
    if tensor.datatype != BYTES:
        return tensor.values.tobytes()
    return b"".join(
        len(element).to_bytes(_PREFIX_BYTES, "little") + element for element in tensor.values.tolist()
    )


def _texts_of(name: str, size: int, raw: bytes) -> NDArray[Any]:
    elements: list[bytes] = []
    at = 0
    while at < len(raw):
        start = at + _PREFIX_BYTES
        at = start + int.from_bytes(raw[at:start], "little")
        if start > len(raw) or at > len(raw):
            raise InvalidRequest(f"inputs[{name}]", f"ends within element {len(elements)} of its raw bytes")
        elements.append(raw[start:at])
    if len(elements) != size:
        raise InvalidRequest(f"inputs[{name}]", f"has {len(elements)} raw elements, its shape needs {size}")
    return np.array(elements, DTYPES[BYTES])

"""The types of values in expressions and columns, and how each is laid out in numpy, nulls included."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

NULL_TIME_US: Final = int(np.iinfo(np.int64).min)
"""The null of times. It is numpy's NaT, so datetime64 arithmetic carries it along."""

NULL_FLAG: Final = -1


class FieldType(StrEnum):
    """What a value is.

    | type | column | null |
    |---|---|---|
    | number | float64 | NaN |
    | text | object (str) | None |
    | time | int64, microseconds since the epoch, UTC | `NULL_TIME_US` |
    | flag | int8, 0 or 1 | -1 |
    | duration | int64, microseconds; only inside expressions | `NULL_TIME_US` |
    """

    NUMBER = "number"
    TEXT = "text"
    TIME = "time"
    FLAG = "flag"
    DURATION = "duration"


_DTYPES: Final[Mapping[FieldType, np.dtype[Any]]] = {
    FieldType.NUMBER: np.dtype(np.float64),
    FieldType.TEXT: np.dtype(np.object_),
    FieldType.TIME: np.dtype(np.int64),
    FieldType.FLAG: np.dtype(np.int8),
    FieldType.DURATION: np.dtype(np.int64),
}
Value = Any
"""What an evaluation computes with: an array of its length, or a scalar for all of it, which is a float, str,
bool or timedelta64[us]."""

_SCALAR: Final = np.dtype(np.bool_)
_NULLS: Final[Mapping[FieldType, Any]] = {
    FieldType.NUMBER: np.nan,
    FieldType.TEXT: None,
    FieldType.TIME: NULL_TIME_US,
    FieldType.FLAG: NULL_FLAG,
    FieldType.DURATION: NULL_TIME_US,
}


def dtype_of(kind: FieldType) -> np.dtype[Any]:
    """Return the dtype of a column of this type."""
    return _DTYPES[kind]


def null_of(kind: FieldType) -> Any:
    """Return the value that stands for null in a column of this type."""
    return _NULLS[kind]


def column_of(kind: FieldType, values: Any) -> NDArray[Any]:
    """Return the column of this type that holds `values`, in which None is null."""
    null = _NULLS[kind]
    return np.array([null if value is None else value for value in values], dtype=_DTYPES[kind])


def nulls(kind: FieldType, column: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where a column of this type is null."""
    if kind is FieldType.NUMBER:
        missing: NDArray[np.bool_] = np.isnan(column)
        return missing
    return equals(column, _NULLS[kind])


def equals(column: NDArray[Any], value: object) -> NDArray[np.bool_]:
    """Return where a column is `value`, which may be None."""
    same: NDArray[Any] = column == value
    return same.astype(np.bool_, copy=False)


def is_null(value: Value) -> Value:
    """Return where a value of an evaluation is null."""
    kind = getattr(value, "dtype", _SCALAR).kind
    if kind == "f":
        return np.isnan(value)
    if kind == "m":
        return np.isnat(value)
    if kind == "O":
        return equals(value, None)
    if kind == "i":
        return value < 0
    return np.False_


def as_flag(value: Value) -> Value:
    """Return a flag as booleans; a null flag is False."""
    return value == 1 if getattr(value, "dtype", _SCALAR).kind == "i" else value

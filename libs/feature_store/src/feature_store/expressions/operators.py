"""Every operator of the expression language: what it computes, on numpy arrays, and which types it accepts.

Inside an evaluation times and durations are timedelta64[us] views of their int64 columns: NaT is the null and numpy carries it
through arithmetic and comparison. Logic has two values: a comparison with null is False, so its negation is True.

An operator is a row of `OPERATORS`; another runtime of expressions is another table with the same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from feature_store.expressions import calendar
from feature_store.expressions.types import FieldType

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

Value = Any
"""An array of the evaluation's length, or a scalar that stands for one: a float, a str, a bool or a timedelta64[us]."""

Signatures = Mapping[tuple[FieldType, ...], FieldType]

_NUMBER, _TEXT, _TIME = FieldType.NUMBER, FieldType.TEXT, FieldType.TIME
_FLAG, _DURATION = FieldType.FLAG, FieldType.DURATION


@dataclass(frozen=True, slots=True)
class Operator:
    """How messages write it, which operand types give which type, and its computation (operands first, then parameters)."""

    template: str
    signatures: Signatures
    compute: Callable[..., Value]


def is_null(value: Value) -> Value:
    """Return where a value is null."""
    kind = getattr(value, "dtype", _SCALAR).kind
    if kind == "f":
        return np.isnan(value)
    if kind == "m":
        return np.isnat(value)
    if kind == "O":
        return np.equal(value, None).astype(np.bool_)
    if kind == "i":
        return value < 0
    return np.False_


_SCALAR: Final = np.dtype(np.bool_)


def as_flag(value: Value) -> Value:
    """Return a flag as booleans; a null flag is False."""
    return value == 1 if getattr(value, "dtype", _SCALAR).kind == "i" else value


def _equal(left: Value, right: Value) -> Value:
    same = np.equal(left, right)
    # None equals None, alone among the nulls.
    return same.astype(np.bool_) & ~is_null(left) if same.dtype.kind == "O" else same


def _not_equal(left: Value, right: Value) -> Value:
    return ~(_equal(left, right) | is_null(left) | is_null(right))


def _divide(left: Value, right: Value) -> Value:
    quotient = np.true_divide(left, right)
    return np.where(np.isinf(quotient), np.nan, quotient)


def _and(left: Value, right: Value) -> Value:
    return np.logical_and(as_flag(left), as_flag(right))


def _or(left: Value, right: Value) -> Value:
    return np.logical_or(as_flag(left), as_flag(right))


def _not(value: Value) -> Value:
    return np.logical_not(as_flag(value))


def _is_in(value: Value, *members: str | float) -> Value:
    if value.dtype.kind == "f":
        return np.isin(value, np.array(members, dtype=np.float64))
    wanted = frozenset(members)
    return np.fromiter((item in wanted for item in value), np.bool_, len(value))


def _to_number(value: Value) -> Value:
    if getattr(value, "dtype", _SCALAR).kind == "i":
        return np.where(value < 0, np.nan, value)
    return value.astype(np.float64)


def _to_flag(value: Value) -> Value:
    return np.where(np.isnan(value), -1, value != 0).astype(np.int8)


def _part(compute: Callable[[Any], NDArray[np.float64]]) -> Callable[[Value, str], Value]:
    return lambda value, zone: compute(calendar.zone_offsets(zone).localize(value))


_ORDERED: Final[Signatures] = {
    (_NUMBER, _NUMBER): _FLAG,
    (_TIME, _TIME): _FLAG,
    (_DURATION, _DURATION): _FLAG,
}
_EQUATED: Final[Signatures] = {**_ORDERED, (_TEXT, _TEXT): _FLAG}
_LOGIC: Final[Signatures] = {(_FLAG, _FLAG): _FLAG}
_SUM: Final[Signatures] = {
    (_NUMBER, _NUMBER): _NUMBER,
    (_TIME, _DURATION): _TIME,
    (_DURATION, _TIME): _TIME,
    (_DURATION, _DURATION): _DURATION,
}
_DIFFERENCE: Final[Signatures] = {
    (_NUMBER, _NUMBER): _NUMBER,
    (_TIME, _TIME): _DURATION,
    (_TIME, _DURATION): _TIME,
    (_DURATION, _DURATION): _DURATION,
}
_QUOTIENT: Final[Signatures] = {(_NUMBER, _NUMBER): _NUMBER, (_DURATION, _DURATION): _NUMBER}
_ANY: Final[Signatures] = {(kind,): _FLAG for kind in FieldType}

OPERATORS: Final[Mapping[str, Operator]] = {
    "add": Operator("{} + {}", _SUM, np.add),
    "subtract": Operator("{} - {}", _DIFFERENCE, np.subtract),
    "multiply": Operator("{} * {}", {(_NUMBER, _NUMBER): _NUMBER}, np.multiply),
    "divide": Operator("{} / {}", _QUOTIENT, _divide),
    "negative": Operator("-{}", {(_NUMBER,): _NUMBER, (_DURATION,): _DURATION}, np.negative),
    "equal": Operator("{} == {}", _EQUATED, _equal),
    "not_equal": Operator("{} != {}", _EQUATED, _not_equal),
    "less": Operator("{} < {}", _ORDERED, np.less),
    "less_equal": Operator("{} <= {}", _ORDERED, np.less_equal),
    "greater": Operator("{} > {}", _ORDERED, np.greater),
    "greater_equal": Operator("{} >= {}", _ORDERED, np.greater_equal),
    "and": Operator("{} & {}", _LOGIC, _and),
    "or": Operator("{} | {}", _LOGIC, _or),
    "not": Operator("~{}", {(_FLAG,): _FLAG}, _not),
    "is_null": Operator("{}.is_null()", _ANY, is_null),
    "is_in_texts": Operator("{}.is_in([texts])", {(_TEXT,): _FLAG}, _is_in),
    "is_in_numbers": Operator("{}.is_in([numbers])", {(_NUMBER,): _FLAG}, _is_in),
    "to_number": Operator('{}.cast("number")', {(_FLAG,): _NUMBER}, _to_number),
    "to_flag": Operator('{}.cast("flag")', {(_NUMBER,): _FLAG}, _to_flag),
    "local_hour": Operator("local_hour({})", {(_TIME,): _NUMBER}, _part(calendar.hour)),
    "local_minute_of_day": Operator(
        "local_minute_of_day({})", {(_TIME,): _NUMBER}, _part(calendar.minute_of_day)
    ),
    "day_of_week": Operator("day_of_week({})", {(_TIME,): _NUMBER}, _part(calendar.day_of_week)),
    "month": Operator("month({})", {(_TIME,): _NUMBER}, _part(calendar.month)),
}

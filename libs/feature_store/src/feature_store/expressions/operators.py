"""Every operator of the expression language: what it computes, on numpy arrays, and which types it accepts.

Inside an evaluation times and durations are timedelta64[us] views of their int64 columns: NaT is the null and
numpy carries it through arithmetic and comparison. Logic has two values: a comparison with null is False,
so its negation is True.

An operator is a row of `OPERATORS`; another runtime of expressions is another table with the same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from feature_store.expressions import calendar, choices
from feature_store.expressions.great_circle import distance_km
from feature_store.expressions.types import FieldType, as_flag, is_null

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from feature_store.expressions.types import Value

Signatures = Mapping[tuple[FieldType, ...], FieldType]

_NUMBER, _TEXT, _TIME = FieldType.NUMBER, FieldType.TEXT, FieldType.TIME
_FLAG, _DURATION = FieldType.FLAG, FieldType.DURATION


@dataclass(frozen=True, slots=True)
class Operator:
    """A row of the table.

    Attributes:
        template: How a definition writes it: `{0}` and `{1}` are the operands, `{parameters}` the parameters.
        signatures: Which types of operands it accepts, and the type of the result.
        compute: Its computation: operands first, then parameters.
    """

    template: str
    signatures: Signatures
    compute: Callable[..., Value]


def _equal(left: Value, right: Value) -> Value:
    same = np.equal(left, right)
    # Alone among the nulls, None equals itself.
    return same & ~is_null(left) if _is_texts(left) and _is_texts(right) else same


def _is_texts(value: Value) -> bool:
    return bool(getattr(value, "dtype", None) == np.object_)


def _not_equal(left: Value, right: Value) -> Value:
    return ~(_equal(left, right) | is_null(left) | is_null(right))


def _arithmetic(ufunc: np.ufunc) -> Callable[[Value, Value], Value]:
    """Make a computation whose result is null where it is not finite: beyond a float, or divided by zero."""

    def compute(left: Value, right: Value) -> Value:
        with np.errstate(all="ignore"):
            result = ufunc(left, right)
        if result.dtype.kind != "f":
            return result
        infinite = np.isinf(result)
        return np.where(infinite, np.nan, result) if infinite.any() else result

    return compute


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
    if value.dtype.kind == "i":
        return np.where(value < 0, np.nan, value)
    return value.astype(np.float64)


def _to_flag(value: Value) -> Value:
    return np.where(np.isnan(value), -1, value != 0).astype(np.int8)


def _finite(ufunc: np.ufunc) -> Callable[[Value], Value]:
    """Make a computation of one number that is null where it is not finite, or not a real number."""

    def compute(value: Value) -> Value:
        with np.errstate(all="ignore"):
            result = ufunc(value)
        return np.where(np.isinf(result), np.nan, result)

    return compute


def _haversine_km(*points: Value) -> Value:
    with np.errstate(invalid="ignore"):
        return distance_km(points, where=np.where, sqrt=np.sqrt, null=np.nan)


def _attribute(key: Value, *others: Any) -> Value:
    *as_of, table = others
    return table.find(key, *as_of)


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
_SAME: Final[Signatures] = {(_NUMBER,): _NUMBER, (_DURATION,): _DURATION}
_REAL: Final[Signatures] = {(_NUMBER,): _NUMBER}
_PAIR: Final[Signatures] = {(_NUMBER, _NUMBER): _NUMBER}
_CHOSEN: Final[Signatures] = {(kind, kind): kind for kind in (_NUMBER, _TIME, _DURATION)}
_PARTS: Final[Signatures] = {(_TIME,): _NUMBER}


def _attribute_of(kind: FieldType) -> Signatures:
    """An attribute of a dimension, by key, or by key and time."""
    return {(_TEXT,): kind, (_TEXT, _TIME): kind}


_ANY: Final[Signatures] = {(kind,): _FLAG for kind in FieldType}

OPERATORS: Final[Mapping[str, Operator]] = {
    "add": Operator("{0} + {1}", _SUM, _arithmetic(np.add)),
    "subtract": Operator("{0} - {1}", _DIFFERENCE, _arithmetic(np.subtract)),
    "multiply": Operator("{0} * {1}", {(_NUMBER, _NUMBER): _NUMBER}, _arithmetic(np.multiply)),
    "divide": Operator("{0} / {1}", _QUOTIENT, _arithmetic(np.true_divide)),
    "negative": Operator("-{0}", {(_NUMBER,): _NUMBER, (_DURATION,): _DURATION}, np.negative),
    "equal": Operator("{0} == {1}", _EQUATED, _equal),
    "not_equal": Operator("{0} != {1}", _EQUATED, _not_equal),
    "less": Operator("{0} < {1}", _ORDERED, np.less),
    "less_equal": Operator("{0} <= {1}", _ORDERED, np.less_equal),
    "greater": Operator("{0} > {1}", _ORDERED, np.greater),
    "greater_equal": Operator("{0} >= {1}", _ORDERED, np.greater_equal),
    "and": Operator("{0} & {1}", _LOGIC, _and),
    "or": Operator("{0} | {1}", _LOGIC, _or),
    "not": Operator("~{0}", {(_FLAG,): _FLAG}, _not),
    "is_null": Operator("{0}.is_null()", _ANY, is_null),
    "is_in_texts": Operator("{0}.is_in({parameters})", {(_TEXT,): _FLAG}, _is_in),
    "is_in_numbers": Operator("{0}.is_in({parameters})", {(_NUMBER,): _FLAG}, _is_in),
    "to_number": Operator('{0}.cast("number")', {(_FLAG,): _NUMBER}, _to_number),
    "to_flag": Operator('{0}.cast("flag")', {(_NUMBER,): _FLAG}, _to_flag),
    "absolute": Operator("abs({0})", _SAME, np.abs),
    "floor": Operator("floor({0})", _REAL, np.floor),
    "ceil": Operator("ceil({0})", _REAL, np.ceil),
    "round": Operator("round({0})", _REAL, np.rint),
    "sqrt": Operator("sqrt({0})", _REAL, _finite(np.sqrt)),
    "exp": Operator("exp({0})", _REAL, _finite(np.exp)),
    "log": Operator("log({0})", _REAL, _finite(np.log)),
    "power": Operator("power({0}, {1})", _PAIR, _arithmetic(np.power)),
    "minimum": Operator("minimum({0}, {1})", _CHOSEN, choices.minimum),
    "maximum": Operator("maximum({0}, {1})", _CHOSEN, choices.maximum),
    "where": Operator(
        "where({0}, {1}, {2})", {(_FLAG, kind, kind): kind for kind in FieldType}, choices.where
    ),
    "coalesce": Operator("coalesce({0}, {1})", {(kind, kind): kind for kind in FieldType}, choices.coalesce),
    "look_up_text": Operator("lookup({0}, {parameters})", {(_TEXT,): _NUMBER}, choices.look_up_text),
    "look_up_number": Operator("lookup({0}, {parameters})", _REAL, choices.look_up_number),
    **{
        f"attribute_{kind}": Operator("{parameters}.of({0})", _attribute_of(kind), _attribute)
        for kind in (_NUMBER, _TEXT, _TIME, _FLAG)
    },
    "haversine_km": Operator("haversine_km({0}, {1}, {2}, {3})", {(_NUMBER,) * 4: _NUMBER}, _haversine_km),
    **{
        name: Operator(f"{name}({{0}}, zone={{parameters}})", _PARTS, _part(compute))
        for name, compute in (
            ("local_hour", calendar.hour),
            ("local_minute_of_day", calendar.minute_of_day),
            ("day_of_week", calendar.day_of_week),
            ("day_of_month", calendar.day_of_month),
            ("day_of_year", calendar.day_of_year),
            ("iso_week", calendar.iso_week),
            ("month", calendar.month),
        )
    },
}

"""Functions that a definition writes over expressions; the operators behind them are `operators`'s."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from feature_store.errors import DefinitionError, caller
from feature_store.expressions.nodes import Apply, as_expression

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from feature_store.expressions.nodes import Expression, Operand


def floor(x: Operand) -> Expression:
    """Return the greatest whole number that is not greater."""
    return Apply("floor", (as_expression(x),))


def ceil(x: Operand) -> Expression:
    """Return the least whole number that is not less."""
    return Apply("ceil", (as_expression(x),))


def sqrt(x: Operand) -> Expression:
    """Return the square root; null of a negative number."""
    return Apply("sqrt", (as_expression(x),))


def exp(x: Operand) -> Expression:
    """Return e to the power of a number; null beyond a float64."""
    return Apply("exp", (as_expression(x),))


def log(x: Operand) -> Expression:
    """Return the natural logarithm; null of 0 and of a negative number."""
    return Apply("log", (as_expression(x),))


def power(base: Operand, exponent: Operand) -> Expression:
    """Return a power; null where it is no real number, or beyond a float64."""
    return Apply("power", (as_expression(base), as_expression(exponent)))


def minimum(left: Operand, right: Operand) -> Expression:
    """Return the lesser of two numbers, times or durations; null where either is null."""
    return Apply("minimum", (as_expression(left), as_expression(right)))


def maximum(left: Operand, right: Operand) -> Expression:
    """Return the greater of two numbers, times or durations; null where either is null."""
    return Apply("maximum", (as_expression(left), as_expression(right)))


def clip(x: Operand, low: Operand, high: Operand) -> Expression:
    """Return `x`, no less than `low` and no more than `high`; null where any is null."""
    return minimum(maximum(x, low), high)


def where(condition: Expression, value: Operand, otherwise: Operand) -> Expression:
    """Return `value` where a condition holds, and `otherwise` where it does not or is null."""
    return Apply("where", (as_expression(condition), as_expression(value), as_expression(otherwise)))


def coalesce(value: Operand, *others: Operand) -> Expression:
    """Return the first of several values of a type that is not null."""
    first = as_expression(value)
    return Apply("coalesce", (first, coalesce(*others))) if others else first


def lookup(
    x: Expression, table: Mapping[str, float] | Mapping[float, float], *, otherwise: float | None = None
) -> Expression:
    """Return the number that a table has for a text, or for a number that equals a key.

    Args:
        x: What is looked up; null is in no table.
        table: All texts, or all finite numbers, to finite numbers.
        otherwise: What is returned for everything else; None for null.

    Raises:
        DefinitionError: the table is not of that kind.
    """
    keys, values = list(table), [*table.values(), 0.0 if otherwise is None else otherwise]
    texts = all(isinstance(key, str) for key in keys)
    if not keys or not all(map(_is_finite, values)) or not (texts or all(map(_is_finite, keys))):
        raise DefinitionError(
            f"lookup({x}, {dict(table)!r}, otherwise={otherwise!r})",
            "its table does not lead from texts, or from finite numbers, to finite numbers",
            instead='Write at least one entry, such as {"AA": 1.0}.',
            at=caller(),
        )
    entries = sorted((key if texts else float(key), float(value)) for key, value in table.items())
    parameters = [part for entry in entries for part in entry]
    unknown = None if otherwise is None else float(otherwise)
    return Apply("look_up_text" if texts else "look_up_number", (x,), (unknown, *parameters))


def category(x: Expression, members: Sequence[str], *, unknown: float = -1.0) -> Expression:
    """Return the index of a text among `members`, and `unknown` for null and every other text.

    Raises:
        DefinitionError: a member is listed twice, or is no text.
    """
    if len(set(members)) != len(members) or not all(isinstance(member, str) for member in members):
        raise DefinitionError(
            f"category({x}, {list(members)!r})",
            "its members are not different texts",
            instead="List each text once: its place is its number.",
            at=caller(),
        )
    return lookup(x, {member: float(place) for place, member in enumerate(members)}, otherwise=unknown)


def vocabulary_of(expression: Expression) -> tuple[str, ...]:
    """Return the members of a `category`, each in its place; empty for any other expression.

    One whose `unknown` is the number of a member has none: the number does not say which text it was.
    """
    if not isinstance(expression, Apply) or expression.operator != "look_up_text":
        return ()
    unknown, *entries = expression.parameters
    members = {number: str(text) for text, number in zip(entries[::2], entries[1::2], strict=True)}
    places = range(len(entries) // 2)
    if members.keys() != set(places) or unknown in places:
        return ()
    return tuple(members[place] for place in places)


def haversine_km(
    latitude: Operand, longitude: Operand, other_latitude: Operand, other_longitude: Operand
) -> Expression:
    """Return the great-circle distance of two points in kilometres, on a sphere of the Earth's mean radius.

    In degrees; null where a latitude is beyond 90 or a longitude beyond 180.
    """
    points = (latitude, longitude, other_latitude, other_longitude)
    return Apply("haversine_km", tuple(as_expression(degrees) for degrees in points))


def _is_finite(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)

"""Arms and segments of a route as words: `green=VERSION:0`, `jfk: b=VERSION:100 if entity.origin=JFK|LGA`."""

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from tidemark_cli.failures import WrongUsage
from tidemark_cli.words import share

_FIELDS = ("entity", "input")


def read_arm(told: str, option: str = "--arm") -> dict[str, Any]:
    """Reads `NAME=VERSION:SHARE`, the share in percent.

    Raises:
        WrongUsage: it is not that.
    """
    name, equals, rest = told.strip().partition("=")
    version, colon, percent = rest.rpartition(":")
    if not (name and equals and version and colon):
        raise WrongUsage(
            f"{option} {told!r} is no NAME=VERSION:SHARE, such as green=gradient-boosting-3f9a:0"
        )
    return {"variant": name, "version": version, "weight_basis_points": _basis_points(told, option, percent)}


def read_segment(told: str) -> dict[str, Any]:
    """Reads `NAME: ARM[, ARM...] if CONDITION[ and CONDITION...]`.

    Raises:
        WrongUsage: it is not that.
    """
    name, colon, rest = told.partition(":")
    arms, given, conditions = rest.partition(" if ")
    if not (colon and given):
        raise WrongUsage(
            f"--segment {told!r} is no NAME: ARM=VERSION:SHARE if CONDITION, "
            "such as 'jfk: b=logistic-a1b2:100 if entity.origin=JFK|LGA and input.distance=500..2000'"
        )
    return {
        "name": name.strip(),
        "conditions": [_condition(told, one.strip()) for one in conditions.split(" and ")],
        "arms": [read_arm(one, "--segment") for one in arms.split(",")],
    }


def arms_in_words(arms: Sequence[Mapping[str, Any]]) -> str:
    """Says who answers which share."""
    return ", ".join(
        f"{arm['version']['version']} {share(arm['weight_basis_points'])} ({arm['variant']})" for arm in arms
    )


def segments_in_words(segments: Sequence[Mapping[str, Any]]) -> str:
    """Says which requests have arms of their own, in order, as they may be given again."""
    return "\n".join(
        f"{one['name']}: {arms_in_words(one['arms'])} if {' and '.join(map(_in_words, one['conditions']))}"
        for one in segments
    )


def _in_words(condition: Mapping[str, Any]) -> str:
    field = f"{condition['field']}.{condition['name']}"
    if condition.get("any_of") is not None:
        return f"{field}={'|'.join(_quoted(condition, value) for value in condition['any_of'])}"
    bounds = [condition.get("at_least"), condition.get("less_than")]
    low, high = ("" if bound is None else f"{bound:g}" for bound in bounds)
    return f"{field}={low}..{high}"


def _quoted(condition: Mapping[str, Any], value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float | int):
        return f"{value:g}"
    # Of an input, bare words that look like numbers or flags are read as such.
    bare = condition["field"] == "entity" or _value(str(value)) == value
    return str(value) if bare else f'"{value}"'


def _condition(told: str, given: str) -> dict[str, Any]:
    field, equals, test = given.partition("=")
    kind, dot, name = field.partition(".")
    if kind not in _FIELDS or not (dot and name and equals and test):
        raise WrongUsage(
            f"--segment {told!r}: {given!r} is no condition, such as entity.origin=JFK|LGA, "
            "input.channel=web, input.gift=true or input.distance=500..2000"
        )
    asked: dict[str, Any] = {"field": kind, "name": name}
    if kind == "entity":
        return asked | {"any_of": test.split("|")}
    low, dots, high = test.partition("..")
    if dots:
        bounds = {"at_least": low, "less_than": high}
        return asked | {key: _number(told, bound) for key, bound in bounds.items() if bound}
    return asked | {"any_of": [_value(one) for one in test.split("|")]}


def _value(given: str) -> str | float | bool:
    if given in ("true", "false"):
        return given == "true"
    if len(given) > 1 and given[0] == given[-1] == '"':
        return given[1:-1]
    try:
        return float(given)
    except ValueError:
        return given


def _number(told: str, given: str) -> float:
    value = _value(given)
    if not isinstance(value, float) or not math.isfinite(value):
        raise WrongUsage(f"--segment {told!r}: {given!r} is no bound of a range, such as 500..2000 or 500..")
    return value


def _basis_points(told: str, option: str, percent: str) -> int:
    try:
        points = Decimal(percent.strip().removesuffix("%")) * 100
    except InvalidOperation:
        points = Decimal(-1)
    if not points.is_finite() or not 0 <= points <= 10_000 or points != int(points):
        raise WrongUsage(f"{option} {told!r}: {percent!r} is no share from 0 to 100 percent, such as 12.5")
    return int(points)

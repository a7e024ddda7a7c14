"""Segments: rules that give some requests arms of their own.

What holds when, and which segments make no sense, is in `docs/formats.md`: any data plane decides alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from feature_store.scalars import Scalar

    from inference.domain.routes import Arm

MAX_SEGMENTS: Final = 64
MAX_VALUES: Final = 1000

Field = Literal["entity", "input"]


class NonsenseSegment(Exception):
    """A segment that no request can be of, or that says nothing; the message names it."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that a request must be: one of some values, or a number within a range.

    Attributes:
        name: The entity's or the input's; empty where the route said nothing that is known here.
        values: Any of these; None where the range is what counts.
        at_least: The range's lower bound, in it; minus infinity for none.
        less_than: Its upper bound, not in it; infinity for none.
    """

    field: Field
    name: str
    values: frozenset[Scalar] | None = None
    at_least: float = -math.inf
    less_than: float = math.inf

    def holds(self, entities: Mapping[str, str], context: Mapping[str, Scalar]) -> bool:
        """Whether a request is so, its values being of `kinds`; what it lacks it is not."""
        value = (entities if self.field == "entity" else context).get(self.name)
        if value is None:
            return False
        if self.values is not None:
            return value in self.values
        return self.at_least <= value < self.less_than  # type: ignore[operator] # a number: see `kinds`

    @property
    def kinds(self) -> frozenset[type]:
        """The types of what it compares with."""
        return frozenset({float} if self.values is None else map(type, self.values))

    def follows_from(self, other: Condition) -> bool:
        """Whether this holds wherever the other does."""
        if (self.field, self.name) != (other.field, other.name):
            return False
        if other.values is not None:
            return all(self._admits(value) for value in other.values)
        return self.values is None and self.at_least <= other.at_least and other.less_than <= self.less_than

    def _admits(self, value: Scalar) -> bool:
        if self.values is not None:
            # 1 == True to Python, and neither is the other to a request.
            return any(type(one) is type(value) and one == value for one in self.values)
        return isinstance(value, float) and self.at_least <= value < self.less_than


@dataclass(frozen=True, slots=True)
class Segment:
    """Requests that have arms of their own: those of which every condition holds."""

    name: str
    conditions: tuple[Condition, ...]
    arms: tuple[Arm, ...]

    def holds(self, entities: Mapping[str, str], context: Mapping[str, Scalar]) -> bool:
        """Whether a request is of it."""
        return all(condition.holds(entities, context) for condition in self.conditions)

    def covers(self, later: Segment) -> bool:
        """Whether no request can come to a later segment, for it would be of this one."""
        return all(any(mine.follows_from(one) for one in later.conditions) for mine in self.conditions)


def check_segments(segments: tuple[Segment, ...]) -> None:
    """Refuse segments that say nothing, or that no request can reach.

    Raises:
        NonsenseSegment: Naming the segment and what is wrong with it.
    """
    if len(segments) > MAX_SEGMENTS:
        raise NonsenseSegment(f"there are {len(segments)} segments, at most {MAX_SEGMENTS} are asked")
    names = [segment.name for segment in segments]
    if "" in names or len(set(names)) != len(names):
        raise NonsenseSegment(f"the segments are called {names}: each needs a name of its own")
    for number, segment in enumerate(segments):
        _check_conditions(segment)
        for earlier in segments[:number]:
            if earlier.covers(segment):
                raise NonsenseSegment(
                    f"segment {segment.name!r} is never reached: whatever is of it is of {earlier.name!r} "
                    "before it; put the narrower one first"
                )


def _check_conditions(segment: Segment) -> None:
    if not segment.conditions:
        raise NonsenseSegment(
            f"segment {segment.name!r} has no condition, so it would take every request: "
            "make its arms the route's own"
        )
    fields = [(condition.field, condition.name) for condition in segment.conditions]
    if len(set(fields)) != len(fields):
        raise NonsenseSegment(
            f"segment {segment.name!r} asks for the same field twice: say it in one condition"
        )
    for condition in segment.conditions:
        problem = _problem_with(condition)
        if problem:
            raise NonsenseSegment(
                f"segment {segment.name!r}: condition on {condition.field} {condition.name!r} {problem}"
            )


def _problem_with(condition: Condition) -> str | None:
    if not condition.name:
        return "names no field that is known here: set entity or input"
    if condition.values is None:
        return _problem_with_range(condition)
    return _problem_with_values(condition, condition.values)


def _problem_with_range(condition: Condition) -> str | None:
    low, high = condition.at_least, condition.less_than
    if condition.field == "entity":
        return "is a range: keys are texts, name the values"
    if (low, high) == (-math.inf, math.inf):
        return "holds for every number: name a bound or values"
    # Also what is no number: nothing compares with that.
    return None if low < high else f"holds for nothing: no number is at least {low} and less than {high}"


def _problem_with_values(condition: Condition, values: frozenset[Scalar]) -> str | None:
    if not values:
        return "holds for nothing: it names no value"
    if len(values) > MAX_VALUES:
        return f"names {len(values)} values, at most {MAX_VALUES} are compared"
    if len(condition.kinds) > 1 or int in condition.kinds:
        return "must compare with values of one kind: texts, numbers or flags"
    if condition.field == "entity" and condition.kinds != {str}:
        return "must compare with texts, as keys are"
    if any(isinstance(value, float) and not math.isfinite(value) for value in values):
        return "must compare with finite numbers"
    return None

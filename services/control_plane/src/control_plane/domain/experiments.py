"""Experiments: arms that answer beside the champion, and segments of requests with arms of their own.

A canary belongs to a rollout and is moved by it; an experiment is set by somebody and stays as it is. What
a condition means, to the bit, is in `docs/formats.md`. What needs the project to be judged (whether there is
such an entity or input, and of which type) is judged by who serves.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from control_plane.domain.errors import RouteRefused

if TYPE_CHECKING:
    from collections.abc import Iterable

WHOLE_BASIS_POINTS: Final = 10_000
_TAKEN: Final = frozenset({"champion", "canary", "shadow"})

Compared = str | float | bool


@dataclass(frozen=True, slots=True)
class Share:
    """An arm: a version's share of the requests, under a name."""

    variant: str
    version: str
    weight_basis_points: int


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that a request must be.

    Attributes:
        field: `entity` or `input`.
        name: Of the entity whose key, or the input whose value, is read.
        any_of: The values it may have; None where the range is what counts.
        at_least: The range's lower bound, in it; None for none.
        less_than: Its upper bound, not in it; None for none.
    """

    field: str
    name: str
    any_of: tuple[Compared, ...] | None = None
    at_least: float | None = None
    less_than: float | None = None

    def follows_from(self, other: Condition) -> bool:
        """Whether this holds wherever the other does."""
        if (self.field, self.name) != (other.field, other.name):
            return False
        if other.any_of is not None:
            return all(self._admits(value) for value in other.any_of)
        return self.any_of is None and self._low <= other._low and other._high <= self._high

    @property
    def problem(self) -> str | None:
        """Why it makes no sense, in words; None where it does."""
        bounded = self.at_least is not None or self.less_than is not None
        if bounded == (self.any_of is not None):
            return "must name either values or a bound"
        if self.any_of is not None:
            kinds = set(map(type, self.any_of))
            if len(kinds) != 1 or (self.field == "entity" and kinds != {str}):
                return "must name values of one kind, and of an entity texts, as keys are"
            return None
        if self.field == "entity":
            return "is a range: keys are texts, name the values"
        return None if self._low < self._high else "holds for no number"

    @property
    def _low(self) -> float:
        return -math.inf if self.at_least is None else self.at_least

    @property
    def _high(self) -> float:
        return math.inf if self.less_than is None else self.less_than

    def _admits(self, value: Compared) -> bool:
        if self.any_of is not None:
            # 1 == True to Python, and neither is the other to a request.
            return any(type(one) is type(value) and one == value for one in self.any_of)
        return type(value) is float and self._low <= value < self._high


@dataclass(frozen=True, slots=True)
class Segment:
    """Requests that have arms of their own: those of which every condition holds."""

    name: str
    conditions: tuple[Condition, ...]
    arms: tuple[Share, ...]

    def covers(self, later: Segment) -> bool:
        """Whether no request can come to a later segment, for it would be of this one."""
        return all(any(mine.follows_from(one) for one in later.conditions) for mine in self.conditions)


@dataclass(frozen=True, slots=True)
class Experiment:
    """What a route has beside its champion; nothing, usually.

    Attributes:
        arms: Beside the champion, which answers the rest; an arm of 0 answers nobody and is kept warm.
        segments: The first that a request is of has the arms for it.
        sticky_entity: The entity whose key says who meets which arm; the request key when empty.
    """

    arms: tuple[Share, ...] = ()
    segments: tuple[Segment, ...] = ()
    sticky_entity: str = ""

    @property
    def shares(self) -> tuple[Share, ...]:
        """Every arm, of segments too."""
        return (*self.arms, *(share for segment in self.segments for share in segment.arms))

    @property
    def version_names(self) -> tuple[str, ...]:
        """Every version that takes part, once."""
        return tuple(dict.fromkeys(share.version for share in self.shares))

    @property
    def champion_basis_points(self) -> int:
        """What the arms leave to the champion."""
        return WHOLE_BASIS_POINTS - sum(share.weight_basis_points for share in self.arms)

    def diverts_from(self, champion: str) -> bool:
        """Whether some request may be answered by another version than the champion."""
        return any(share.weight_basis_points and share.version != champion for share in self.shares)

    def told(self) -> dict[str, object]:
        """What the audit says of it: versions and shares by arm; conditions are the route's."""
        told: dict[str, object] = {}
        if self.arms:
            told["arms"] = _told(self.arms)
        if self.segments:
            told["segments"] = {segment.name: _told(segment.arms) for segment in self.segments}
        return told


NO_EXPERIMENT: Final = Experiment()


def refuse_nonsense(experiment: Experiment) -> None:
    """Refuses an experiment that no replica would follow, as far as that is known without the project.

    Raises:
        RouteRefused: shares are none, names are taken twice, or a segment can never be met.
    """
    _refuse_repeated("DUPLICATE_ARM", "Arms", [*_TAKEN, *(share.variant for share in experiment.arms)])
    weights = [share.weight_basis_points for share in experiment.arms]
    if min(weights, default=0) < 0 or experiment.champion_basis_points < 0:
        raise RouteRefused(
            "BAD_SHARES",
            f"The arms weigh {weights} basis points, which leaves the champion less than nothing.",
        )
    _refuse_repeated("DUPLICATE_SEGMENT", "Segments", [segment.name for segment in experiment.segments])
    for number, segment in enumerate(experiment.segments):
        _refuse_segment(segment)
        for earlier in experiment.segments[:number]:
            if earlier.covers(segment):
                raise RouteRefused(
                    "UNREACHABLE_SEGMENT",
                    f"Segment {segment.name} is never reached: whatever is of it is of {earlier.name} before "
                    "it. Put the narrower one first.",
                )


def _refuse_segment(segment: Segment) -> None:
    where = f"Segment {segment.name}"
    _refuse_repeated("DUPLICATE_ARM", f"{where}: arms", [share.variant for share in segment.arms])
    weights = [share.weight_basis_points for share in segment.arms]
    if min(weights, default=0) < 0 or sum(weights) != WHOLE_BASIS_POINTS:
        raise RouteRefused(
            "BAD_SHARES", f"{where}: its arms weigh {weights} basis points, not 10,000 together."
        )
    if not segment.conditions:
        raise RouteRefused(
            "BAD_CONDITION",
            f"{where} has no condition: make its arms the route's, for it takes every request.",
        )
    _refuse_repeated(
        "BAD_CONDITION", f"{where}: conditions", [f"{one.field} {one.name}" for one in segment.conditions]
    )
    for condition in segment.conditions:
        if condition.problem:
            raise RouteRefused(
                "BAD_CONDITION",
                f"{where}: the condition on {condition.field} {condition.name} {condition.problem}.",
            )


def _refuse_repeated(reason: str, what: str, names: Iterable[str]) -> None:
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        raise RouteRefused(reason, f"{what} have names of their own: {', '.join(repeated)} is taken.")


def _told(arms: tuple[Share, ...]) -> dict[str, object]:
    return {arm.variant: {"version": arm.version, "basis_points": arm.weight_basis_points} for arm in arms}

"""Aggregations whose value depends on how old events are as of the request."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as attribute
from typing import TYPE_CHECKING, Final

from feature_store.definitions.aggregations import Aggregation, FieldAggregation
from feature_store.definitions.durations import parse_us

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

UNITS_US: Final[Mapping[str, int]] = {
    "seconds": 1_000_000,
    "minutes": 60_000_000,
    "hours": 3_600_000_000,
    "days": 86_400_000_000,
}


@dataclass(frozen=True, eq=False, kw_only=True)
class TimeSince(Aggregation):
    """How long before the request the window's newest event that counts happened.

    Negative where that event lies after the request's time, in the same tile.

    Attributes:
        unit: "seconds", "minutes", "hours" or "days".
    """

    retractable = False
    unit: str = "seconds"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.unit not in UNITS_US:
            raise self._error(f"unit is {self.unit!r}", f"Write one of {', '.join(UNITS_US)}.")

    @property
    def parameters(self) -> Mapping[str, float | int | str]:
        """The unit."""
        return {"unit": self.unit}


@dataclass(frozen=True, eq=False)
class Ewma(FieldAggregation):
    """The mean of a number, weighted by 2^-(age / half life); an event is as old as its tile.

    Attributes:
        half_life: The age at which an event counts half: at least a tile, at most the window.
    """

    half_life: str | timedelta = attribute(kw_only=True)
    half_life_us: int = attribute(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.of_all_time:
            raise self._error("its window is all time, which is one tile", 'Write a window such as "24h".')
        try:
            half_life_us = parse_us(self.half_life)
        except (ValueError, TypeError) as error:
            instead = 'Write "15m", "1h", "7d" or a timedelta.'
            raise self._error(f"half_life: {error}", instead) from error
        if not self.tile_us <= half_life_us <= self.window_us:
            problem = f"half_life {self.half_life!r} is shorter than a tile, or longer than the window"
            raise self._error(problem, "Write one between the two, or change the window or its tiles.")
        object.__setattr__(self, "half_life_us", half_life_us)

    @property
    def parameters(self) -> Mapping[str, float | int | str]:
        """The half life."""
        return {"half_life_us": self.half_life_us}

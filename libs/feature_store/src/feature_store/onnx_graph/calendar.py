"""Calendar parts in integers: the arithmetic of `expressions.calendar`, with numpy's calendar written out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from feature_store.expressions.calendar import zone_offsets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from feature_store.onnx_graph.building import Graph, Tensor

_MINUTE_US: Final = 60_000_000
_HOUR_US: Final = 60 * _MINUTE_US
_DAY_US: Final = 24 * _HOUR_US
# Days from 0000-03-01 to 1970-01-01, in the calendar carried back: years that begin in March.
_TO_MARCH_OF_YEAR_0: Final = 719_468
_DAYS_OF_400_YEARS: Final = 146_097


def local_part(graph: Graph, part: str, time: Tensor, zone: str) -> Tensor:
    """Return a calendar part of times in a zone, float64; NaN where a time is null or its offset unknown."""
    table = zone_offsets(zone)
    starts = table.starts.view(np.int64)
    interval = _interval(graph, starts, time)
    offset = graph.apply("Gather", graph.constant(table.offsets.view(np.int64), np.int64), interval, axis=0)
    first, last = (graph.constant([end], np.int64) for end in (starts[0], starts[-1]))
    of_local = PARTS[part](_Local(graph, time + offset))
    # A null lies before the first.
    return graph.where((time < first) | (time >= last), graph.constant([np.nan], np.float64), of_local)


def _interval(graph: Graph, starts: NDArray[np.int64], time: Tensor) -> Tensor:
    """Return how many starts have passed; anything of a time before the first or after the last.

    Time is cut into steps as long as the least distance of two starts: within a step there is one at most. So
    the number at the step's beginning, and one comparison, give it, however long the table is.
    """
    first, width = int(starts[0]), int(np.diff(starts).min())
    begins = np.arange(first, int(starts[-1]), width)
    passed = graph.constant(starts.searchsorted(begins, side="right"), np.int64)
    step = (time - graph.constant([first], np.int64)) / graph.constant([width], np.int64)
    within = graph.apply("Max", step, graph.constant([0], np.int64))
    within = graph.apply("Min", within, graph.constant([len(begins) - 1], np.int64))
    before = graph.apply("Gather", passed, within, axis=0)
    following = graph.apply("Gather", graph.constant(starts, np.int64), before, axis=0)
    return before + (time >= following).cast(np.int64)


class _Local:
    """A local wall clock, int64 microseconds since 1970-01-01 00:00 local; of a null, anything."""

    def __init__(self, graph: Graph, time_us: Tensor) -> None:
        self._graph = graph
        self.in_day_us = self._modulo(time_us, _DAY_US)
        self.day = self._divided(time_us - self.in_day_us, _DAY_US)
        # The epoch was a Thursday.
        self.weekday = self._modulo(self.day + self._whole(3), 7)

    def in_day(self, unit_us: int) -> Tensor:
        """Return how many whole units of the day have passed."""
        return self._divided(self.in_day_us, unit_us)

    def civil(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return year, month and day: Howard Hinnant's `civil_from_days` (2013)."""
        since = self.day + self._whole(_TO_MARCH_OF_YEAR_0)
        era = self._divided(since, _DAYS_OF_400_YEARS)
        of_era = since - era * self._whole(_DAYS_OF_400_YEARS)
        leaps = self._divided(of_era, 1_460) - self._divided(of_era, 36_524) + self._divided(of_era, 146_096)
        year_of_era = self._divided(of_era - leaps, 365)
        day_of_year = of_era - (
            year_of_era * self._whole(365) + self._divided(year_of_era, 4) - self._divided(year_of_era, 100)
        )
        shifted = self._divided(day_of_year * self._whole(5) + self._whole(2), 153)
        day = day_of_year - self._divided(shifted * self._whole(153) + self._whole(2), 5) + self._whole(1)
        month = self._modulo(shifted + self._whole(2), 12) + self._whole(1)
        early = (month <= self._whole(2)).cast(np.int64)
        return year_of_era + era * self._whole(400) + early, month, day

    def day_of_year(self) -> Tensor:
        """Return the day of the year, 1 to 366."""
        year, _, _ = self.civil()
        before = year - self._whole(1)
        leaps = self._divided(before, 4) - self._divided(before, 100) + self._divided(before, 400)
        # 719,162 days lie between 0001-01-01 and the epoch.
        first = before * self._whole(365) + leaps - self._whole(719_162)
        return self.day - first + self._whole(1)

    def iso_week(self) -> Tensor:
        """Return the week of the year of this week's Thursday."""
        thursday = self.day - self.weekday + self._whole(3)
        of_year = _Local(self._graph, thursday * self._whole(_DAY_US)).day_of_year()
        return self._divided(of_year - self._whole(1), 7) + self._whole(1)

    def _whole(self, number: int) -> Tensor:
        return self._graph.constant([number], np.int64)

    def _modulo(self, numbers: Tensor, divisor: int) -> Tensor:
        """Return the remainder, which is never negative."""
        return self._graph.apply("Mod", numbers, self._whole(divisor))

    def _divided(self, numbers: Tensor, divisor: int) -> Tensor:
        """Return the quotient of numbers that are not negative, or are multiples: Div truncates."""
        return numbers / self._whole(divisor)


PARTS: Final[Mapping[str, Callable[[_Local], Tensor]]] = {
    "local_hour": lambda local: local.in_day(_HOUR_US).cast(np.float64),
    "local_minute_of_day": lambda local: local.in_day(_MINUTE_US).cast(np.float64),
    "day_of_week": lambda local: local.weekday.cast(np.float64),
    "day_of_month": lambda local: local.civil()[2].cast(np.float64),
    "day_of_year": lambda local: local.day_of_year().cast(np.float64),
    "iso_week": lambda local: local.iso_week().cast(np.float64),
    "month": lambda local: local.civil()[1].cast(np.float64),
}

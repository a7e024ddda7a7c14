"""Calendar parts of times in a zone, vectorised, right over every change of the zone's offset.

A zone becomes a table of the moments its offset changes, found by asking zoneinfo day by day from 1900 to
2100 and closing in where two days differ. A time outside those years has no calendar part: it is null.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

FIRST_YEAR: Final = 1900
LAST_YEAR: Final = 2099

_DAY_S: Final = 86_400
_MINUTE: Final = np.timedelta64(60 * 1_000_000, "us")
_HOUR: Final = np.timedelta64(3_600 * 1_000_000, "us")
_DAY: Final = np.timedelta64(_DAY_S * 1_000_000, "us")
_WEEK: Final = np.timedelta64(7 * _DAY_S * 1_000_000, "us")
# The epoch was a Thursday: three days after a Monday.
_TO_MONDAY: Final = np.timedelta64(3 * _DAY_S * 1_000_000, "us")


@dataclass(frozen=True, slots=True)
class ZoneOffsets:
    """A zone's offsets from UTC, in order of time.

    Attributes:
        starts: When each offset begins to hold, since the epoch; at last, when the table ends.
        offsets: `offsets[i]` holds before `starts[i]`, from the start before it; NaT at both ends.
    """

    starts: NDArray[np.timedelta64]
    offsets: NDArray[np.timedelta64]

    def localize(self, times: NDArray[np.timedelta64]) -> NDArray[np.timedelta64]:
        """Return the local wall clock as microseconds since 1970-01-01 00:00 local; null where unknown."""
        # NaT sorts last in numpy, behind the last start, where the offset is NaT too.
        return times + self.offsets[self.starts.searchsorted(times, side="right")]


@lru_cache(maxsize=64)
def zone_offsets(zone: str) -> ZoneOffsets:
    """Return the offsets of an IANA zone from `FIRST_YEAR` to `LAST_YEAR`.

    Raises:
        ZoneInfoNotFoundError: there is no such zone.
        ValueError: the name is not of the form of a zone's.
    """
    info = ZoneInfo(zone)
    changes = list(_changes(info))
    starts = np.array([second for second, _ in changes], dtype=np.int64) * 1_000_000
    offsets = np.array([offset for _, offset in changes], dtype=np.int64) * 1_000_000
    nat = np.array(["NaT"], dtype="m8[us]")
    return ZoneOffsets(starts.view("m8[us]"), np.concatenate([nat, offsets.view("m8[us]")[:-1], nat]))


def _changes(info: ZoneInfo) -> Iterator[tuple[int, int]]:
    """Yield (second, offset in seconds from then on), the table's two ends included."""
    first = int(datetime(FIRST_YEAR, 1, 1, tzinfo=UTC).timestamp())
    last = int(datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC).timestamp())
    before = _offset(info, first)
    yield first, before
    for second in range(first + _DAY_S, last + 1, _DAY_S):
        after = _offset(info, second)
        if after != before:
            yield _bisect(info, second - _DAY_S, second), after
            before = after
    yield last, before


def _bisect(info: ZoneInfo, low: int, high: int) -> int:
    """Return the second in (low, high] at which the offset becomes what it is at `high`."""
    target = _offset(info, high)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(info, middle) == target:
            high = middle
        else:
            low = middle
    return high


def _offset(info: ZoneInfo, second: int) -> int:
    offset = datetime.fromtimestamp(second, info).utcoffset()
    assert offset is not None
    return offset // timedelta(seconds=1)


def hour(local: NDArray[np.timedelta64]) -> NDArray[np.float64]:
    """Return the hour of the day, 0 to 23."""
    return np.floor((local % _DAY) / _HOUR)


def minute_of_day(local: NDArray[np.timedelta64]) -> NDArray[np.float64]:
    """Return the minute of the day, 0 to 1439."""
    return np.floor((local % _DAY) / _MINUTE)


def day_of_week(local: NDArray[np.timedelta64]) -> NDArray[np.float64]:
    """Return the day of the week, Monday 0 to Sunday 6."""
    return np.floor(((local + _TO_MONDAY) % _WEEK) / _DAY)


def month(local: NDArray[np.timedelta64]) -> NDArray[np.float64]:
    """Return the month, 1 to 12."""
    since_epoch = local.view("M8[us]").astype("M8[M]").view(np.int64)
    return np.where(np.isnat(local), np.nan, since_epoch % 12 + 1)


def day_of_month(local: NDArray[np.timedelta64]) -> NDArray[np.float64]:
    """Return the day of the month, 1 to 31."""
    return _since_start(local, "M8[M]")


def day_of_year(local: NDArray[np.timedelta64]) -> NDArray[np.float64]:
    """Return the day of the year, 1 to 366."""
    return _since_start(local, "M8[Y]")


def iso_week(local: NDArray[np.timedelta64]) -> NDArray[np.float64]:
    """Return the week of the year by ISO 8601, 1 to 53: that of the Thursday of the same week."""
    thursday = local - (local + _TO_MONDAY) % _WEEK + 3 * _DAY
    return np.floor((_since_start(thursday, "M8[Y]") - 1) / 7) + 1


def _since_start(local: NDArray[np.timedelta64], period: str) -> NDArray[np.float64]:
    """Return which day it is of the month or year that it lies in, the first being 1."""
    days = local.view("M8[us]").astype("M8[D]")
    since = (days - days.astype(period).astype("M8[D]")).view(np.int64)
    return np.where(np.isnat(local), np.nan, since + 1)

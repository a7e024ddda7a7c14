"""Times in ids and sentences, and when a schedule is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from croniter import croniter
from croniter.croniter import CroniterBadDateError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_DAY_US: Final = 86_400_000_000


def iso(time_us: int) -> str:
    """Write a time as ids hold it, such as 2013-06-03T00:00:00Z."""
    return _moment(time_us).isoformat().replace("+00:00", "Z")


def words(time_us: int) -> str:
    """Write a time for a sentence; midnight is left out."""
    return _moment(time_us).strftime("%Y-%m-%d" if time_us % _DAY_US == 0 else "%Y-%m-%d %H:%M:%S UTC")


def is_due(cron: str, after_us: int, until_us: int) -> bool:
    """Tell whether a schedule has a time in (after, until], in UTC."""
    following = next_time(cron, after_us)
    return following is not None and following <= until_us


def next_time(cron: str, after_us: int) -> int | None:
    """Return a schedule's first time after another; None when it has none, such as a 30 February."""
    try:
        moment: datetime = croniter(cron, _moment(after_us)).get_next(datetime)
    except CroniterBadDateError:
        return None
    return (moment - _EPOCH) // _MICROSECOND


def _moment(time_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=time_us)

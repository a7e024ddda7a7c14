"""RFC 3339 timestamps to and from integer microseconds since the epoch, UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND_US: Final = 1_000_000
_MINUTE_US: Final = 60 * _SECOND_US
_DAY_US: Final = 1440 * _MINUTE_US
EARLIEST_US: Final = 0
LATEST_US: Final = (datetime(2200, 1, 1, tzinfo=UTC) - _EPOCH).days * _DAY_US
_SHORTEST: Final = len("2013-01-01T00:00:00Z")


def parse_rfc3339(text: str) -> int:
    """Parse a timestamp to microseconds; digits beyond the sixth fraction digit are dropped.

    Raises:
        ValueError: not RFC 3339, without a zone, or outside 1970 to 2200, where every time here must lie.
    """
    # `fromisoformat` reads more than RFC 3339: weeks, missing dashes, commas.
    if len(text) < _SHORTEST or text[4] + text[7] + text[13] != "--:" or text[19] not in ".Zz+-":
        raise ValueError(f"{text!r} is not an RFC 3339 timestamp such as 2013-01-01T05:15:00Z")
    moment = datetime.fromisoformat(text if text[-1] != "z" else text.upper())
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no zone: end it with Z or an offset")
    since = moment - _EPOCH
    time_us = since.days * _DAY_US + since.seconds * _SECOND_US + since.microseconds
    if not EARLIEST_US <= time_us < LATEST_US:
        raise ValueError(f"{text!r} is outside 1970-01-01 to 2200-01-01")
    return time_us


def format_rfc3339(time_us: int) -> str:
    """Write microseconds as RFC 3339 in UTC; the fraction is left out when it is zero."""
    # Every event carries two times: putting them together takes a quarter of `datetime.isoformat`'s time.
    minute, rest_us = divmod(time_us, _MINUTE_US)
    seconds, fraction = divmod(rest_us, _SECOND_US)
    if fraction:
        return f"{_minute_text(minute)}{seconds:02}.{fraction:06}Z"
    return f"{_minute_text(minute)}{seconds:02}Z"


@lru_cache(maxsize=65_536)
def _minute_text(minute: int) -> str:
    return (_EPOCH + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:")

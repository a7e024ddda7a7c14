"""RFC 3339 timestamps to and from integer microseconds since the epoch, UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND_US: Final = 1_000_000
_DAY_US: Final = 86_400 * _SECOND_US
EARLIEST_US: Final = 0
LATEST_US: Final = (datetime(2200, 1, 1, tzinfo=UTC) - _EPOCH).days * _DAY_US
_SHORTEST: Final = len("2013-01-01T00:00:00Z")


def parse_rfc3339(text: str) -> int:
    """Parse a timestamp to microseconds; digits beyond the sixth fraction digit are dropped.

    Raises:
        ValueError: not RFC 3339, without a zone, or outside 1970 to 2200, where every time here must lie.
    """
    if len(text) < _SHORTEST or text[4] != "-" or text[10] not in "Tt " or text[13] != ":":
        raise ValueError(f"{text!r} is not an RFC 3339 timestamp such as 2013-01-01T05:15:00Z")
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no zone: end it with Z or an offset")
    since = moment - _EPOCH
    time_us = since.days * _DAY_US + since.seconds * _SECOND_US + since.microseconds
    if not EARLIEST_US <= time_us < LATEST_US:
        raise ValueError(f"{text!r} is outside 1970-01-01 to 2200-01-01")
    return time_us


def format_rfc3339(time_us: int) -> str:
    """Write microseconds as RFC 3339 in UTC; the fraction is left out when it is zero."""
    return (_EPOCH + timedelta(microseconds=time_us)).isoformat()[:-6] + "Z"

"""Times in sentences."""

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def moment(time_us: int) -> datetime:
    """Turns microseconds since the epoch into a moment, UTC."""
    return _EPOCH + timedelta(microseconds=time_us)


def words(time_us: int) -> str:
    """Writes a time for a sentence, to the second."""
    return moment(time_us).strftime("%Y-%m-%d %H:%M:%S UTC")

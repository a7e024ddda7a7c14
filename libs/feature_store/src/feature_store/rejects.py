"""Why an upstream event was refused: one reason a record, for its dead-letter headers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """What is wrong with an event. Dashboards and runbooks go by these names."""

    OVERSIZE = "OVERSIZE"
    """The payload is larger than the source's `max_bytes`."""
    MALFORMED_PAYLOAD = "MALFORMED_PAYLOAD"
    """The bytes are not of the source's format: truncated, garbage, or another message."""
    WRONG_TYPE = "WRONG_TYPE"
    """A field holds a value of another type than the source declares."""
    NOT_FINITE = "NOT_FINITE"
    """A number is NaN or infinite."""
    TIME_OUT_OF_RANGE = "TIME_OUT_OF_RANGE"
    """A time lies outside the years 1 to 9999, or is not a valid timestamp."""
    MISSING_FIELD = "MISSING_FIELD"
    """A required field, or the event time, has no value."""
    OUT_OF_RANGE = "OUT_OF_RANGE"
    """A number lies outside the range that the source declares."""
    NOT_ALLOWED = "NOT_ALLOWED"
    """A text is none of those that the source declares."""
    NO_MATCH = "NO_MATCH"
    """A text does not match the pattern that the source declares."""
    FUTURE_EVENT = "FUTURE_EVENT"
    """The event's time is later than the time it was recorded, by more than the source's `max_clock_skew`."""
    LATE_BEYOND_LIMIT = "LATE_BEYOND_LIMIT"
    """The event was recorded later than its own time by more than the source's `max_lateness`."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A refused record: its index in the batch, an UPPER_SNAKE reason, a sentence that names the field."""

    index: int
    reason: str
    detail: str


class Rejects:
    """The rejects of one batch while it is decoded: the first of a record stays."""

    def __init__(self) -> None:
        self._by_index: dict[int, Reject] = {}

    def add(self, index: int, reason: str, detail: str) -> None:
        """Refuse a record, unless it is refused already."""
        self._by_index.setdefault(index, Reject(index, reason, detail))

    def __len__(self) -> int:
        return len(self._by_index)

    def in_order(self) -> list[Reject]:
        """Return one reject for each refused record, by index."""
        return [self._by_index[index] for index in sorted(self._by_index)]

"""How far a consumer has come in recorded and event time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from bus.positions import TopicPartition


@dataclass(frozen=True, slots=True)
class Watermark:
    """What of a partition has had its effect.

    Attributes:
        next_offset: Every record before it.
        recorded_us: Newest recorded time among them; 0 when none was seen.
        event_us: Newest event time among them; 0 when none was seen.
    """

    next_offset: int
    recorded_us: int = 0
    event_us: int = 0

    def advanced(self, next_offset: int, recorded_us: int, event_us: int) -> Watermark:
        """Move on; never back, for records are read again after a crash."""
        return Watermark(
            max(self.next_offset, next_offset),
            max(self.recorded_us, recorded_us),
            max(self.event_us, event_us),
        )


def low_watermark(
    marks: Mapping[TopicPartition, Watermark], idle: Collection[TopicPartition]
) -> tuple[int, int]:
    """Give the (recorded, event) time before which nothing more is expected, in microseconds; 0 when unknown.

    It is the least over partitions that still have records to read; an idle one, caught up to its end, holds
    nothing back. When all are idle, everything there is has been seen: it is the greatest over all.
    """
    busy = [mark for where, mark in marks.items() if where not in idle]
    if busy:
        return min(mark.recorded_us for mark in busy), min(mark.event_us for mark in busy)
    return (
        max((mark.recorded_us for mark in marks.values()), default=0),
        max((mark.event_us for mark in marks.values()), default=0),
    )

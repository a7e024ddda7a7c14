"""`History` in memory, for tests and for trying expectations on data at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from data_quality.chunks import Chunk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from feature_store import EventBatch, Source

_ROWS: Final = 65_536


class MemoryHistory:
    """Events by topic.

    Args:
        rows: How many a chunk holds.
    """

    def __init__(self, events: Mapping[str, EventBatch], rows: int = _ROWS) -> None:
        self._events = events
        self._rows = rows

    def chunks(self, source: Source, from_us: int, to_us: int, known_by_us: int) -> Iterator[Chunk]:
        """See `History.chunks`."""
        events = self._events[source.topic]
        time_us = events.event_time_us
        wanted = events.take(
            (time_us >= from_us) & (time_us < to_us) & (events.recorded_time_us < known_by_us)
        )
        rows = wanted.to_arrow()
        for first in range(0, len(wanted), self._rows):
            yield Chunk.of(source, rows.slice(first, self._rows))

    def newest_recorded_us(self, source: Source, after_us: int) -> int | None:
        """See `History.newest_recorded_us`."""
        recorded_us = self._events[source.topic].recorded_time_us
        newest_us = int(recorded_us.max(initial=after_us - 1))
        return newest_us if newest_us >= after_us else None

"""A record as the log holds it: what the bus reads before, and writes beneath, the envelope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from bus.errors import EventTooLarge, MalformedEvent
from bus.events import to_headers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bus.events import Event, Headers
    from bus.positions import Position

DEFAULT_MAX_EVENT_BYTES: Final = 1_000_000
_RECORD_OVERHEAD_BYTES: Final = 64
_HEADER_OVERHEAD_BYTES: Final = 4


class OutgoingRecord(NamedTuple):
    """What is about to be written: raw, so that dead letters keep the original bytes."""

    key: bytes | None
    value: bytes | None
    headers: Headers

    @property
    def size_bytes(self) -> int:
        """An upper estimate of the record's size in the log, uncompressed."""
        size = len(self.key or b"") + len(self.value or b"") + _RECORD_OVERHEAD_BYTES
        # A plain loop: this runs for every event, and a generator takes twice the time.
        for name, value in self.headers:
            size += len(name) + len(value) + _HEADER_OVERHEAD_BYTES
        return size


class LogRecord(Protocol):
    """What was read from a log, whoever's client read it."""

    @property
    def topic(self) -> str:
        """The topic it is in."""

    @property
    def partition(self) -> int:
        """The partition it is in."""

    @property
    def offset(self) -> int:
        """Its place in the partition."""

    @property
    def timestamp(self) -> int:
        """Milliseconds since the epoch."""

    @property
    def key(self) -> bytes | None:
        """The key; order holds per key."""

    @property
    def value(self) -> bytes | None:
        """The payload; None is a tombstone."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """The envelope."""


class RecordPublisher(Protocol):
    """Writes records as they are; what dead letters need beneath `Publisher`."""

    async def publish_records(self, topic: str, records: Sequence[OutgoingRecord]) -> list[Position]:
        """Write in order; return positions when the broker has them all."""


def check_sizes(
    topic: str, events: Sequence[Event], records: Sequence[OutgoingRecord], max_event_bytes: int
) -> None:
    """Refuse events that are too large for the edge.

    Raises:
        EventTooLarge: names the first such event.
    """
    for event, record in zip(events, records, strict=True):
        size_bytes = record.size_bytes
        if size_bytes > max_event_bytes:
            detail = f"event {event.id!r} has {size_bytes} bytes with its envelope, over {max_event_bytes}"
            raise EventTooLarge(topic, detail)


def outgoing(event: Event) -> OutgoingRecord:
    """Put an event in its record.

    Raises:
        MalformedEvent: a tombstone without a key deletes nothing.
    """
    if event.tombstone and not event.key:
        raise MalformedEvent("TOMBSTONE_WITHOUT_KEY", f"event {event.id!r} has neither key nor value")
    return OutgoingRecord(event.key or None, None if event.tombstone else event.data, to_headers(event))

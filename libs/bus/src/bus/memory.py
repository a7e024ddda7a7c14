"""The bus in memory: a log, and a publisher on it, for tests of handlers and services."""

from __future__ import annotations

import asyncio
import zlib
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from bus.events import from_record
from bus.positions import Position, TopicPartition
from bus.received import Received
from bus.records import DEFAULT_MAX_EVENT_BYTES, check_sizes, outgoing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bus.events import Event, Headers
    from bus.records import OutgoingRecord


class MemoryRecord(NamedTuple):
    """A record of a memory log."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass
class MemoryLog:
    """Topics as lists: append-only, partitioned by key, offsets from 0.

    Attributes:
        partitions: Of topics that `partitions_of` does not name.
        timestamp_ms: What records are stamped with.
    """

    partitions: int = 1
    partitions_of: dict[str, int] = field(default_factory=dict)
    timestamp_ms: int = 1_900_000_000_000
    _records: dict[TopicPartition, list[MemoryRecord]] = field(default_factory=lambda: defaultdict(list))
    _appended: asyncio.Event = field(default_factory=asyncio.Event)

    def append(self, topic: str, record: OutgoingRecord) -> Position:
        """Write a record to the partition of its key."""
        count = self.partitions_of.get(topic, self.partitions)
        partition = zlib.crc32(record.key or b"") % count
        records = self._records[TopicPartition(topic, partition)]
        position = Position(topic, partition, len(records))
        records.append(
            MemoryRecord(*position, self.timestamp_ms, record.key, record.value, list(record.headers))
        )
        appended, self._appended = self._appended, asyncio.Event()
        appended.set()
        return position

    async def appended(self) -> None:
        """Return when something was written after the call."""
        await self._appended.wait()

    def partitions_in(self, topic: str) -> list[TopicPartition]:
        """List a topic's partitions."""
        return [
            TopicPartition(topic, number) for number in range(self.partitions_of.get(topic, self.partitions))
        ]

    def read(self, where: TopicPartition, offset: int = 0) -> list[MemoryRecord]:
        """Read a partition from an offset on."""
        return self._records[where][offset:]

    def received(self, topic: str) -> list[Received]:
        """Read a whole topic as a handler would receive it, partition by partition."""
        return [
            Received(record.topic, record.partition, record.offset, _event(record))
            for where in self.partitions_in(topic)
            for record in self.read(where)
        ]

    def events(self, topic: str) -> list[Event]:
        """Read a whole topic's events, partition by partition."""
        return [received.event for received in self.received(topic)]


class MemoryPublisher:
    """Publishes to a `MemoryLog`."""

    def __init__(
        self, log: MemoryLog | None = None, *, max_event_bytes: int = DEFAULT_MAX_EVENT_BYTES
    ) -> None:
        self.log = MemoryLog() if log is None else log
        self._max_event_bytes = max_event_bytes

    async def publish(self, topic: str, event: Event) -> None:
        """See `Publisher.publish`."""
        await self.publish_all(topic, [event])

    async def publish_all(self, topic: str, events: Sequence[Event]) -> list[Position]:
        """See `Publisher.publish_all`."""
        records = [outgoing(event) for event in events]
        check_sizes(topic, events, records, self._max_event_bytes)
        return await self.publish_records(topic, records)

    async def publish_records(self, topic: str, records: Sequence[OutgoingRecord]) -> list[Position]:
        """See `RecordPublisher.publish_records`."""
        return [self.log.append(topic, record) for record in records]


def _event(record: MemoryRecord) -> Event:
    return from_record(record.key, record.value, record.headers, timestamp_ms=record.timestamp)

"""Looking at topics: what there is, how much, and what the records say. For people and tools."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from google.protobuf.message import DecodeError

from bus.errors import MalformedEvent
from bus.events import from_record
from bus.kafka.admin import topic_configs
from bus.kafka.reading import topic_reader
from bus.positions import Position
from bus.topics import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from google.protobuf.message import Message

    from bus.events import Event
    from bus.records import LogRecord

_MESSAGES: Final[Mapping[str, type[Message] | None]] = {topic.name: topic.message for topic in CATALOGUE}


@dataclass(frozen=True, slots=True)
class PartitionInfo:
    """A partition's stretch: offsets from `begin` up to `end`, exclusive."""

    partition: int
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class TopicInfo:
    """A topic as it is.

    Attributes:
        retention: None keeps records for ever.
        message: The full name of its values' type, where the catalogue knows it.
    """

    name: str
    partitions: tuple[PartitionInfo, ...]
    retention: timedelta | None
    compacted: bool
    message: str | None

    @property
    def records(self) -> int:
        """How many records there are at most: compaction and transactions leave gaps."""
        return sum(one.end - one.begin for one in self.partitions)


@dataclass(frozen=True, slots=True)
class Seen:
    """A record, as far as it could be read.

    Attributes:
        event: None when it has no envelope; `problem` says why.
        message: The decoded value; None when its type is unknown, it is a tombstone, or it cannot be decoded.
    """

    where: Position
    record: LogRecord
    event: Event | None
    message: Message | None
    problem: str | None = None


async def list_topics(bootstrap: str) -> list[TopicInfo]:
    """List all topics but Kafka's own, by name.

    Raises:
        Unavailable: the broker is away.
    """
    async with topic_reader(bootstrap) as reader:
        topics = {name: found for name, found in (await reader.topics()).items() if not name.startswith("__")}
        partitions = [where for found in topics.values() for where in found]
        begins, ends = await reader.begin_offsets(partitions), await reader.end_offsets(partitions)
    configs = await topic_configs(bootstrap, list(topics))
    return [
        TopicInfo(
            name,
            tuple(PartitionInfo(where.partition, begins[where], ends[where]) for where in topics[name]),
            _retention(configs[name]),
            "compact" in configs[name]["cleanup.policy"],
            _type_name(name),
        )
        for name in sorted(topics)
    ]


async def tail(
    bootstrap: str,
    topic: str,
    *,
    from_beginning: bool = False,
    limit: int | None = None,
    message: type[Message] | None = None,
) -> AsyncGenerator[Seen, None]:
    """Yield a topic's records as they come.

    Args:
        bootstrap: Where Kafka is.
        topic: Whose.
        from_beginning: Begin with the oldest instead of the next.
        limit: End after so many; never when left out.
        message: The values' type; the catalogue's when left out.

    Raises:
        Unavailable: the broker is away, or there is no such topic.
    """
    kind = message or _MESSAGES.get(topic)
    async with topic_reader(bootstrap) as reader:
        partitions = await reader.partitions(topic)
        starts = await (reader.begin_offsets if from_beginning else reader.end_offsets)(partitions)
        seen = 0
        async for record in reader.read(starts):
            yield see(record, kind)
            seen += 1
            if seen == limit:
                return


def see(record: LogRecord, kind: type[Message] | None) -> Seen:
    """Read a record as far as it can be read."""
    where = Position(record.topic, record.partition, record.offset)
    try:
        event = from_record(record.key, record.value, record.headers, timestamp_ms=record.timestamp)
    except MalformedEvent as wrong:
        return Seen(where, record, None, None, str(wrong))
    if kind is None or event.tombstone:
        return Seen(where, record, event, None)
    try:
        return Seen(where, record, event, kind.FromString(event.data))
    except DecodeError as wrong:
        return Seen(where, record, event, None, f"not a {kind.DESCRIPTOR.full_name}: {wrong}")


def _type_name(topic: str) -> str | None:
    kind = _MESSAGES.get(topic)
    return None if kind is None else kind.DESCRIPTOR.full_name


def _retention(config: Mapping[str, str]) -> timedelta | None:
    milliseconds = int(config["retention.ms"])
    return None if milliseconds < 0 else timedelta(milliseconds=milliseconds)

"""Dead letters: what was refused, kept as it was, with where and why in headers; read, and sent back."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bus.errors import BusError, MalformedEvent
from bus.events import from_record
from bus.kafka.reading import topic_reader
from bus.positions import Position
from bus.records import OutgoingRecord
from bus.times import format_rfc3339, parse_rfc3339
from bus.topics import dead_letter_of, is_dead_letter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from bus.events import Event, Headers
    from bus.records import LogRecord, RecordPublisher

MALFORMED_ENVELOPE: Final = "MALFORMED_ENVELOPE"
HANDLER_FAILED: Final = "HANDLER_FAILED"
_PREFIX: Final = "dlq_"
_REPLAYED_FROM: Final = "replayed_from"
_MAX_DETAIL_CHARACTERS: Final = 1_000
_WITHHELD: Final = b"Not told, because the topic has sensitive fields."


class NotADeadLetter(BusError):
    """A record lacks the headers that say where it came from and why."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that goes to the dead-letter topic, and why."""

    record: LogRecord
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Undertaker:
    """Writes dead letters in the name of a service."""

    service: str
    stack: str

    def bury(self, refusal: Refusal, now_us: int) -> OutgoingRecord:
        """Keep the original's key, value and headers, and add the headers that say where and why."""
        record = refusal.record
        why = {
            "dlq_reason": refusal.reason,
            "dlq_detail": refusal.detail[:_MAX_DETAIL_CHARACTERS],
            "dlq_service": self.service,
            "dlq_stack": self.stack,
            "dlq_topic": record.topic,
            "dlq_partition": str(record.partition),
            "dlq_offset": str(record.offset),
            "dlq_time": format_rfc3339(now_us),
            "dlq_timestamp_ms": str(record.timestamp),
        }
        headers = [*record.headers, *((name, text.encode(errors="replace")) for name, text in why.items())]
        return OutgoingRecord(record.key, record.value, headers)


def concealed(letter: OutgoingRecord, *, keep_detail: bool) -> OutgoingRecord:
    """Leave out what an original of a sensitive topic may tell: key, value and its own headers.

    Args:
        letter: The dead letter.
        keep_detail: Whether the detail is known to tell nothing; a client's or a handler's own words may.
    """
    told = [(name, value) for name, value in letter.headers if name.startswith(_PREFIX)]
    if not keep_detail:
        told = [(name, _WITHHELD if name == "dlq_detail" else value) for name, value in told]
    return without_value(OutgoingRecord(None, letter.value, told))


def without_value(letter: OutgoingRecord) -> OutgoingRecord:
    """Leave out a value too long for the dead-letter topic; the letter says where the original is."""
    missing = str(len(letter.value or b""))
    return OutgoingRecord(letter.key, b"", [*letter.headers, ("dlq_missing_bytes", missing.encode())])


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter, read.

    Attributes:
        where: The dead letter's own position.
        original: The position of the record it keeps.
        time_us: When it was given up.
        timestamp_ms: The original record's timestamp.
        headers: The original's, without those that say why.
        missing_bytes: How long the value was, where it was too long to be kept; else 0.
    """

    where: Position
    original: Position
    reason: str
    detail: str
    service: str
    stack: str
    time_us: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    missing_bytes: int = 0

    def event(self) -> Event:
        """Read the original's envelope.

        Raises:
            MalformedEvent: it has none, which may be why it is here.
        """
        return from_record(self.key, self.value, self.headers, timestamp_ms=self.timestamp_ms)

    @property
    def recorded_us(self) -> int:
        """When the original was recorded: by its envelope or, if that is broken, by the broker."""
        try:
            return self.event().recorded_time_us
        except MalformedEvent:
            return self.timestamp_ms * 1_000


def exhume(record: LogRecord) -> DeadLetter:
    """Read a record of a dead-letter topic.

    Raises:
        NotADeadLetter: headers are missing or unreadable.
    """
    why = {name: value for name, value in record.headers if name.startswith(_PREFIX)}
    try:
        told = {name.removeprefix(_PREFIX): value.decode() for name, value in why.items()}
        return DeadLetter(
            where=Position(record.topic, record.partition, record.offset),
            original=Position(told["topic"], int(told["partition"]), int(told["offset"])),
            reason=told["reason"],
            detail=told["detail"],
            service=told["service"],
            stack=told["stack"],
            time_us=parse_rfc3339(told["time"]),
            timestamp_ms=int(told["timestamp_ms"]),
            key=record.key,
            value=record.value,
            headers=[(name, value) for name, value in record.headers if name not in why],
            missing_bytes=int(told.get("missing_bytes", "0")),
        )
    except (KeyError, ValueError, AttributeError) as wrong:
        where = Position(record.topic, record.partition, record.offset)
        raise NotADeadLetter(f"{where} is not a dead letter: {type(wrong).__name__} {wrong}") from None


def revive(letter: DeadLetter) -> OutgoingRecord:
    """Make the record again as it was, with a header that says where it was kept meanwhile.

    When it became known is told by a record's timestamp where no header does: the new record's is
    another, so the old one goes into the header.

    Raises:
        NotADeadLetter: its value was too long to be kept.
    """
    if letter.missing_bytes:
        size = f"the {letter.missing_bytes} bytes of its value are at {letter.original} only"
        raise NotADeadLetter(f"{letter.where} cannot be replayed: {size}")
    headers = [*letter.headers, (_REPLAYED_FROM, str(letter.where).encode())]
    if letter.timestamp_ms >= 0 and "ce_recordedtime" not in dict(letter.headers):
        headers.append(("ce_recordedtime", format_rfc3339(letter.timestamp_ms * 1000).encode()))
    return OutgoingRecord(letter.key, letter.value, headers)


async def read_dead_letters(
    bootstrap: str,
    topic: str,
    *,
    limit: int = 100,
    reason: str | None = None,
    recorded_us: range | None = None,
    on_foreign: Callable[[LogRecord, NotADeadLetter], None] | None = None,
) -> list[DeadLetter]:
    """Read a topic's newest dead letters, newest first.

    Args:
        bootstrap: Where Kafka is.
        topic: The topic, or its dead-letter twin.
        limit: At most so many.
        reason: Only these.
        recorded_us: Only those whose original was recorded then.
        on_foreign: Told of each record that somebody else wrote there; it is passed over.

    Raises:
        Unavailable: the broker is away, or there is no such topic.
        NotADeadLetter: there is such a record, and nobody to tell.
    """
    twin = topic if is_dead_letter(topic) else dead_letter_of(topic)
    async with topic_reader(bootstrap) as reader:
        partitions = await reader.partitions(twin)
        starts, ends = await reader.begin_offsets(partitions), await reader.end_offsets(partitions)
        if reason is None and recorded_us is None:
            starts = {where: max(begin, ends[where] - limit) for where, begin in starts.items()}
        newest = {where: deque[DeadLetter](maxlen=limit) for where in partitions}
        async for record in reader.read(starts, ends):
            try:
                letter = exhume(record)
            except NotADeadLetter as foreign:
                if on_foreign is None:
                    raise
                on_foreign(record, foreign)
                continue
            is_then = recorded_us is None or letter.recorded_us in recorded_us
            if is_then and reason in (None, letter.reason):
                newest[letter.where.topic_partition].append(letter)
    found = [letter for letters in newest.values() for letter in letters]
    return sorted(found, key=lambda letter: (letter.time_us, letter.where), reverse=True)[:limit]


async def walk_dead_letters(bootstrap: str, topic: str) -> AsyncIterator[DeadLetter]:
    """Yield a topic's dead letters, each partition's in order; records that are none are passed over.

    Raises:
        Unavailable: the broker is away, or there is no such topic.
    """
    twin = topic if is_dead_letter(topic) else dead_letter_of(topic)
    async with topic_reader(bootstrap) as reader:
        partitions = await reader.partitions(twin)
        starts, ends = await reader.begin_offsets(partitions), await reader.end_offsets(partitions)
        async for record in reader.read(starts, ends):
            try:
                yield exhume(record)
            except NotADeadLetter:
                continue


async def read_dead_letter(bootstrap: str, where: Position) -> DeadLetter:
    """Read one dead letter.

    Raises:
        Unavailable: the broker is away, or there is no such topic.
        NotADeadLetter: nothing is there, or something else.
    """
    at = where.topic_partition
    async with topic_reader(bootstrap) as reader:
        partitions = await reader.partitions(where.topic)
        begins, ends = await reader.begin_offsets(partitions), await reader.end_offsets(partitions)
        if begins.get(at, 0) <= where.offset < ends.get(at, 0):
            async for record in reader.read({at: where.offset}, {at: where.offset + 1}):
                return exhume(record)
    raise NotADeadLetter(f"nothing is at {where}")


async def replay(publisher: RecordPublisher, letters: Sequence[DeadLetter]) -> list[Position]:
    """Send letters back to the topics they came from, in the order given; return where they are now.

    The letters stay where they are: a dead-letter topic is a log of what was given up, not a queue.

    Raises:
        NotADeadLetter: the value of one was too long to be kept; none of them was sent.
    """
    revived = [(letter.original.topic, revive(letter)) for letter in letters]
    return [(await publisher.publish_records(topic, [record]))[0] for topic, record in revived]

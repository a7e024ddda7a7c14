"""Dead letters that somebody decided to leave: the decision is a record beside them, with who and why.

A dead-letter topic is a log, and nothing is taken out of it: a discard says of a letter that it is not to be
sent back, and readers leave that letter out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bus.positions import Position
from bus.records import OutgoingRecord
from bus.times import format_rfc3339, parse_rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bus.records import LogRecord, RecordPublisher

_OF: Final = "discard_of"


@dataclass(frozen=True, slots=True)
class Discard:
    """A decision about one dead letter.

    Attributes:
        where: The dead letter's own position.
        because: Why, in somebody's words.
        by: Who decided.
    """

    where: Position
    because: str
    by: str
    time_us: int


def discard_record(one: Discard) -> OutgoingRecord:
    """Write a decision, to be published to the letter's own topic."""
    told = {
        _OF: f"{one.where.partition}:{one.where.offset}",
        "discard_because": one.because,
        "discard_by": one.by,
        "discard_time": format_rfc3339(one.time_us),
    }
    return OutgoingRecord(None, b"", [(name, text.encode()) for name, text in told.items()])


def discard_of(record: LogRecord) -> Discard | None:
    """Read a record of a dead-letter topic; None where it is no decision."""
    told = dict(record.headers)
    try:
        partition, offset = told[_OF].decode().split(":")
        return Discard(
            Position(record.topic, int(partition), int(offset)),
            told["discard_because"].decode(),
            told["discard_by"].decode(),
            parse_rfc3339(told["discard_time"].decode()),
        )
    except (KeyError, ValueError):
        return None


async def discard(publisher: RecordPublisher, decisions: Sequence[Discard]) -> None:
    """Publish decisions; one that is published twice is one decision."""
    for one in decisions:
        await publisher.publish_records(one.where.topic, [discard_record(one)])

"""Reading dead letters for `tidemark dlq`: those that are asked for, without those that were discarded."""

from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from bus import dead_letters
from bus.dead_letters import DeadLetter
from bus.discards import Discard, discard_of
from bus.positions import Position
from bus.records import LogRecord
from bus.times import format_rfc3339, parse_rfc3339
from bus.topics import dead_letter_of, is_dead_letter

from tidemark_cli.decoding import as_text
from tidemark_cli.failures import Failure
from tidemark_cli.options import Result, ask_kafka
from tidemark_cli.output import note

FOREIGN = "FOREIGN"
WHY_FOREIGN = "No service gave this up, somebody else wrote it: `tidemark tail` shows it, nothing replays it."
_ALL = 1_000_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters of a topic.

    Attributes:
        reason: Only those with this one.
        day: Only those whose original was recorded on it, UTC.
    """

    reason: str | None = None
    day: date | None = None

    @property
    def is_everything(self) -> bool:
        """Whether nothing is left out."""
        return self.reason is None and self.day is None

    @property
    def recorded_us(self) -> range | None:
        """The day's microseconds."""
        if self.day is None:
            return None
        first, end = (parse_rfc3339(f"{day}T00:00:00Z") for day in (self.day, self.day + timedelta(days=1)))
        return range(first, end)


@dataclass(frozen=True, slots=True)
class Found:
    """What a dead-letter topic holds.

    Attributes:
        letters: The newest first.
        foreign: Records that are neither letters nor decisions about them.
        discarded: By a letter's position, the decision to leave it.
    """

    letters: Sequence[DeadLetter]
    foreign: Sequence[LogRecord]
    discarded: Mapping[Position, Discard]

    @property
    def open(self) -> list[DeadLetter]:
        """The letters that nobody discarded."""
        return [letter for letter in self.letters if letter.where not in self.discarded]


def find(reach: str, topic: str, wanted: Wanted, limit: int = _ALL) -> Found:
    """Read the newest letters of a topic that are wanted."""
    others: list[LogRecord] = []
    letters = ask_kafka(
        dead_letters.read_dead_letters(
            reach,
            topic,
            limit=limit,
            reason=wanted.reason,
            recorded_us=wanted.recorded_us,
            on_foreign=lambda record, _: others.append(record),
        )
    )
    decisions = [one for record in others if (one := discard_of(record)) is not None]
    foreign = [record for record in others if discard_of(record) is None] if wanted.is_everything else []
    return Found(letters, foreign, {one.where: one for one in decisions})


def read_one(reach: str, topic: str, offset: int) -> DeadLetter:
    """Read the letter at an offset.

    Raises:
        Failure: there is none.
    """
    where = Position(topic if is_dead_letter(topic) else dead_letter_of(topic), 0, offset)
    try:
        letter = ask_kafka(dead_letters.read_dead_letter(reach, where))
    except dead_letters.NotADeadLetter as error:
        raise Failure(f"{error}: `tidemark dlq list {topic}` shows what is there") from error
    if letter.where != where:
        raise Failure(f"nothing is at {where}: `tidemark dlq list {topic}` shows what is there")
    return letter


def read_all(reach: str, topic: str, wanted: Wanted) -> list[DeadLetter]:
    """Read every letter that is wanted and that nobody discarded, the oldest first."""
    found = find(reach, topic, wanted)
    if found.foreign:
        count = len(found.foreign)
        note(f"{count} records there are nobody's dead letters and stay: `tidemark dlq list {topic}`")
    return found.open[::-1]


def ask_about_letters(work: Coroutine[Any, Any, Result]) -> Result:
    """Run work on letters that talks to Kafka.

    Raises:
        Failure: one of them cannot be sent back.
    """
    try:
        return ask_kafka(work)
    except dead_letters.NotADeadLetter as error:
        raise Failure(str(error)) from error


def summary(letter: DeadLetter, discarded: Discard | None = None) -> dict[str, Any]:
    """Return a letter as JSON has it."""
    return {
        "topic": letter.where.topic,
        "offset": letter.where.offset,
        "reason": letter.reason,
        "detail": letter.detail,
        "service": letter.service,
        "stack": letter.stack,
        "was": str(letter.original),
        "time": format_rfc3339(letter.time_us),
        "recorded": format_rfc3339(letter.recorded_us),
        "discarded": None
        if discarded is None
        else {
            "because": discarded.because,
            "by": discarded.by,
            "time": format_rfc3339(discarded.time_us),
        },
    }


def foreign_summary(record: LogRecord) -> dict[str, Any]:
    """Return a record that is nobody's letter as JSON has it."""
    headers = {name: as_text(value) for name, value in record.headers}
    return {
        "topic": record.topic,
        "offset": record.offset,
        "reason": FOREIGN,
        "detail": WHY_FOREIGN,
        "key": as_text(record.key),
        "headers": headers,
    }

"""Dead letters: what was refused, kept as it was, with where and why in headers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bus.positions import Position
from bus.records import OutgoingRecord
from bus.times import format_rfc3339

if TYPE_CHECKING:
    from bus.records import LogRecord

MALFORMED_ENVELOPE: Final = "MALFORMED_ENVELOPE"
HANDLER_FAILED: Final = "HANDLER_FAILED"
_MAX_DETAIL_CHARACTERS: Final = 1_000


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
        """Keep the original's key, value and headers, and add the headers that say why."""
        record = refusal.record
        why = [
            ("dlq_reason", refusal.reason),
            ("dlq_detail", refusal.detail[:_MAX_DETAIL_CHARACTERS]),
            ("dlq_service", self.service),
            ("dlq_stack", self.stack),
            ("dlq_topic", record.topic),
            ("dlq_partition", str(record.partition)),
            ("dlq_offset", str(record.offset)),
            ("dlq_time", format_rfc3339(now_us)),
            ("dlq_timestamp_ms", str(record.timestamp)),
        ]
        headers = [*record.headers, *((name, text.encode(errors="replace")) for name, text in why)]
        return OutgoingRecord(record.key, record.value, headers)


def position_of(record: LogRecord) -> Position:
    """Say where a record is."""
    return Position(record.topic, record.partition, record.offset)

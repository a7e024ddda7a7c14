"""The envelope: CloudEvents 1.0.2 in Kafka binary mode, as headers beside a bare value.

Two choices for upstream systems that send less than they could. `ce_recordedtime` absent: the Kafka record's
timestamp is taken, for that is when the fact became known here. `ce_time` absent (CloudEvents lets it be):
the recorded time is taken; a source with an event-time field of its own overrides it anyway.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Self

from bus.errors import MalformedEvent
from bus.times import format_rfc3339, parse_rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.message import Message

PROTOBUF: Final = "application/protobuf"
SPEC_VERSION: Final = b"1.0"
_SPEC: Final = ("ce_specversion", SPEC_VERSION)
MAX_RECORDED_AHEAD_US: Final = 86_400_000_000

Headers = list[tuple[str, bytes]]


# Not frozen, though nobody changes one: that makes it three times as dear, and one is made for every record.
@dataclass(slots=True, unsafe_hash=True)
class Event:
    """A fact: a CloudEvent whose `data` is the bare message.

    Attributes:
        id: Unique within `source`; deterministic for derived events, so that a repeat is recognised.
        type: The message's full name, e.g. "tidemark.scoring.v1.PredictionMade".
        time_us: When it was true in the world.
        recorded_time_us: When it became known.
        key: The Kafka key; order holds per key. Empty means no key.
        tombstone: The record has a null value: on a compacted topic it deletes the key. `data` is then empty.
    """

    id: str
    type: str
    source: str
    subject: str
    time_us: int
    recorded_time_us: int
    key: bytes
    data: bytes
    traceparent: str | None = None
    content_type: str = PROTOBUF
    tombstone: bool = False

    @classmethod
    def of(  # noqa: PLR0913 - an envelope has that many attributes
        cls,
        message: Message,
        *,
        id: str,  # noqa: A002 - CloudEvents' own word
        source: str,
        key: str | bytes,
        time_us: int,
        recorded_time_us: int,
        subject: str | None = None,
        traceparent: str | None = None,
    ) -> Self:
        """Wrap a protobuf message; the type is its full name, the subject its key unless given."""
        key_bytes = key.encode() if isinstance(key, str) else key
        return cls(
            id=id,
            type=message.DESCRIPTOR.full_name,
            source=source,
            subject=key_bytes.decode(errors="replace") if subject is None else subject,
            time_us=time_us,
            recorded_time_us=recorded_time_us,
            key=key_bytes,
            data=message.SerializeToString(),
            traceparent=traceparent,
        )


@lru_cache(maxsize=1024)
def _header(name: str, text: str) -> tuple[str, bytes]:
    """Write a header that most events have in common."""
    return name, text.encode()


@lru_cache(maxsize=4096)
def _moment(time_us: int) -> bytes:
    """Write a time: a batch's events often share theirs, and an event's two are mostly one."""
    return format_rfc3339(time_us).encode()


def to_headers(event: Event) -> Headers:
    """Write the envelope; empty optional attributes are left out."""
    headers = [
        _SPEC,
        ("ce_id", event.id.encode()),
        _header("ce_type", event.type),
        _header("ce_source", event.source),
        ("ce_time", _moment(event.time_us)),
        ("ce_recordedtime", _moment(event.recorded_time_us)),
    ]
    if event.subject:
        headers.append(("ce_subject", event.subject.encode()))
    if event.content_type:
        headers.append(_header("content-type", event.content_type))
    if event.traceparent:
        headers.append(("traceparent", event.traceparent.encode()))
    return headers


def from_record(
    key: bytes | None,
    value: bytes | None,
    headers: Iterable[tuple[str, bytes]],
    *,
    timestamp_ms: int | None = None,
) -> Event:
    """Read the envelope of a Kafka record; a null value is a tombstone.

    Args:
        key: The record's key.
        value: The record's value.
        headers: The record's headers; the last of a repeated name counts.
        timestamp_ms: The record's own timestamp, which stands in for a missing `ce_recordedtime` and bounds a
            given one.

    Raises:
        MalformedEvent: an attribute is missing, is not UTF-8, or is a time that cannot be.
    """
    found = dict(headers)
    try:
        if found["ce_specversion"] != SPEC_VERSION:
            raise MalformedEvent(
                "UNKNOWN_SPECVERSION", f"ce_specversion is {found['ce_specversion']!r}, not 1.0"
            )
        event_id, event_type, source = found["ce_id"], found["ce_type"], found["ce_source"]
        if not (event_id and event_type and source):
            raise MalformedEvent("EMPTY_ATTRIBUTE", "ce_id, ce_type and ce_source must not be empty")
        time_us, recorded_time_us = _times(found, timestamp_ms)
        trace = found.get("traceparent")
        # By position: this runs for every record, and keywords cost.
        return Event(
            event_id.decode(),
            event_type.decode(),
            source.decode(),
            found.get("ce_subject", b"").decode(),
            time_us,
            recorded_time_us,
            key or b"",
            value or b"",
            None if trace is None else trace.decode(),
            found.get("content-type", b"").decode(),
            value is None,
        )
    except KeyError as missing:
        raise MalformedEvent("MISSING_ATTRIBUTE", f"header {missing.args[0]} is missing") from None
    except UnicodeDecodeError as wrong:
        raise MalformedEvent("NOT_UTF8", f"header bytes {wrong.object[:40]!r} are not UTF-8") from None
    except AttributeError:
        raise MalformedEvent("NULL_ATTRIBUTE", "a CloudEvents header has a null value") from None


def _times(found: dict[str, bytes], timestamp_ms: int | None) -> tuple[int, int]:
    event_text, recorded_text = found.get("ce_time"), found.get("ce_recordedtime")
    known_us = None if timestamp_ms is None or timestamp_ms < 0 else timestamp_ms * 1000
    event_us = None if event_text is None else _time("ce_time", event_text)
    if recorded_text is None:
        recorded_us = event_us if known_us is None else known_us
    else:
        recorded_us = event_us if recorded_text == event_text else _time("ce_recordedtime", recorded_text)
    if recorded_us is None:
        raise MalformedEvent(
            "MISSING_ATTRIBUTE", "neither ce_time, ce_recordedtime nor a record timestamp is there"
        )
    if known_us is not None and recorded_us > known_us + MAX_RECORDED_AHEAD_US:
        recorded, known = format_rfc3339(recorded_us), format_rfc3339(known_us)
        detail = f"ce_recordedtime {recorded} is over a day after the record was written, {known}"
        raise MalformedEvent("IMPOSSIBLE_TIME", detail)
    return recorded_us if event_us is None else event_us, recorded_us


def _time(name: str, text: bytes) -> int:
    try:
        return parse_rfc3339(text.decode())
    except UnicodeDecodeError:
        raise
    except ValueError as wrong:
        raise MalformedEvent("UNREADABLE_TIME", f"{name}: {wrong}") from None

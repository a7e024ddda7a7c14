"""Events that callers push: held to their source's checks, then published to its topic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bus.errors import EventTooLarge, Unavailable
from bus.events import Event
from feature_store import Incoming, decode_events
from feature_store.errors import did_you_mean
from feature_store.scalars import EARLIEST_US, LATEST_US

from feature.domain.errors import InvalidRequest, LogAway, NotDeclared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bus.positions import Position
    from bus.producer import Publisher
    from feature_store import EventBatch, Project, Pseudonyms, Source

MAX_EVENTS: Final = 1_000
MAX_ID_BYTES: Final = 256
_TYPE: Final = "tidemark.features.pushed"
_SOURCE: Final = "tidemark/feature"


@dataclass(frozen=True, slots=True)
class Pushed:
    """An event as a caller pushes it.

    Attributes:
        id: Unique within its source.
        key: The Kafka key; empty for the id.
        data: The payload.
        time_us: The envelope's event time, None where the caller names none.
        recorded_time_us: When it became known, None for now.
    """

    id: str
    key: str
    data: bytes
    time_us: int | None
    recorded_time_us: int | None


class Door:
    """Takes events for the project's sources.

    Args:
        project: Whose sources.
        publisher: Waits while the broker is away: callers bring their own deadline.
        pseudonyms: For sources with sensitive fields. What is published is what was pushed: the topic is the
            source's own.
    """

    def __init__(self, project: Project, publisher: Publisher, pseudonyms: Pseudonyms | None = None) -> None:
        self._pseudonyms = pseudonyms
        self._project = project
        self._publisher = publisher

    async def push(self, topic: str, pushed: Sequence[Pushed], *, now_us: int) -> list[Position]:
        """Publish events once all of them pass their source's checks; return when Kafka has them.

        An event pushed again under the same key has the same place in the same partition's order of ids, so
        that it counts once (docs/formats.md, claims).

        Raises:
            NotDeclared: The project has no such source.
            InvalidRequest: One is refused: its index, the reason of the check, and why. None is published.
            LogAway: Kafka refused; some may be there, and all may be pushed again.
        """
        source = self._source(topic)
        if not 1 <= len(pushed) <= MAX_EVENTS:
            raise InvalidRequest("events", f"has {len(pushed)} entries, which must be 1 to {MAX_EVENTS:,}")
        for index, one in enumerate(pushed):
            _check_envelope(source, index, one, now_us)
        incoming = _incoming(pushed, now_us)
        batch, rejects = decode_events(source, incoming, self._pseudonyms)
        if rejects:
            first = rejects[0]
            raise InvalidRequest(f"events[{first.index}].data", f"{first.reason}: {first.detail}")
        try:
            return await self._publisher.publish_all(topic, _events(incoming, batch))
        except EventTooLarge as error:
            raise InvalidRequest("events", str(error)) from error
        except Unavailable as error:
            raise LogAway(f"not published: {error}; push the same again") from error

    def _source(self, topic: str) -> Source:
        if topic not in self._project.sources:
            hint = did_you_mean(topic, self._project.sources)
            raise NotDeclared("source", f"there is no {topic!r}. {hint}")
        return self._project.sources[topic]


def _check_envelope(source: Source, index: int, one: Pushed, now_us: int) -> None:
    field = f"events[{index}]"
    if not one.id or len(one.id.encode()) > MAX_ID_BYTES:
        raise InvalidRequest(f"{field}.id", f"must have 1 to {MAX_ID_BYTES} bytes")
    if source.event_time is None and one.time_us is None:
        raise InvalidRequest(f"{field}.event_time", "is missing: the source's payloads have no event time")
    if one.time_us is not None and not EARLIEST_US <= one.time_us < LATEST_US:
        raise InvalidRequest(f"{field}.event_time", "must be from 1970 to before 2200, UTC")
    if one.recorded_time_us is not None and not EARLIEST_US <= one.recorded_time_us <= now_us:
        raise InvalidRequest(f"{field}.recorded_time", "must be from 1970 to now: it is when it became known")


def _incoming(pushed: Sequence[Pushed], now_us: int) -> Incoming:
    recorded_us = [now_us if one.recorded_time_us is None else one.recorded_time_us for one in pushed]
    return Incoming(
        values=[one.data for one in pushed],
        ids=[one.id for one in pushed],
        keys=[(one.key or one.id).encode() for one in pushed],
        event_time_us=[
            recorded if one.time_us is None else one.time_us
            for one, recorded in zip(pushed, recorded_us, strict=True)
        ],
        recorded_time_us=recorded_us,
        # Nobody knows them yet, and no check reads them.
        partitions=[0] * len(pushed),
        offsets=list(range(len(pushed))),
    )


def _events(incoming: Incoming, batch: EventBatch) -> list[Event]:
    return [
        Event(
            id=record_id,
            type=_TYPE,
            source=_SOURCE,
            subject="",
            time_us=time_us,
            recorded_time_us=recorded_us,
            key=key,
            data=data,
            content_type="application/octet-stream",
        )
        for record_id, key, data, time_us, recorded_us in zip(
            incoming.ids,
            incoming.keys,
            incoming.values,
            batch.event_time_us.tolist(),
            incoming.recorded_time_us,
            strict=True,
        )
    ]

"""Between the bus's records and the domain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bus.events import Event
from feature_store import Incoming
from tidemark.outcomes.v1.outcome_pb2 import OutcomeObserved

from feature.domain.outcomes import REVISION, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bus.received import Received

_SOURCE: Final = "tidemark/feature"


def incoming_of(records: Sequence[Received]) -> Incoming:
    """Return records of one source as columns to decode."""
    events = [record.event for record in records]
    return Incoming(
        values=[event.data for event in events],
        ids=[event.id for event in events],
        keys=[event.key for event in events],
        event_time_us=[event.time_us for event in events],
        recorded_time_us=[event.recorded_time_us for event in events],
        partitions=[record.partition for record in records],
        offsets=[record.offset for record in records],
    )


def event_of(outcome: Outcome) -> Event:
    """Return an outcome as the event that tells it."""
    message = OutcomeObserved(
        label=outcome.label, request_key=outcome.request_key, value=outcome.value, revision=REVISION
    )
    return Event.of(
        message,
        id=outcome.id,
        source=_SOURCE,
        key=outcome.request_key,
        time_us=outcome.time_us,
        recorded_time_us=outcome.recorded_time_us,
        traceparent=outcome.traceparent,
    )

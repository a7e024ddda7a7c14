"""Between the bus's records and the domain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bus.events import Event
from tidemark.outcomes.v1.outcome_pb2 import OutcomeObserved

if TYPE_CHECKING:
    from feature.domain.outcomes import Outcome

_SOURCE: Final = "tidemark/feature"


def event_of(outcome: Outcome) -> Event:
    """Return an outcome as the event that tells it."""
    message = OutcomeObserved(
        label=outcome.label,
        request_key=outcome.request_key,
        value=outcome.value,
        revision=outcome.revision,
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

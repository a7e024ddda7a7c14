"""What events tell of requests: a label's values, each under an id that repeating them does not change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from feature_store import EventBatch, Label

REVISION: Final = 0
"""Of what an event tells: a label declares no corrections. What callers report may have later ones."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The truth about a request, and when it was true and when known.

    Attributes:
        traceparent: The trace of the event or the call that told it.
        revision: A later one supersedes.
    """

    label: str
    request_key: str
    value: float
    time_us: int
    recorded_time_us: int
    traceparent: str | None
    revision: int = REVISION

    @property
    def id(self) -> str:
        """The same whenever the same revision of the same label tells of the same request."""
        return f"{self.label}:{self.request_key}:{self.revision}"


def outcomes_of(
    labels: Iterable[Label], batch: EventBatch, traceparents: Sequence[str | None]
) -> list[Outcome]:
    """Return what a batch tells, label by label.

    Args:
        labels: The labels of the batch's source.
        batch: Events.
        traceparents: The trace of each event.
    """
    return [
        Outcome(
            label.name,
            key,
            value,
            int(batch.event_time_us[row]),
            int(batch.recorded_time_us[row]),
            traceparents[row],
        )
        for label in labels
        for told in (label.outcomes(batch),)
        for row, key, value in zip(told.rows.tolist(), told.request_keys, told.values.tolist(), strict=True)
    ]

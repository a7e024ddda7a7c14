"""What a run looked like from outside."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bus.positions import Position
    from numpy.typing import NDArray

    from examples.flights.demo.rollback import Rollback
    from examples.flights.demo.telling import Happening

_RATE_OVER = 200


@dataclass(slots=True)
class Journal:
    """What happened, as the demo saw it from outside; the rest is read back from the lake.

    Attributes:
        published: How many events were published, by topic.
        seconds: Wall seconds since the start, when `events` events had been published.
        latencies_ms: Of every Score call, as its caller saw it.
        versions: What training answered, champion first.
        living_seconds: How long living took.
        lived_events: How many events were published while living.
        answers: How many questions were answered.
        settling_seconds: How long of that was spent waiting for everything to have its last effect.
        cpu_seconds: What each process had used when everything was lived.
        rejected: How many source events are in dead-letter topics.
        gate_refusals: How often an approval was refused because of a failed gate.
        rollback: How going back went; None when there was nothing to go back to.
        audit_verified: Whether the audit's chain was whole at the end.
        happenings: What was told while it happened, in that order.
    """

    published: dict[str, int] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=lambda: [0.0])
    events: list[float] = field(default_factory=lambda: [0.0])
    latencies_ms: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    versions: list[dict[str, Any]] = field(default_factory=list)
    living_seconds: float = 0.0
    lived_events: int = 0
    answers: int = 0
    settling_seconds: float = 0.0
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    rejected: int = 0
    gate_refusals: int = 0
    rollback: Rollback | None = None
    audit_verified: bool = False
    happenings: list[Happening] = field(default_factory=list)
    _began_seconds: float = field(default_factory=time.monotonic)

    def count(self, positions: Sequence[Position]) -> None:
        """Notes that these were published."""
        for position in positions:
            self.published[position.topic] = self.published.get(position.topic, 0) + 1
        self.mark(len(positions))

    def mark(self, events: int) -> None:
        """Notes that so many more events were published by now."""
        self.seconds.append(time.monotonic() - self._began_seconds)
        self.events.append(self.events[-1] + events)

    def rate(self) -> float:
        """Events published a second, of late."""
        first = max(-_RATE_OVER, -len(self.events))
        return (self.events[-1] - self.events[first]) / max(self.seconds[-1] - self.seconds[first], 1e-9)

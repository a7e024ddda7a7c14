"""What a run looked like from outside."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bus.positions import Position
    from numpy.typing import NDArray


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
        rejected: How many source events are in dead-letter topics.
    """

    published: dict[str, int] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=lambda: [0.0])
    events: list[float] = field(default_factory=lambda: [0.0])
    latencies_ms: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    versions: list[dict[str, Any]] = field(default_factory=list)
    living_seconds: float = 0.0
    lived_events: int = 0
    answers: int = 0
    rejected: int = 0

    def count(self, positions: Sequence[Position], seconds: float) -> None:
        """Notes that these were published by then."""
        for position in positions:
            self.published[position.topic] = self.published.get(position.topic, 0) + 1
        self.mark(len(positions), seconds)

    def mark(self, events: int, seconds: float) -> None:
        """Notes that so many more events were published by then."""
        self.seconds.append(seconds)
        self.events.append(self.events[-1] + events)

"""How many processes a stream needs: told by each for its own partitions, summed by whoever scales."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Sample:
    """Where a process was at some moment.

    Attributes:
        at_s: By a clock that never goes back.
        reached: By partition, the offset that is answered next.
        ends: By partition, the offset after its last event.
    """

    at_s: float
    reached: Mapping[Any, int]
    ends: Mapping[Any, int]

    @property
    def lag_events(self) -> int:
        """How many events wait."""
        return sum(max(0, end - self.reached.get(where, end)) for where, end in self.ends.items())


@dataclass(frozen=True, slots=True)
class Pace:
    """What happened between two samples, of the partitions that are in both.

    Attributes:
        handled_per_second: Events answered.
        arrived_per_second: Events that came.
        lag_events: How many wait at the end.
        is_saturated: Whether some waited all the time: then `handled_per_second` is what the process can do.
    """

    handled_per_second: float
    arrived_per_second: float
    lag_events: int
    is_saturated: bool


def pace_between(before: Sample, after: Sample, batch: int) -> Pace | None:
    """Compare two samples; None where no time passed or no partition is in both.

    Args:
        before: The earlier.
        after: The later.
        batch: How many events are answered together: fewer than that waiting is no backlog.
    """
    seconds = after.at_s - before.at_s
    both = before.reached.keys() & after.reached.keys() & before.ends.keys() & after.ends.keys()
    if seconds <= 0 or not both:
        return None
    return Pace(
        sum(after.reached[where] - before.reached[where] for where in both) / seconds,
        sum(after.ends[where] - before.ends[where] for where in both) / seconds,
        after.lag_events,
        min(before.lag_events, after.lag_events) >= batch,
    )


def wanted_replicas(pace: Pace, capacity_per_second: float, drain_seconds: float) -> float:
    """How many processes the partitions of one need: what arrives, and what waits within `drain_seconds`.

    Args:
        pace: What happens in these partitions.
        capacity_per_second: What one process can do, above 0.
        drain_seconds: In what time a backlog must be gone.
    """
    return (pace.arrived_per_second + pace.lag_events / drain_seconds) / capacity_per_second


def recommended_replicas(wanted: Iterable[float], partitions: int, fullness: float = 0.8) -> int:
    """How many processes to run.

    Args:
        wanted: What each process says of its own partitions.
        partitions: Of the topic: more processes than that have nothing to do.
        fullness: How busy one may be, so that there is something left for bursts.

    Returns:
        1 to `partitions`.
    """
    return max(1, min(partitions, math.ceil(sum(wanted) / fullness)))

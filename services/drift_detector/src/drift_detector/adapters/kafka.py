"""Telling facts on Kafka, and knowing where it ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bus.clocks import wall_clock_us
from bus.progress import progress_event
from bus.topics import (
    ALERTS_CHANGED,
    MODELS_REGISTERED,
    MONITORS_MEASURED,
    OUTCOMES_OBSERVED,
    PREDICTIONS_MADE,
    PREDICTIONS_RESOLVED,
    PROGRESSED,
    ROUTES_CHANGED,
)
from bus.tracker import ProgressTimeoutError

from drift_detector.adapters import wire

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from bus.clocks import Clock
    from bus.ends import TopicEnds
    from bus.positions import TopicPartition
    from bus.producer import Publisher
    from bus.tracker import ProgressTracker
    from bus.watermarks import Watermark

    from drift_detector.domain.figures import Measured

    Ends = Mapping[TopicPartition, int]
    Marks = Mapping[TopicPartition, Watermark]

_CHECKS_A_QUESTION: Final = 50
_QUESTION_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Topics:
    """The names of what is read and written."""

    answers: str = PREDICTIONS_MADE.name
    resolved: str = PREDICTIONS_RESOLVED.name
    outcomes: str = OUTCOMES_OBSERVED.name
    routes: str = ROUTES_CHANGED.name
    registered: str = MODELS_REGISTERED.name
    measured: str = MONITORS_MEASURED.name
    alerts: str = ALERTS_CHANGED.name

    @property
    def inputs(self) -> tuple[str, str]:
        """What is counted."""
        return self.answers, self.resolved


class BusAnnouncements:
    """`Announcements` on the bus.

    Args:
        group: Whose windows these are.
        stage: What has been told of them is the progress of `<group>.<stage>`.
        now_us: Dates that progress, nothing else.
    """

    def __init__(
        self,
        publisher: Publisher,
        topics: Topics,
        *,
        group: str,
        stage: str = "measured",
        now_us: Clock = wall_clock_us,
    ) -> None:
        self._publisher = publisher
        self._topics = topics
        self._progress = f"{group}.{stage}"
        self._now_us = now_us

    async def measured(self, measured: Sequence[Measured]) -> None:
        """See `Announcements.measured`."""
        await self._publisher.publish_all(
            self._topics.measured, [wire.measured_event(one) for one in measured]
        )

    async def measured_up_to(self, marks: Marks) -> None:
        """See `Announcements.measured_up_to`."""
        progress = progress_event(self._progress, wire.SOURCE, marks, self._now_us())
        await self._publisher.publish(PROGRESSED.name, progress)


class KafkaFrontier:
    """`Frontier` from the ends of topics and the progress of the group that joins outcomes.

    What was known by a boundary is counted once the joining group has had what the answers' and outcomes'
    topics held when the boundary was passed, and then we have counted what it had told by then.

    Args:
        ends: Of answers, outcomes as they are observed, and outcomes as they are joined.
        joiner: The joining group.
        marks: How far we have counted.
    """

    def __init__(
        self,
        ends: TopicEnds,
        tracker: ProgressTracker,
        topics: Topics,
        *,
        joiner: str,
        marks: Callable[[], Awaitable[Marks]],
    ) -> None:
        self._ends = ends
        self._tracker = tracker
        self._topics = topics
        self._joiner = joiner
        self._marks = marks
        self._complete_us = 0
        self._passing: _Passing | None = None

    async def ends(self) -> Ends:
        """See `Frontier.ends`."""
        ends = await self._ends.ask()
        return {where: end for where, end in ends.items() if where.topic in self._topics.inputs}

    async def labels_up_to(self, boundary_us: int) -> int:
        """See `Frontier.labels_up_to`."""
        if boundary_us > self._complete_us:
            passing = self._passing = self._passing or _Passing(boundary_us, await self._upstream())
            if passing.joined is None and await self._has_joined(passing):
                passing.joined = await self._ends_of(self._topics.resolved)
            if passing.joined is not None and _covers(await self._marks(), passing.joined):
                self._complete_us, self._passing = passing.boundary_us, None
        return self._complete_us

    async def _upstream(self) -> Ends:
        return await self._ends_of(self._topics.answers, self._topics.outcomes)

    async def _ends_of(self, *topics: str) -> Ends:
        ends = await self._ends.ask()
        return {where: end for where, end in ends.items() if where.topic in topics and end}

    async def _has_joined(self, passing: _Passing) -> bool:
        if _covers(self._tracker.marks(self._joiner), passing.upstream):
            return True
        # What the group reached before we listened only its commits tell; to ask for them takes a connection.
        asks = passing.checks % _CHECKS_A_QUESTION == 0
        passing.checks += 1
        if not asks:
            return False
        try:
            await self._tracker.reached(self._joiner, passing.upstream, _QUESTION_SECONDS)
        except ProgressTimeoutError:
            return False
        return True


@dataclass(slots=True)
class _Passing:
    """A boundary whose outcomes are on their way.

    Attributes:
        upstream: What the joining group has to have had.
        joined: What it had told by then; None before.
        checks: How often it was looked whether it had.
    """

    boundary_us: int
    upstream: Ends
    joined: Ends | None = None
    checks: int = 0


def _covers(marks: Marks, ends: Ends) -> bool:
    return all(where in marks and marks[where].next_offset >= end for where, end in ends.items())

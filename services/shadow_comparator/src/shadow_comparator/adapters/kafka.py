"""Telling facts on Kafka."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bus.clocks import wall_clock_us
from bus.progress import progress_event
from bus.topics import (
    OUTCOMES_OBSERVED,
    PREDICTIONS_MADE,
    PREDICTIONS_RESOLVED,
    PROGRESSED,
    SHADOW_MADE,
    VARIANTS_COMPARED,
)

from shadow_comparator.adapters import wire

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bus.clocks import Clock
    from bus.positions import TopicPartition
    from bus.producer import Publisher
    from bus.watermarks import Watermark

    from shadow_comparator.domain.facts import Resolved
    from shadow_comparator.domain.revisions import Stored


@dataclass(frozen=True, slots=True)
class Topics:
    """The names of what is read and written."""

    predictions: str = PREDICTIONS_MADE.name
    shadows: str = SHADOW_MADE.name
    outcomes: str = OUTCOMES_OBSERVED.name
    resolved: str = PREDICTIONS_RESOLVED.name
    compared: str = VARIANTS_COMPARED.name

    @property
    def inputs(self) -> tuple[str, str, str]:
        """What is read."""
        return self.predictions, self.shadows, self.outcomes


class BusAnnouncements:
    """`Announcements` on the bus.

    Args:
        group: Whose windows these are; what has been told of them is the progress of `<group>.compared`.
        now_us: Dates that progress, nothing else.
    """

    def __init__(
        self, publisher: Publisher, topics: Topics, *, group: str, now_us: Clock = wall_clock_us
    ) -> None:
        self._publisher = publisher
        self._topics = topics
        self._group = group
        self._now_us = now_us

    async def resolved(self, resolved: Sequence[Resolved]) -> None:
        """See `Announcements.resolved`."""
        await self._publisher.publish_all(
            self._topics.resolved, [wire.resolved_event(one) for one in resolved]
        )

    async def compared(self, stored: Stored) -> None:
        """See `Announcements.compared`."""
        await self._publisher.publish(self._topics.compared, wire.compared_event(stored))

    async def told_up_to(self, marks: Mapping[TopicPartition, Watermark]) -> None:
        """See `Announcements.told_up_to`."""
        progress = progress_event(f"{self._group}.compared", wire.SOURCE, marks, self._now_us())
        await self._publisher.publish(PROGRESSED.name, progress)

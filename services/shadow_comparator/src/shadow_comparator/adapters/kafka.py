"""Telling facts on Kafka."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bus.topics import (
    OUTCOMES_OBSERVED,
    PREDICTIONS_MADE,
    PREDICTIONS_RESOLVED,
    SHADOW_MADE,
    VARIANTS_COMPARED,
)

from shadow_comparator.adapters import wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bus.producer import Publisher

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
    """`Announcements` on the bus."""

    def __init__(self, publisher: Publisher, topics: Topics) -> None:
        self._publisher = publisher
        self._topics = topics

    async def resolved(self, resolved: Sequence[Resolved]) -> None:
        """See `Announcements.resolved`."""
        await self._publisher.publish_all(
            self._topics.resolved, [wire.resolved_event(one) for one in resolved]
        )

    async def compared(self, stored: Stored) -> None:
        """See `Announcements.compared`."""
        await self._publisher.publish(self._topics.compared, wire.compared_event(stored))

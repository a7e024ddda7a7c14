"""Waits until what was published has had its last effect, group by group along the flow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bus import topics
from bus.inspect import list_topics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bus.tracker import ProgressTracker

_SECONDS = 300.0


class Drain:
    """Knows who reads what, in the order in which effects flow."""

    def __init__(
        self, bootstrap: str, tracker: ProgressTracker, feature_group: str, sources: Sequence[str]
    ) -> None:
        self._bootstrap = bootstrap
        self._tracker = tracker
        self._feature_group = feature_group
        self._sources = tuple(sources)

    async def learned(self) -> None:
        """Returns when features and lake hold everything published."""
        await self._through(self._feature_group, self._sources)
        await self.archived()

    async def archived(self) -> None:
        """Returns when the lake holds what can be trained on."""
        await self._through("archiver", (*self._sources, topics.OUTCOMES_OBSERVED.name))

    async def lived(self) -> None:
        """Returns when every outcome is joined, compared and archived, and what was served is recomputed."""
        made, shadow = topics.PREDICTIONS_MADE.name, topics.SHADOW_MADE.name
        outcomes, resolved = topics.OUTCOMES_OBSERVED.name, topics.PREDICTIONS_RESOLVED.name
        await self._through(self._feature_group, self._sources)
        await self._through("inference-shadow", (made,))
        await self._through("shadow-comparator", (made, shadow, outcomes))
        compared = topics.VARIANTS_COMPARED.name
        # What was served is recomputed once the lake has it; what is said of it is archived in its turn.
        await self._through("drift-detector.consistency", (made,))
        measured = topics.MONITORS_MEASURED.name
        await self._through(
            "archiver", (*self._sources, made, shadow, outcomes, resolved, compared, measured)
        )

    async def rejected(self) -> int:
        """Returns how many source events were dead-lettered."""
        return sum((await self._ends([topics.dead_letter_of(name) for name in self._sources])).values())

    async def _through(self, group: str, names: Sequence[str]) -> None:
        await self._tracker.reached(group, await self._ends(names), _SECONDS)

    async def _ends(self, names: Sequence[str]) -> dict[tuple[str, int], int]:
        return {
            (topic.name, part.partition): part.end
            for topic in await list_topics(self._bootstrap)
            if topic.name in names
            for part in topic.partitions
            if part.end
        }

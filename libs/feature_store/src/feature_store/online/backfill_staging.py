"""Reading the lake into staged rows, as far as a backfill's plan allows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from feature_store.online.backfill_ports import BackfillBroken, Report
from feature_store.online.keepers import has_passed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from feature_store.definitions import Source
    from feature_store.events import EventBatch
    from feature_store.online.applier import Applier
    from feature_store.online.backfill_ports import Note, Outside
    from feature_store.online.keepers import Offsets, Positions

OFFSETS_A_PART: Final = 20_000


class Staging:
    """Staged rows of some sources' views.

    Attributes:
        note: How far they have come.
    """

    def __init__(self, outside: Outside, sources: Sequence[Source], applier: Applier, note: Note) -> None:
        self._outside = outside
        self._sources = sources
        self._applier = applier
        self.note = note

    async def read_on(self) -> None:
        """Apply what the lake has and the staged rows have not."""
        reached = {source.topic: await self._reached(source) for source in self._sources}
        for source in self._sources:
            while ranges := _next_ranges(self.note.positions[source.topic], reached[source.topic]):
                await self._applier.apply(_ordered(await self._outside.history.read(source, ranges)))
                await self._advance(source, ranges)
                self._tell("staging", reached)

    async def catch_up(self, wanted: Positions) -> None:
        """Read the lake on until the staged rows hold all up to these positions.

        Raises:
            BackfillBroken: they are beyond what the plan allows, and so will never be reached.
        """
        here = {topic: ends for topic, ends in wanted.items() if topic in self.note.positions}
        while not has_passed(self.note.positions, here):
            await self._check_limits(here)
            await self.read_on()
            if not has_passed(self.note.positions, here):
                self._tell("waiting for the lake", here)
                await self._outside.pause()

    async def _reached(self, source: Source) -> Offsets:
        reached = await self._outside.history.reached(source)
        limits = self.note.plan.limits.get(source.topic)
        if limits is None:
            return reached
        return {partition: min(end, limits.get(partition, 0)) for partition, end in reached.items()}

    async def _check_limits(self, wanted: Positions) -> None:
        limits = self.note.plan.limits
        if not has_passed({**wanted, **limits}, wanted):
            await self._outside.store.forget()
            raise BackfillBroken(
                "a topic dropped events that another group has yet to read; run the backfill again: it "
                "begins anew"
            )

    async def _advance(self, source: Source, ranges: Mapping[int, tuple[int, int]]) -> None:
        passed = {partition: end for partition, (_, end) in ranges.items()}
        positions = self.note.positions
        moved = {**positions, source.topic: {**positions[source.topic], **passed}}
        self.note = replace(self.note, positions=moved)
        await self._outside.store.take_note(self.note)

    def _tell(self, doing: str, reached: Positions) -> None:
        here = {topic: self.note.positions[topic] for topic in reached}
        self._outside.watch(Report(doing, _sum(here), _sum(reached)))


def _next_ranges(passed: Offsets, reached: Offsets) -> dict[int, tuple[int, int]]:
    return {
        partition: (passed.get(partition, 0), min(passed.get(partition, 0) + OFFSETS_A_PART, end))
        for partition, end in reached.items()
        if passed.get(partition, 0) < end
    }


def _ordered(batch: EventBatch) -> EventBatch:
    return batch.take(np.lexsort((batch.offset, batch.partition)))


def _sum(positions: Positions) -> int:
    return sum(end for ends in positions.values() for end in ends.values())

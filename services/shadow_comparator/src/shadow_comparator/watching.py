"""The loop beside the consumer: reports how far this process is and, if it owns the windows, compares."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bus.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from bus.positions import TopicPartition

    from shadow_comparator.comparer import Comparer
    from shadow_comparator.handlers import Joining
    from shadow_comparator.metrics import Metrics
    from shadow_comparator.ports import Marks

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Watching:
    """Looks at a steady beat.

    Attributes:
        ends: The last known end of a partition that is ours.
        ownership: Whoever has this partition owns the windows.
        now_us: Real time.
        beat_seconds: Between two looks.
    """

    joining: Joining
    comparer: Comparer
    marks: Marks
    ends: Callable[[TopicPartition], int | None]
    ownership: TopicPartition
    now_us: Callable[[], int]
    beat_seconds: float
    metrics: Metrics

    async def run(self, stop: asyncio.Event) -> None:
        """Look until `stop`; what is away is waited for."""
        while not stop.is_set():
            try:
                await self.look()
            except Unavailable as error:
                _log.warning("windows are not compared for now: %s", error)
            with suppress(TimeoutError):
                async with asyncio.timeout(self.beat_seconds):
                    await stop.wait()

    async def look(self) -> None:
        """Report, and compare if the windows are ours."""
        ends = {where: self.ends(where) for where in self.joining.reached}
        known = {where: end for where, end in ends.items() if end is not None}
        if known:
            await self.marks.report_ends(known)
        owns = self.ownership in self.joining.reached
        self.metrics.owner.set(owns)
        if owns:
            await self.comparer.look(self.now_us())
        else:
            self.comparer.disown()

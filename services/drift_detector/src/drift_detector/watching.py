"""The loop beside the consumers: measures, if the windows are this process's."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from bus.errors import Unavailable

if TYPE_CHECKING:
    from bus.positions import TopicPartition

    from drift_detector.handlers import Counting
    from drift_detector.metrics import Metrics

_log: Final = logging.getLogger(__name__)


class Watch(Protocol):
    """What looks after windows: `Measurer`, or `Auditor`."""

    async def look(self) -> None:
        """Tell what is due.

        Raises:
            Unavailable: Whatever was not told is told at the next look.
        """

    def disown(self) -> None:
        """Forget what was seen: somebody else has the windows."""


@dataclass(slots=True)
class Watching:
    """Looks at a steady beat.

    Attributes:
        ownership: Whoever has this partition owns the windows.
        beat_seconds: Between two looks.
        not_ready_because: Why the last look failed; None when it did not.
    """

    counting: Counting
    watch: Watch
    ownership: TopicPartition
    beat_seconds: float
    metrics: Metrics
    not_ready_because: str | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Look until `stop`; what is away is waited for."""
        while not stop.is_set():
            try:
                await self.look()
                self.not_ready_because = None
            except Unavailable as error:
                if self.not_ready_because != str(error):
                    _log.warning("windows are not measured for now: %s", error)
                self.not_ready_because = str(error)
            with suppress(TimeoutError):
                async with asyncio.timeout(self.beat_seconds):
                    await stop.wait()

    async def look(self) -> None:
        """Measure, if the windows are ours."""
        owns = self.counting.owns(self.ownership)
        self.metrics.owner.set(owns)
        if owns:
            await self.watch.look()
        else:
            self.watch.disown()

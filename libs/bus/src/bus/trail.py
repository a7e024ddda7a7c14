"""What follows a batch's effects, beside the next batches: one step at a time, each with the newest marks.

Telling progress and committing are writes on the broker, which may batch such writes for milliseconds; the
next batch does not wait for them. Marks are handed in after the effects are durable, so what is lost with the
process is only read again; a group that keeps its own positions tells them when it begins.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from bus.feeds import PartitionsLost
from bus.patience import Interrupted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bus.positions import TopicPartition
    from bus.watermarks import Watermark

    Marks = Mapping[TopicPartition, Watermark]

_log = logging.getLogger(__name__)


class Trail:
    """Marks on their way to a step.

    Args:
        step: Takes marks. Those that come meanwhile go with the next, the newest of each partition.
    """

    def __init__(self, step: Callable[[Marks], Awaitable[None]]) -> None:
        self._step = step
        self._waiting: dict[TopicPartition, Watermark] = {}
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def add(self, marks: Marks) -> None:
        """Have the step taken with these soon."""
        self._waiting.update(marks)
        self._idle.clear()
        self._changed.set()

    async def flush(self) -> None:
        """Return when the step was taken with everything handed in, or that is known to be no longer ours."""
        await self._idle.wait()

    async def run(self) -> None:
        """Take steps until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            marks, self._waiting = self._waiting, {}
            try:
                # What was added during a step that failed is given up with it, and nothing is left then.
                if marks:
                    await self._step(marks)
            except (PartitionsLost, Interrupted) as lost:
                # Their next owner reads on from the last commit: effects are idempotent.
                _log.warning("offsets not committed: %s", lost)
                self._waiting.clear()
            if not self._waiting:
                self._idle.set()

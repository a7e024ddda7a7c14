"""Committing offsets beside the work: one commit at a time, each carrying the newest offsets.

A commit is a write on the broker, which may batch such writes for milliseconds; the next batch does not wait
for it. Offsets are handed in after the effects are durable, so what is lost with the process is only read
again.
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

_log = logging.getLogger(__name__)


class Commits:
    """Offsets on their way to the group."""

    def __init__(self, commit: Callable[[Mapping[TopicPartition, int]], Awaitable[None]]) -> None:
        self._commit = commit
        self._waiting: dict[TopicPartition, int] = {}
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def add(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Have these committed soon."""
        self._waiting.update(offsets)
        self._idle.clear()
        self._changed.set()

    async def flush(self) -> None:
        """Return when everything handed in is committed, or is known to be no longer ours to commit."""
        await self._idle.wait()

    async def run(self) -> None:
        """Commit until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            offsets, self._waiting = self._waiting, {}
            try:
                # What was added during a commit that failed is given up with it, and nothing is left then.
                if offsets:
                    await self._commit(offsets)
            except (PartitionsLost, Interrupted) as lost:
                # Their next owner reads on from the last commit: effects are idempotent.
                _log.warning("offsets not committed: %s", lost)
                self._waiting.clear()
            if not self._waiting:
                self._idle.set()

"""Coalescing: what arrives while a batch is scored makes up the next one. Nobody waits for a clock."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

from inference.domain.batching import Line, Waiter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from inference.clocks import Stopwatch

W = TypeVar("W", bound=Waiter)


class Coalescer(Generic[W]):
    """Feeds batches to one scorer, one after the other.

    Args:
        score: Answers every waiter of a batch, whatever happens; it must not raise.
        line: Who waits.
    """

    def __init__(
        self, score: Callable[[Sequence[W]], Awaitable[None]], line: Line[W], now_s: Stopwatch
    ) -> None:
        self._score = score
        self._line = line
        self._now_s = now_s
        self._arrived = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many wait for their batch."""
        return len(self._line)

    def submit(self, waiters: Sequence[W]) -> None:
        """Let all of them wait for their batch, or none.

        Raises:
            Overloaded: There is no room for all.
        """
        self._line.join(waiters)
        self._arrived.set()

    async def run(self) -> None:
        """Score until cancelled."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._line:
                batch = self._line.take(self._now_s())
                if batch:
                    await self._score(batch)

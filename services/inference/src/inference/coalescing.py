"""Coalescing: what arrives while a batch is scored makes up the next one. Nobody waits for a clock.

Callbacks and not a task: a turn of the loop less in each direction, see docs/adr/0005.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

from inference.domain.batching import Waiter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from inference.clocks import Stopwatch
    from inference.domain.batching import Line

W = TypeVar("W", bound=Waiter)


class Coalescer(Generic[W]):
    """Feeds batches to one scorer, one after the other.

    Args:
        begin: Begins to score a batch, and calls what it is given once every waiter of it is answered,
            whatever happened; it must not raise.
        line: Who waits.
    """

    def __init__(
        self, begin: Callable[[Sequence[W], Callable[[], None]], None], line: Line[W], now_s: Stopwatch
    ) -> None:
        self._begin = begin
        self._line = line
        self._now_s = now_s
        self._is_busy = False

    @property
    def waiting(self) -> int:
        """How many wait for their batch."""
        return len(self._line)

    def submit(self, waiters: Sequence[W]) -> None:
        """Let all of them wait for their batch, or none; where nothing is being scored it begins at once.

        Raises:
            Overloaded: There is no room for all.
        """
        self._line.join(waiters)
        if not self._is_busy:
            self._next()

    def _next(self) -> None:
        batch = self._line.take(self._now_s())
        self._is_busy = bool(batch)
        if batch:
            self._begin(batch, self._done)

    def _done(self) -> None:
        # The answers' tasks are in the loop's queue already: they go before the next batch.
        asyncio.get_running_loop().call_soon(self._next)

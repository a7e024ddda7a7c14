"""Coalescing: what arrives while a batch is scored, or while the loop is busy, makes up the next one.

Nobody waits for a clock: see `Gathering`. Callbacks and not a task, which saves a turn of the loop in each
direction: docs/adr/0005.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

from inference.clocks import processor_s
from inference.domain.batching import NoRoom, Waiter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from inference.clocks import Stopwatch
    from inference.domain.admission import Admission
    from inference.domain.batching import Line
    from inference.domain.gathering import Gathering

W = TypeVar("W", bound=Waiter)


class Coalescer(Generic[W]):
    """Feeds batches to one scorer, one after the other.

    Args:
        begin: Begins to score a batch, and calls what it is given once every waiter of it is answered,
            whatever happened; it must not raise.
        line: Who waits.
        admission: Who may.
        gathering: When a batch begins.
    """

    def __init__(
        self,
        begin: Callable[[Sequence[W], Callable[[], None]], None],
        line: Line[W],
        admission: Admission,
        gathering: Gathering,
        now_s: Stopwatch,
    ) -> None:
        self._begin = begin
        self._line = line
        self._admission = admission
        self._now_s = now_s
        self._batch: Sequence[W] = ()
        self._began_s = 0.0
        self._gathering = gathering
        self._is_gathering = False

    @property
    def waiting(self) -> int:
        """How many wait for their batch."""
        return len(self._line)

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits and nothing is scored."""
        return not self._batch and not self._line and not self._is_gathering

    def submit(self, waiters: Sequence[W]) -> None:
        """Let all of them wait for their batch, or none; it begins at once where nobody else is about.

        Raises:
            Overloaded: There is no room for all.
        """
        if self._batch or self._is_gathering:
            self._admission.check(len(self._line) + len(self._batch), len(waiters), self._now_s)
        elif len(waiters) == 1 and not self._gathering.is_crowded:
            # Alone: no line to stand in.
            self._start([one for one in waiters if one.is_wanted(self._now_s())])
            return
        try:
            self._line.join(waiters)
        except NoRoom as full:
            raise self._admission.refusal(str(full), len(waiters), self._now_s()) from full
        if not self._batch and not self._is_gathering:
            self._gather()

    def _gather(self) -> None:
        now_s = self._now_s()
        self._is_gathering = True
        if self._gathering.is_due(now_s):
            self._gathering.used(processor_s(), now_s)
        self._gathering.begin(now_s)
        asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        now_s = self._now_s()
        wait_s = self._gathering.wait_s(len(self._line), now_s)
        if wait_s is None:
            self._is_gathering = False
            self._start(self._line.take(now_s))
        elif wait_s:
            asyncio.get_running_loop().call_later(wait_s, self._turn)
        else:
            asyncio.get_running_loop().call_soon(self._turn)

    def _start(self, batch: Sequence[W]) -> None:
        self._batch = batch
        if batch:
            self._began_s = self._now_s()
            self._begin(batch, self._done)

    def _done(self) -> None:
        in_hand = len(self._line) + len(self._batch)
        # How long one alone takes says nothing of how many may be in hand.
        if in_hand > 1:
            now_s = self._now_s()
            self._admission.learn(
                answered=len(self._batch),
                took_s=now_s - self._began_s,
                latency_s=now_s - self._batch[0].received_at_s,
                in_hand=in_hand,
                now_s=now_s,
            )
        self._gathering.ended(in_hand)
        self._batch = ()
        # The answers' tasks are in the loop's queue already: they go before the next batch.
        self._gather()

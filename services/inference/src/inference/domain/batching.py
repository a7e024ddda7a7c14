"""Who waits, who goes next, who is turned away."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence


class Waiter(Protocol):
    """Something that waits for its batch."""

    @property
    def lane(self) -> str:
        """With whom it shares room and turns: its model."""

    @property
    def received_at_s(self) -> float:
        """When it came, on the stopwatch."""

    def is_wanted(self, now_s: float) -> bool:
        """Whether somebody still waits for the answer; says so to whoever does when time has run out."""


W = TypeVar("W", bound=Waiter)

_SHARE: Final = 4.0


class NoRoom(Exception):
    """The line does not take the newcomers; the message says who takes the room."""


class Line(Generic[W]):
    """A bounded line: first come, first served within a lane, lanes in turns.

    A lane may hold at most `share` times the room that is free, so that one alone gets four fifths of the
    line and leaves room for the others, however much is asked of it: dynamic thresholds, after Choudhury and
    Hahne, "Dynamic queue length thresholds for shared-memory packet switches" (1998).

    Args:
        limit: Most that may wait; more are turned away at once, so that latency is bounded by what is let in.
        batch: Most that go together.
        share: How much of the free room one lane may hold.
    """

    def __init__(self, *, limit: int, batch: int, share: float = _SHARE) -> None:
        self._limit = limit
        self._batch = batch
        self._share = share
        self._length = 0
        # In the order of their turns; a lane that is empty is not here.
        self._lanes: dict[str, deque[W]] = {}

    def another(self) -> Line[W]:
        """An empty line with the same bounds."""
        return Line(limit=self._limit, batch=self._batch, share=self._share)

    def __len__(self) -> int:
        return self._length

    def join(self, newcomers: Sequence[W]) -> None:
        """Let all of them in, or none.

        Raises:
            NoRoom: The line is full, or a lane of theirs has its share of it.
        """
        free = self._limit - self._length
        if len(newcomers) > free:
            raise NoRoom(f"{self._length} requests wait, the limit is {self._limit}")
        if self._length:
            self._check_shares(newcomers, free)
        for newcomer in newcomers:
            name = newcomer.lane
            if name not in self._lanes:
                self._lanes[name] = deque()
            self._lanes[name].append(newcomer)
        self._length += len(newcomers)

    def take(self, now_s: float) -> list[W]:
        """Take the next batch; those nobody waits for any more are dropped on the way."""
        batch: list[W] = []
        while self._lanes and len(batch) < self._batch:
            quantum = max(1, (self._batch - len(batch)) // len(self._lanes))
            for name in list(self._lanes):
                self._take_from(name, min(quantum, self._batch - len(batch)), batch, now_s)
        return batch

    def _check_shares(self, newcomers: Sequence[W], free: int) -> None:
        for name in {newcomer.lane for newcomer in newcomers} if len(newcomers) > 1 else {newcomers[0].lane}:
            held = len(self._lanes.get(name, ()))
            if held >= self._share * free:
                raise NoRoom(f"{held} requests of {name!r} wait, its share of the {self._limit} is used up")

    def _take_from(self, name: str, most: int, batch: list[W], now_s: float) -> None:
        # Taken out and put back behind the others: its next turn comes after theirs.
        lane = self._lanes.pop(name)
        until = len(batch) + most
        while lane and len(batch) < until:
            self._length -= 1
            waiter = lane.popleft()
            if waiter.is_wanted(now_s):
                batch.append(waiter)
        if lane:
            self._lanes[name] = lane

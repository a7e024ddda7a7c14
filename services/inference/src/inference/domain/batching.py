"""Who waits, who goes next, who is turned away."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from inference.domain.errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import Sequence


class Waiter(Protocol):
    """Something that waits for its batch."""

    def is_wanted(self, now_s: float) -> bool:
        """Whether somebody still waits for the answer; says so to whoever does when time has run out."""


W = TypeVar("W", bound=Waiter)


class Line(Generic[W]):
    """A bounded first-come, first-served line.

    Args:
        limit: Most that may wait; more are turned away at once, so that latency is bounded by what is let in.
        batch: Most that go together.
    """

    def __init__(self, *, limit: int, batch: int) -> None:
        self._limit = limit
        self._batch = batch
        self._waiting: deque[W] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def join(self, newcomers: Sequence[W]) -> None:
        """Let all of them in, or none.

        Raises:
            Overloaded: There is no room for all.
        """
        if len(self._waiting) + len(newcomers) > self._limit:
            raise Overloaded(len(self._waiting), self._limit)
        self._waiting.extend(newcomers)

    def take(self, now_s: float) -> list[W]:
        """Take the next batch; those nobody waits for any more are dropped on the way."""
        batch: list[W] = []
        while self._waiting and len(batch) < self._batch:
            waiter = self._waiting.popleft()
            if waiter.is_wanted(now_s):
                batch.append(waiter)
        return batch

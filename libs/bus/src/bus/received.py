"""What a handler is given, and what it may refuse."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bus.positions import Position

if TYPE_CHECKING:
    from bus.events import Event


# Not frozen for the same reason as `Event`.
@dataclass(slots=True, unsafe_hash=True)
class Received:
    """An event and where it came from."""

    topic: str
    partition: int
    offset: int
    event: Event

    @property
    def position(self) -> Position:
        """Where it is."""
        return Position(self.topic, self.partition, self.offset)


@dataclass(frozen=True, slots=True)
class Rejection:
    """A received event that has no effect but a dead letter.

    Attributes:
        reason: UPPER_SNAKE, of a small set, so that rejections can be counted by it.
        detail: A sentence: what was wrong and what to do.
    """

    received: Received
    reason: str
    detail: str


Handler = Callable[[Sequence[Received]], Awaitable[Sequence[Rejection] | None]]
"""Makes a batch's effects durable, then returns what it refused.

It is called again with the same events after a failure or a crash, so its effects must be idempotent.
"""

"""What the trigger needs of the world."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from bus.events import Event  # noqa: TC002 - read when what is kept is decoded

from retrain_trigger.domain.state import ModelState

if TYPE_CHECKING:
    from collections.abc import Sequence


class UnreadableFact(Exception):
    """An event is not what its topic promises.

    Attributes:
        reason: UPPER_SNAKE.
        detail: A sentence.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class UnreadableState(Exception):
    """What is kept of a model cannot be read: an older or a newer program wrote it."""


@dataclass(frozen=True, slots=True)
class Addressed:
    """An event on its way to a topic."""

    topic: str
    event: Event


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a model.

    Attributes:
        untold: What its last decision says, until it is told. It is kept in the same write as the decision:
            whoever finds it after a crash tells it, byte for byte.
    """

    state: ModelState = field(default_factory=ModelState)
    untold: tuple[Addressed, ...] = ()


class States(Protocol):
    """What is kept, by model; `adapters.faust.TableStates` and `adapters.memory.MemoryStates`."""

    def load(self, model: str) -> Kept:
        """Return what was saved last; the empty beginning for a model never seen.

        Raises:
            UnreadableState: It cannot be read.
        """

    async def save(self, model: str, kept: Kept) -> None:
        """Keep; it survives a crash once this returns.

        Raises:
            Unavailable: The store is away; nothing was kept, or it may have been.
        """


class Publish(Protocol):
    """Tells events; `bus.producer.Publisher` does."""

    async def publish_all(self, topic: str, events: Sequence[Event]) -> object:
        """Return when the broker has them all, in order.

        Raises:
            Unavailable: The broker is away.
        """

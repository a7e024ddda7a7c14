"""What `feature` needs of the outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from feature_store import EventBatch
    from feature_store.online import Application
    from feature_store.online.keepers import Positions

    from feature.domain.outcomes import Outcome


class Rows(Protocol):
    """The feature rows of every view."""

    async def apply(self, batch: EventBatch) -> Application:
        """Apply one source's events to the rows of its views; durable when it returns, and safe to repeat.

        Raises:
            bus.errors.Unavailable: the store is away.
        """
        ...


class SourceOffsets(Protocol):
    """The sources' topics, and how far a group has come in them."""

    async def begins(self) -> Positions:
        """Return the first offset that each partition still holds; where it holds nothing, the next one.

        Raises:
            bus.errors.Unavailable: the log is away.
        """
        ...

    async def ends(self) -> Positions:
        """Return where each partition ends; 0 where it holds nothing.

        Raises:
            bus.errors.Unavailable: the log is away.
        """
        ...

    async def commits(self, group: str) -> Positions:
        """Return what a group has committed.

        Raises:
            bus.errors.Unavailable: the log is away.
        """
        ...


class Outcomes(Protocol):
    """Where outcomes are told."""

    async def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Publish outcomes; they are in the log when it returns. An outcome told again is the same event.

        Raises:
            bus.errors.Unavailable: the log is away.
        """
        ...

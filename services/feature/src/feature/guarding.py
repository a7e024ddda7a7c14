"""Noticing that rows were lost or never made, and waiting until they are.

Rows are only ever added to. So a store that lost some, or a view whose first events have left the topics,
would be filled up with rows that say too little and look whole; until they are backfilled, no event is
applied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from bus.errors import Unavailable
from feature_store.online.epochs import Condition, lost
from feature_store.online.ports import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import structlog
    from feature_store.online.epochs import Epoch, Epochs

    from feature.metrics import Metrics

_COMMAND: Final = "tidemark features backfill"
_BACKFILL: Final = f"run `{_COMMAND}`, which fills them from the lake; events wait meanwhile"


class RowsNotWhole(Unavailable):
    """Rows were lost, were never made, or are being replaced: events wait."""


class Stream(Protocol):
    """How far this service's group has come, and what it could read."""

    async def has_committed(self) -> bool:
        """Return whether the group ever committed an offset.

        Raises:
            bus.errors.Unavailable: Kafka is away.
        """
        ...

    async def shortened(self) -> Sequence[str]:
        """Return the topics that no longer hold their first events.

        Raises:
            bus.errors.Unavailable: Kafka is away.
        """
        ...


class Guard:
    """Looks whether the rows are whole: at every batch, and at every beat.

    Args:
        epochs: The markers beside the rows.
        stream: A store without markers is new if the group never committed, and lost everything otherwise.
            Rows that are new begin with the topics, if these still hold everything.
        on_new_epoch: Called when rows were replaced: what was cached of them is void.
    """

    def __init__(
        self,
        epochs: Epochs,
        stream: Stream,
        on_new_epoch: Callable[[], None],
        metrics: Metrics,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._epochs = epochs
        self._stream = stream
        self._on_new_epoch = on_new_epoch
        self._metrics = metrics
        self._log = log
        self._epoch: str | None = None
        self._evicted: int | None = None
        self.not_whole_because: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the rows were whole at the last look."""
        return self._epoch is not None and self.not_whole_because is None

    async def check(self) -> None:
        """Return when the rows are whole.

        Raises:
            RowsNotWhole: They are not; the message says why and what to do.
            StoreUnavailable: The store is away.
            Unavailable: Kafka is away, and the store is unmarked.
        """
        epoch = await self._epochs.read()
        if epoch.condition is Condition.UNMARKED and self._epoch is None:
            epoch = await self._begun(epoch)
        if epoch.condition is not Condition.WHOLE:
            self._wait(_reason(epoch), is_lost=epoch.condition is not Condition.HELD)
        self._found_whole(epoch.detail)

    async def beat(self) -> None:
        """Look once, between batches too, and whether keys were evicted; failures are for `check` to tell."""
        try:
            await self.check()
            await self._check_evictions()
        except (Unavailable, StoreUnavailable):
            return

    async def _begun(self, unmarked: Epoch) -> Epoch:
        """Begin with the topics, where nothing was ever written and they hold everything."""
        if await self._stream.has_committed():
            return unmarked
        shortened = await self._stream.shortened()
        if shortened:
            topics = ", ".join(shortened)
            self._wait(f"feature rows were never made, and {topics} begins later than they do; {_BACKFILL}")
        await self._epochs.begin()
        return await self._epochs.read()

    async def _check_evictions(self) -> None:
        evicted = await self._epochs.evicted()
        if self._evicted is not None and evicted > self._evicted:
            # Marked, so that every process knows, and the next one that starts.
            await self._epochs.write(lost(f"Redis evicted {evicted - self._evicted} keys"))
        # A server that restarted counts anew.
        self._evicted = evicted

    def _wait(self, because: str, *, is_lost: bool = True) -> None:
        """Say why events wait.

        Raises:
            RowsNotWhole: always.
        """
        if because != self.not_whole_because:
            self._log.error("feature rows are not whole", reason=because, command=_COMMAND)
        self.not_whole_because = because
        self._metrics.rows_lost.set(float(is_lost))
        raise RowsNotWhole(because)

    def _found_whole(self, epoch: str) -> None:
        if self._epoch is not None and epoch != self._epoch:
            self._on_new_epoch()
        if self.not_whole_because is not None:
            self._log.info("feature rows are whole", epoch=epoch)
        self._epoch = epoch
        self.not_whole_because = None
        self._metrics.rows_lost.set(0)


def _reason(epoch: Epoch) -> str:
    if epoch.condition is Condition.HELD:
        return "a backfill is making feature rows; events wait until it is done"
    return f"feature rows were lost: {epoch.detail}; {_BACKFILL}"

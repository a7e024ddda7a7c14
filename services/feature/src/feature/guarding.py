"""Noticing that the store lost rows, and waiting until they are rebuilt.

Rows are only ever added to. So a store that lost some would be filled up with rows that say too little and
look whole; while rows are lost, no event is applied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bus.errors import Unavailable
from feature_store.online.epochs import Condition, lost
from feature_store.online.ports import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import structlog
    from feature_store.online.epochs import Epoch, Epochs

    from feature.metrics import Metrics

_REBUILD: Final = "run `tidemark features rebuild`, which fills them from the lake; events wait meanwhile"


class RowsNotWhole(Unavailable):
    """Rows were lost, or are being replaced: events wait."""


class Guard:
    """Looks whether the rows are whole: at every batch, and at every beat.

    Args:
        epochs: The markers beside the rows.
        has_committed: Whether this service's group ever committed an offset. A store without markers is new
            if it has not, and lost everything if it has.
        on_new_epoch: Called when rows were replaced: what was cached of them is void.
    """

    def __init__(
        self,
        epochs: Epochs,
        has_committed: Callable[[], Awaitable[bool]],
        on_new_epoch: Callable[[], None],
        metrics: Metrics,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._epochs = epochs
        self._has_committed = has_committed
        self._on_new_epoch = on_new_epoch
        self._metrics = metrics
        self._log = log
        self._epoch: str | None = None
        self._evicted: int | None = None
        self.not_whole_because: str | None = None

    async def check(self) -> None:
        """Return when the rows are whole.

        Raises:
            RowsNotWhole: They are not; the message says why and what to do.
            StoreUnavailable: The store is away.
            Unavailable: Kafka is away, and the store is unmarked.
        """
        epoch = await self._epochs.read()
        if epoch.condition is Condition.UNMARKED and self._epoch is None and not await self._has_committed():
            await self._epochs.begin()
            epoch = await self._epochs.read()
        if epoch.condition is not Condition.WHOLE:
            self._told(epoch)
            raise RowsNotWhole(self.not_whole_because or "")
        self._is_whole(epoch.detail)

    async def beat(self) -> None:
        """Look once, between batches too, and whether keys were evicted; failures are for `check` to tell."""
        try:
            await self.check()
            await self._check_evictions()
        except (Unavailable, StoreUnavailable):
            return

    async def _check_evictions(self) -> None:
        evicted = await self._epochs.evicted()
        if self._evicted is not None and evicted > self._evicted:
            # Marked, so that every process knows, and the next one that starts.
            await self._epochs.write(lost(f"Redis evicted {evicted - self._evicted} keys"))
        # A server that restarted counts anew.
        self._evicted = evicted

    def _told(self, epoch: Epoch) -> None:
        if epoch.condition is Condition.HELD:
            because = "a rebuild is replacing feature rows; events wait until it is done"
        else:
            because = f"feature rows were lost: {epoch.detail}; {_REBUILD}"
        if because != self.not_whole_because:
            self._log.error("feature rows are not whole", reason=because, command="tidemark features rebuild")
        self.not_whole_because = because
        self._metrics.rows_lost.set(float(epoch.condition is not Condition.HELD))

    def _is_whole(self, epoch: str) -> None:
        if self._epoch is not None and epoch != self._epoch:
            self._on_new_epoch()
        if self.not_whole_because is not None:
            self._log.info("feature rows are whole", epoch=epoch)
        self._epoch = epoch
        self.not_whole_because = None
        self._metrics.rows_lost.set(0)

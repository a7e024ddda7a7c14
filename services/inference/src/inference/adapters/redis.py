"""Feature rows from Redis, for a service that must answer whether Redis does or not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from feature_store.online.ports import ReadRows, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import structlog
    from feature_store.online.ports import RowReader

    from inference.domain.breaker import Breaker
    from inference.metrics import Metrics

    OnFailure = Callable[[Exception], None]
    Connect = Callable[[OnFailure], Awaitable[RowReader]]
    Sleep = Callable[[float], Awaitable[None]]

_PROBE_KEY: Final = b"tm:probe"


class GuardedRowReader:
    """A `RowReader` that gives up at once while the store is known to be away.

    The first requests after the store went away spend their deadline on it; then the breaker is open and
    nobody waits, until a probe in the background is answered. It also lets the service start without it.

    Args:
        connect: Gives the reader behind this one, which tells of its failures what it is given; raises
            `StoreUnavailable` while there is no server.
        probe_seconds: Between attempts to connect, and between probes.
    """

    def __init__(
        self,
        connect: Connect,
        breaker: Breaker,
        metrics: Metrics,
        log: structlog.stdlib.BoundLogger,
        *,
        probe_seconds: float = 0.25,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._connect = connect
        self._breaker = breaker
        self._metrics = metrics
        self._log = log
        self._probe_seconds = probe_seconds
        self._sleep = sleep
        self._reader: RowReader | None = None
        self._tripped = asyncio.Event()

    async def read(self, keys: Sequence[bytes]) -> ReadRows:
        """See `RowReader.read`."""
        if self._reader is None or self._breaker.is_open:
            return ReadRows([None] * len(keys), readable=False)
        return await self._ask(self._reader, keys)

    async def run(self) -> None:
        """Connect, and probe whenever the breaker is open, until cancelled."""
        reader = self._reader = await self._connected()
        while True:
            await self._tripped.wait()
            await self._sleep(self._probe_seconds)
            if (await self._ask(reader, (_PROBE_KEY,))).readable:
                self._tripped.clear()
                self._log.info("feature rows are readable again")

    async def _connected(self) -> RowReader:
        while True:
            try:
                return await self._connect(self._metrics.redis_failed)
            except StoreUnavailable as error:
                self._metrics.redis_failed(error)
                self._log.warning("feature rows are unreadable", reason=str(error))
            await self._sleep(self._probe_seconds)

    async def _ask(self, reader: RowReader, keys: Sequence[bytes]) -> ReadRows:
        read = await reader.read(keys)
        if read.readable:
            self._breaker.succeeded()
        else:
            self._breaker.failed()
            if self._breaker.is_open and not self._tripped.is_set():
                self._log.warning("feature rows are unreadable: features take their defaults")
                self._tripped.set()
        return read

"""Feature rows from Redis, for a service that must answer whether Redis does or not."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Final

from bus.errors import Unavailable
from feature_store.online.ports import ReadRows, StoreUnavailable
from feature_store.online.redis import RedisRowReader
from feature_store.online.redis import connect as connect_client
from feature_store.online.redis_keepers import RedisKeepers
from redis.asyncio import RedisCluster

from inference.adapters import resp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    import structlog
    from feature_store.online.keepers import Keeper
    from feature_store.online.ports import RowReader

    from inference.domain.breaker import Breaker
    from inference.metrics import Metrics
    from inference.ports import FeatureRows

    OnFailure = Callable[[Exception], None]
    Connect = Callable[[OnFailure], AbstractAsyncContextManager[FeatureRows]]
    OnRows = Callable[[ReadRows], None]
    Sleep = Callable[[float], Awaitable[None]]

_PROBE_KEYS: Final = (b"tm:probe",)
_CONNECT_SECONDS: Final = 2.0
_KEYS_AT_ONCE: Final = 2_000


class GuardedRows:
    """Feature rows that give up at once while the store is known to be away.

    The first requests after the store went away spend their deadline on it; then the breaker is open and
    nobody waits, until a fresh connection has answered a probe. It also lets the service start without it.

    Args:
        connect: Opens the rows behind these, which tell of their failures what it is given; raises
            `StoreUnavailable` while there is no server.
        retry_seconds: Between attempts to connect.
    """

    def __init__(
        self,
        connect: Connect,
        breaker: Breaker,
        metrics: Metrics,
        log: structlog.stdlib.BoundLogger,
        *,
        retry_seconds: float = 0.25,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._connect = connect
        self._breaker = breaker
        self._metrics = metrics
        self._log = log
        self._retry_seconds = retry_seconds
        self._sleep = sleep
        self._rows: FeatureRows | None = None
        self._tripped = asyncio.Event()
        self._tried = asyncio.Event()

    def request(self, keys: Sequence[bytes], on_rows: OnRows) -> None:
        """See `FeatureRows.request`."""
        if self._rows is None:
            unread = ReadRows([None] * len(keys), readable=False)
            asyncio.get_running_loop().call_soon(on_rows, unread)
            return

        def learn(read: ReadRows) -> None:
            self._learn(readable=read.readable)
            on_rows(read)

        self._rows.request(keys, learn)

    async def tried(self) -> None:
        """Return once it is known whether the store answers, so that a healthy start serves no defaults."""
        await self._tried.wait()

    async def run(self) -> None:
        """Connect, and connect again whenever the breaker opens, until cancelled."""
        while True:
            try:
                async with self._connect(self._metrics.redis_failed) as rows:
                    if await _answers(rows):
                        await self._use(rows)
            except StoreUnavailable as error:
                self._log.warning("feature rows are unreadable", reason=str(error))
                self._metrics.redis_failed(error)
            self._tried.set()
            await self._sleep(self._retry_seconds)

    async def _use(self, rows: FeatureRows) -> None:
        self._breaker.succeeded()
        self._tripped.clear()
        self._rows = rows
        self._tried.set()
        self._log.info("feature rows are readable")
        try:
            await self._tripped.wait()
        finally:
            self._rows = None
        self._log.warning("feature rows are unreadable: features take their defaults")

    def _learn(self, *, readable: bool) -> None:
        if readable:
            self._breaker.succeeded()
            return
        self._breaker.failed()
        if self._breaker.is_open:
            self._rows = None
            self._tripped.set()


class PatientRows:
    """See `inference.stream.handlers.AllRows`: rows that are unreadable are the caller's to wait for.

    Args:
        rows: Where they are asked for, a bounded number at a time.
    """

    def __init__(self, rows: FeatureRows) -> None:
        self._rows = rows

    async def read(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        """See `AllRows.read`."""
        parts = [keys[at : at + _KEYS_AT_ONCE] for at in range(0, len(keys), _KEYS_AT_ONCE)]
        return [row for part in parts for row in await self._read(part)]

    async def _read(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        reply: asyncio.Future[ReadRows] = asyncio.get_running_loop().create_future()
        self._rows.request(keys, reply.set_result)
        read = await reply
        if not read.readable:
            raise Unavailable("Redis does not give feature rows: is it up, and is REDIS_URL right?")
        return read.rows


class AwaitedRows:
    """`FeatureRows` from a `RowReader`: a task a read, which is right where a read is many round trips."""

    def __init__(self, reader: RowReader) -> None:
        self._reader = reader
        self._reading: set[asyncio.Future[ReadRows]] = set()

    def request(self, keys: Sequence[bytes], on_rows: OnRows) -> None:
        """See `FeatureRows.request`."""
        reading = asyncio.ensure_future(self._reader.read(keys))
        self._reading.add(reading)
        reading.add_done_callback(self._reading.discard)
        reading.add_done_callback(lambda read: on_rows(read.result()))


@asynccontextmanager
async def open_rows(url: str, deadline_s: float, on_failure: OnFailure) -> AsyncIterator[FeatureRows]:
    """Connect to the server at `url`, a node or a cluster's node, and read rows from it.

    Raises:
        StoreUnavailable: There is no server, or it does not take the connection.
    """
    client = await connect_client(url, timeout_s=_CONNECT_SECONDS)
    try:
        if isinstance(client, RedisCluster):
            yield AwaitedRows(RedisRowReader(client, deadline_s=deadline_s, on_failure=on_failure))
            return
    finally:
        await client.aclose()
    connection = await resp.connect(url, timeout_s=_CONNECT_SECONDS, deadline_s=deadline_s)
    try:
        yield resp.RespRows(connection, on_failure=on_failure)
    finally:
        connection.close()


async def who_keeps(url: str) -> Sequence[Keeper]:
    """Return who keeps rows in the server at `url`; nobody where it does not answer."""
    try:
        client = await connect_client(url, timeout_s=_CONNECT_SECONDS)
        try:
            return await RedisKeepers(client).all()
        finally:
            await client.aclose()
    except StoreUnavailable:
        return ()


async def _answers(rows: FeatureRows) -> bool:
    read: asyncio.Future[ReadRows] = asyncio.get_running_loop().create_future()
    rows.request(_PROBE_KEYS, read.set_result)
    return (await read).readable

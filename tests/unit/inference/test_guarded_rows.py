"""While the store is away nobody waits for it, and when it is back it is used again."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
import structlog
from feature_store.online import ReadRows, StoreUnavailable
from inference.adapters.redis import GuardedRows
from inference.domain.breaker import Breaker
from inference.metrics import Metrics
from inference.ports import FeatureRows
from prometheus_client import CollectorRegistry


class Store:
    """A store that is up or away, behind connections."""

    def __init__(self) -> None:
        self.is_up = True
        self.connections = 0
        self.asked: list[Sequence[bytes]] = []

    @asynccontextmanager
    async def connect(self, _on_failure: object) -> AsyncIterator[FeatureRows]:
        if not self.is_up:
            raise StoreUnavailable("away")
        self.connections += 1
        try:
            yield self
        finally:
            self.connections -= 1

    def request(self, keys: Sequence[bytes], on_rows: Callable[[ReadRows], None]) -> None:
        self.asked.append(keys)
        on_rows(ReadRows([b"row"] * len(keys), readable=self.is_up))


class Stage:
    def __init__(self) -> None:
        self.store = Store()
        self.retry = asyncio.Event()
        self.guarded = GuardedRows(
            self.store.connect,
            Breaker(failures_to_open=2),
            Metrics(CollectorRegistry()),
            structlog.get_logger(),
            sleep=self._sleep,
        )

    async def _sleep(self, _seconds: float) -> None:
        await self.retry.wait()
        self.retry.clear()

    async def read(self) -> bool:
        read: asyncio.Future[ReadRows] = asyncio.get_running_loop().create_future()
        self.guarded.request([b"a", b"b"], read.set_result)
        assert len((await read).rows) == 2
        return (await read).readable

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    running = asyncio.ensure_future(stage.guarded.run())
    yield stage
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert stage.store.connections == 0


async def test_before_the_first_connection_rows_are_unreadable() -> None:
    assert not await Stage().read()


async def test_once_connected_rows_are_readable(stage: Stage) -> None:
    await stage.guarded.tried()
    assert await stage.read()


async def test_a_store_that_is_away_at_the_start_is_used_when_it_comes(stage: Stage) -> None:
    stage.store.is_up = False
    await stage.guarded.tried()
    assert not await stage.read()
    stage.store.is_up = True
    stage.retry.set()
    await stage.settle()
    assert await stage.read()


async def test_after_failures_in_a_row_nobody_asks_any_more(stage: Stage) -> None:
    await stage.guarded.tried()
    stage.store.is_up = False
    stage.store.asked.clear()
    assert [await stage.read() for _ in range(10)] == [False] * 10
    assert len(stage.store.asked) == 2


async def test_a_single_failure_is_forgiven(stage: Stage) -> None:
    await stage.guarded.tried()
    for _ in range(5):
        stage.store.is_up = False
        assert not await stage.read()
        stage.store.is_up = True
        assert await stage.read()


async def test_a_store_that_came_back_is_used_over_a_fresh_connection(stage: Stage) -> None:
    await stage.guarded.tried()
    stage.store.is_up = False
    assert [await stage.read(), await stage.read()] == [False, False]
    await stage.settle()
    assert stage.store.connections == 0

    stage.store.is_up = True
    assert not await stage.read()
    stage.retry.set()
    await stage.settle()
    assert await stage.read()
    assert stage.store.connections == 1

"""Every kind of feature rows answers once, in the order of the keys."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from feature_store.online import MemoryFeatureRows, MemoryRowReader, ReadRows
from feature_store.online.redis import connect
from inference.adapters.redis import AwaitedRows, open_rows
from inference.ports import FeatureRows

PREFIX = f"test:{uuid.uuid4()}:".encode()
STORED = {PREFIX + bytes([number]): bytes([number, 0, 13, 10]) * 300 for number in range(200)}


@pytest.fixture
def memory_rows() -> FeatureRows:
    rows = MemoryFeatureRows()
    rows.stored.update(STORED)
    return AwaitedRows(MemoryRowReader(rows))


@pytest.fixture
async def node_rows(redis_url: str) -> AsyncIterator[FeatureRows]:
    async with _filled(redis_url), open_rows(redis_url, 10.0, pytest.fail) as rows:
        yield rows


@pytest.fixture
async def cluster_rows(redis_cluster_url: str) -> AsyncIterator[FeatureRows]:
    async with _filled(redis_cluster_url), open_rows(redis_cluster_url, 10.0, pytest.fail) as rows:
        yield rows


@pytest.fixture(
    params=[
        "memory_rows",
        pytest.param("node_rows", marks=pytest.mark.stack),
        pytest.param("cluster_rows", marks=pytest.mark.stack),
    ]
)
def rows(request: pytest.FixtureRequest) -> FeatureRows:
    found: FeatureRows = request.getfixturevalue(request.param)
    return found


async def test_rows_come_in_the_order_of_their_keys_and_missing_ones_are_none(rows: FeatureRows) -> None:
    keys = [*STORED][::-1]
    keys.insert(7, PREFIX + b"missing")
    read = await _read(rows, keys)
    assert read.readable
    assert list(read.rows) == [STORED.get(key) for key in keys]


async def test_no_keys_are_no_rows(rows: FeatureRows) -> None:
    read = await _read(rows, [])
    assert read.readable
    assert list(read.rows) == []


async def test_requests_in_flight_together_get_their_own_rows(rows: FeatureRows) -> None:
    reads = await asyncio.gather(*[_read(rows, [key]) for key in STORED])
    assert [list(read.rows) for read in reads] == [[row] for row in STORED.values()]


async def _read(rows: FeatureRows, keys: Sequence[bytes]) -> ReadRows:
    read: asyncio.Future[ReadRows] = asyncio.get_running_loop().create_future()
    rows.request(keys, read.set_result)
    return await read


@asynccontextmanager
async def _filled(url: str) -> AsyncIterator[None]:
    client = await connect(url)
    for key, row in STORED.items():
        await client.set(key, row)
    yield
    for key in STORED:
        await client.delete(key)
    await client.aclose()

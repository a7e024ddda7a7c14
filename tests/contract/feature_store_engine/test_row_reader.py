from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from feature_store.online import MemoryFeatureRows, MemoryRowReader, RowReader
from feature_store.online.redis import RedisFeatureRows, RedisRowReader
from feature_store.rows import row_key

if TYPE_CHECKING:
    from feature_store.online import FeatureRows
    from redis.asyncio import Redis, RedisCluster

DIGEST = bytes(32)


@pytest.fixture
def stores(client: Redis | RedisCluster | None) -> tuple[FeatureRows, RowReader]:
    if client is None:
        rows = MemoryFeatureRows()
        return rows, MemoryRowReader(rows)
    reader = RedisRowReader(client, deadline_s=5.0, on_failure=pytest.fail)
    return RedisFeatureRows(client), reader


async def test_rows_are_read_in_the_order_asked(stores: tuple[FeatureRows, RowReader], own: str) -> None:
    rows, reader = stores
    keys = [row_key(own, DIGEST, str(number)) for number in range(20)]
    await rows.replace(keys, [b""] * 20, [str(number).encode() for number in range(20)])
    read = await reader.read([*reversed(keys), row_key(own, DIGEST, "none")])
    assert read.readable
    assert list(read.rows) == [*(str(number).encode() for number in reversed(range(20))), None]


async def test_reading_nothing_succeeds(stores: tuple[FeatureRows, RowReader]) -> None:
    read = await stores[1].read([])
    assert read.readable
    assert list(read.rows) == []

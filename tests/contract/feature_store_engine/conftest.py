"""The stores that each suite of this folder runs over: memory, a Valkey, and a cluster of three."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from feature_store.online.redis import connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from redis.asyncio import Redis, RedisCluster

MEMORY = pytest.param(None, id="memory")
SINGLE = pytest.param("redis_url", id="valkey", marks=pytest.mark.stack)
CLUSTER = pytest.param("redis_cluster_url", id="valkey-cluster", marks=pytest.mark.stack)


@pytest.fixture(params=[MEMORY, SINGLE, CLUSTER])
def url(request: pytest.FixtureRequest) -> str | None:
    """The address of the store, or None for memory."""
    return None if request.param is None else request.getfixturevalue(request.param)


@pytest.fixture
async def client(url: str | None) -> AsyncIterator[Redis | RedisCluster | None]:
    """A client of the store, or None for memory."""
    if url is None:
        yield None
        return
    client = await connect(url)
    yield client
    await client.aclose()


@pytest.fixture
def own() -> str:
    """A name that no other test uses."""
    return uuid4().hex

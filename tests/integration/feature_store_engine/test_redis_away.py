"""What the adapters say when the server is killed, frozen, or not there."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from feature_store.online import Claim, StoreUnavailable
from feature_store.online.claims import digest
from feature_store.online.redis import RedisClaims, RedisFeatureRows, RedisRowReader, connect
from local_stack import ValkeyOptions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from local_stack import LocalStack

pytestmark = pytest.mark.stack

KEY = b"tm:f:view:entity"


@pytest.fixture(params=[1, 3], ids=["valkey", "valkey-cluster"])
def nodes(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
async def stack(own_stack: Callable[..., Awaitable[LocalStack]], nodes: int) -> LocalStack:
    return await own_stack(kafka=None, valkey=ValkeyOptions(nodes=nodes))


async def test_while_the_server_is_gone_everything_is_unavailable_and_afterwards_it_works_again(
    stack: LocalStack,
) -> None:
    client = await connect(stack.redis_url, timeout_s=1.0)
    rows, claims = RedisFeatureRows(client), RedisClaims(client)
    await rows.replace([KEY], [b""], [b"row"])
    for node in stack.valkey.nodes:
        node.kill()
    with pytest.raises(StoreUnavailable, match="is Redis up"):
        await rows.read([KEY])
    with pytest.raises(StoreUnavailable):
        await rows.replace([KEY], [b""], [b"row"])
    with pytest.raises(StoreUnavailable):
        await claims.claim([Claim("t", 0, 0, 0, [digest("a")], [0])])
    for node in stack.valkey.nodes:
        await node.start()
    assert await read_when_up(rows) == [b"row"]
    await client.aclose()


async def read_when_up(rows: RedisFeatureRows) -> list[bytes | None]:
    """Nodes that came back take a moment to find each other."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await rows.read([KEY])
            except StoreUnavailable:
                await asyncio.sleep(0.05)


async def test_a_reader_gives_up_on_a_frozen_server_at_its_deadline_and_reads_again_when_it_thaws(
    stack: LocalStack,
) -> None:
    client = await connect(stack.redis_url)
    await RedisFeatureRows(client).replace([KEY], [b""], [b"row"])
    failures: list[Exception] = []
    reader = RedisRowReader(client, deadline_s=0.05, on_failure=failures.append)
    assert (await reader.read([KEY])).rows == [b"row"]
    for node in stack.valkey.nodes:
        node.pause()
    start = time.monotonic()
    read = await reader.read([KEY, KEY])
    waited_s = time.monotonic() - start
    for node in stack.valkey.nodes:
        node.resume()
    assert (read.readable, list(read.rows)) == (False, [None, None])
    assert [type(failure) for failure in failures] == [TimeoutError]
    assert waited_s < 1.0
    reader.deadline_s = 5.0
    assert (await reader.read([KEY])).rows == [b"row"]
    await client.aclose()


async def test_connecting_to_nothing_says_what_to_look_at() -> None:
    with pytest.raises(StoreUnavailable, match="is Redis up and REDIS_URL right"):
        await connect("redis://127.0.0.1:1", timeout_s=1.0)

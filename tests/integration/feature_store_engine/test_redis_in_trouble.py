"""What the store does on a server that is full, read-only, evicting, in parts, or a replica."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from feature_store import Count, Entity, FeatureView, Incoming, Json, Source, decode_events
from feature_store.online import Applier, MemoryClaims, MemoryFeatureRows, StoreUnavailable
from feature_store.online.epochs import Condition
from feature_store.online.redis import RedisClaims, RedisFeatureRows, RedisRowReader, connect
from feature_store.online.redis_backfill import RedisEpochs
from feature_store.rows import row_key
from local_stack import LocalStack, ValkeyOptions
from redis.asyncio import Redis

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from feature_store import EventBatch

    StartStack = Callable[..., Awaitable[LocalStack]]

pytestmark = pytest.mark.stack

clicks = Source("clicks", format=Json({"user": "text"}), event_time=None, partitions=2)


class UserClicks(FeatureView):
    source, entity = clicks, Entity("user")
    clicks_24h = Count(window="24h", tiles=24)


def events(first: int, count: int) -> EventBatch:
    numbers = range(first, first + count)
    batch, _ = decode_events(
        clicks,
        Incoming(
            values=[b'{"user": "u%d"}' % (number % 300) for number in numbers],
            ids=[str(number) for number in numbers],
            keys=[b""] * count,
            event_time_us=[number * 1_000_000 for number in numbers],
            recorded_time_us=[number * 1_000_000 for number in numbers],
            partitions=[0] * count,
            offsets=list(numbers),
        ),
    )
    return batch


async def expected(count: int) -> dict[bytes, bytes]:
    rows = MemoryFeatureRows()
    await Applier([UserClicks.view], rows, MemoryClaims()).apply(events(0, count))
    return {key: row[:16] + row[24:] for key, row in rows.stored.items()}


async def assert_holds(client: Any, count: int) -> None:
    wanted = await expected(count)
    rows = await RedisFeatureRows(client).read(list(wanted))
    assert [row and row[:16] + row[24:] for row in rows] == list(wanted.values())


def applier(client: Any) -> Applier:
    return Applier([UserClicks.view], RedisFeatureRows(client), RedisClaims(client))


async def limit_memory(stack: LocalStack, policy: str, at_bytes: int) -> None:
    async with Redis.from_url(stack.redis_url) as plain:
        await plain.config_set("maxmemory-policy", policy)
        await plain.config_set("maxmemory", at_bytes)


async def test_a_full_server_is_said_to_be_full_and_nothing_is_lost_once_there_is_room(
    own_stack: StartStack,
) -> None:
    stack = await own_stack(kafka=None)
    client = await connect(stack.redis_url)
    writer = applier(client)
    await writer.apply(events(0, 200))
    await limit_memory(stack, "noeviction", (await client.info("memory"))["used_memory"])
    with pytest.raises(StoreUnavailable, match="is full: raise maxmemory"):
        await writer.apply(events(200, 400))
    await limit_memory(stack, "noeviction", 0)
    await writer.apply(events(200, 400))
    await assert_holds(client, 600)
    await client.aclose()


async def test_a_replica_is_said_to_take_no_writes_and_can_be_read(own_stack: StartStack) -> None:
    primary = await own_stack(kafka=None, valkey=ValkeyOptions(settings={"repl-diskless-sync-delay": "0"}))
    host, port = primary.valkey.nodes[0].address.split(":")
    replica = await own_stack(kafka=None, valkey=ValkeyOptions(settings={"replicaof": f"{host} {port}"}))
    writing, reading = await connect(primary.redis_url), await connect(replica.redis_url)
    await applier(writing).apply(events(0, 200))
    async with asyncio.timeout(30):
        while not await writing.execute_command("WAIT", 1, 500):
            pass
    await assert_holds(reading, 200)
    with pytest.raises(StoreUnavailable, match="is a replica, which takes no writes: set REDIS_URL"):
        await applier(reading).apply(events(200, 10))
    for client in (writing, reading):
        await client.aclose()


async def test_evictions_are_counted_and_a_flush_takes_the_marker(own_stack: StartStack) -> None:
    stack = await own_stack(kafka=None)
    client = await connect(stack.redis_url)
    epochs = RedisEpochs(client, "clicks")
    assert (await epochs.read()).condition is Condition.UNMARKED
    await epochs.begin()
    assert (await epochs.read()).condition is Condition.WHOLE
    assert await epochs.evicted() == 0
    used_bytes = (await client.info("memory"))["used_memory"]
    await limit_memory(stack, "allkeys-random", used_bytes + 50_000)
    for number in range(400):
        await client.set(f"other:{number}", b"x" * 1_000)
    assert await epochs.evicted() > 0
    await limit_memory(stack, "allkeys-random", 0)
    await client.flushall()
    assert (await epochs.read()).condition is Condition.UNMARKED
    await client.aclose()


async def test_a_server_that_restarted_empty_has_no_marker(own_stack: StartStack) -> None:
    stack = await own_stack(kafka=None, valkey=ValkeyOptions(durable=False))
    client = await connect(stack.redis_url, timeout_s=1.0)
    epochs = RedisEpochs(client, "clicks")
    await epochs.begin()
    (valkey,) = stack.valkey.nodes
    valkey.kill()
    with pytest.raises(StoreUnavailable, match="is Redis up"):
        await epochs.read()
    await valkey.start()
    assert (await epochs.read()).condition is Condition.UNMARKED
    await client.aclose()


@pytest.fixture
async def cluster(own_stack: StartStack) -> LocalStack:
    return await own_stack(kafka=None, valkey=ValkeyOptions(nodes=3))


async def test_rows_lie_on_every_node_and_are_read_together(cluster: LocalStack) -> None:
    client = await connect(cluster.redis_url, read_from_replicas=True)
    await applier(client).apply(events(0, 600))
    for node in cluster.valkey.nodes:
        async with Redis.from_url(f"redis://{node.address}") as alone:
            assert 50 < await alone.dbsize() < 250
    reader = RedisRowReader(client, deadline_s=5.0, on_failure=lambda error: pytest.fail(repr(error)))
    keys = [row_key("user_clicks", UserClicks.view.digest, f"u{number}") for number in range(300)]
    read = await reader.read([*keys, b"none", keys[0]])
    assert read.readable
    assert list(read.rows) == [*(await RedisFeatureRows(client).read(keys)), None, read.rows[0]]
    await assert_holds(client, 600)
    await client.aclose()


async def test_a_node_that_died_and_came_back_costs_no_event(cluster: LocalStack) -> None:
    client = await connect(cluster.redis_url, timeout_s=1.0)
    writer = applier(client)
    await writer.apply(events(0, 300))
    cluster.valkey.nodes[1].kill()
    with pytest.raises(StoreUnavailable):
        await writer.apply(events(300, 300))
    await cluster.valkey.nodes[1].start()
    async with asyncio.timeout(30):
        while True:
            try:
                await writer.apply(events(300, 300))
            except StoreUnavailable:
                await asyncio.sleep(0.05)
            else:
                break
    await assert_holds(client, 600)
    await client.aclose()


async def test_a_node_that_lost_its_rows_takes_its_markers_along(cluster: LocalStack) -> None:
    client = await connect(cluster.redis_url)
    epochs = RedisEpochs(client, "clicks")
    await epochs.begin()
    for node in cluster.valkey.nodes:
        await epochs.write(b"again")
        assert (await epochs.read()).condition is Condition.WHOLE
        async with Redis.from_url(f"redis://{node.address}") as alone:
            await alone.flushall()
        found = await epochs.read()
        assert found.condition is Condition.LOST
        assert "markers are gone" in found.detail
    assert np.isfinite(await epochs.evicted())
    await client.aclose()

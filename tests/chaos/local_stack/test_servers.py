"""Servers that are stopped, killed and frozen, and come back with what they had."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from local_stack import LocalStack, Server, StackError, ValkeyOptions
from local_stack.ports import HOST
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import TimeoutError as RedisTimeoutError

pytestmark = pytest.mark.stack

StartStack = Callable[..., Awaitable[LocalStack]]
LETTERS = TopicPartition("letters", 0)


async def create_topic(bootstrap: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(LETTERS.topic, num_partitions=1, replication_factor=1)])
    await admin.close()


async def append(bootstrap: str, *values: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True) as producer:
        for value in values:
            await producer.send_and_wait(LETTERS.topic, value)


async def read_all(bootstrap: str) -> list[bytes]:
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        consumer.assign([LETTERS])
        end = (await consumer.end_offsets([LETTERS]))[LETTERS]
        values: list[bytes] = []
        while await consumer.position(LETTERS) < end:
            batches = await consumer.getmany(LETTERS, timeout_ms=1000)
            values += [record.value for records in batches.values() for record in records]
        return values


@asynccontextmanager
async def client_of(node: Server) -> AsyncIterator[Any]:
    host, _, port = node.address.partition(":")
    client = Redis(
        host=host, port=int(port), decode_responses=True, socket_timeout=0.3, retry=Retry(NoBackoff(), 0)
    )
    try:
        yield client
    finally:
        await client.aclose()


async def test_kafka_keeps_its_records_and_its_port_when_it_is_stopped_and_when_it_is_killed(
    own_stack: StartStack,
) -> None:
    stack = await own_stack(valkey=None)
    bootstrap = stack.kafka_bootstrap
    await create_topic(bootstrap)
    await append(bootstrap, b"a", b"b")

    stack.kafka.kill()
    assert stack.kafka.pid is None
    await stack.kafka.start()
    assert stack.kafka_bootstrap == bootstrap
    await append(bootstrap, b"c")

    await stack.kafka.stop()
    await stack.kafka.start()
    assert stack.kafka_bootstrap == bootstrap
    assert await read_all(bootstrap) == [b"a", b"b", b"c"]


async def test_a_killed_valkey_has_lost_nothing_that_it_answered(own_stack: StartStack) -> None:
    stack = await own_stack(kafka=None)
    (node,) = stack.valkey.nodes
    async with client_of(node) as client:
        for number in range(500):
            await client.set(f"key-{number}", number)
    stack.valkey.kill()
    await stack.valkey.start()
    async with client_of(node) as client:
        assert await client.dbsize() == 500


async def test_a_stopped_stack_starts_again_on_its_data_and_its_port(own_stack: StartStack) -> None:
    stack = await own_stack(kafka=None)
    url = stack.redis_url
    async with client_of(stack.valkey.nodes[0]) as client:
        await client.set("key", "value")
    await stack.stop()

    again = await own_stack(kafka=None, folder=stack.folder)

    assert again.redis_url == url
    async with client_of(again.valkey.nodes[0]) as client:
        assert await client.get("key") == "value"


async def test_a_paused_server_answers_nobody_until_it_is_resumed(own_stack: StartStack) -> None:
    stack = await own_stack(kafka=None)
    async with client_of(stack.valkey.nodes[0]) as client:
        await client.set("key", "value")
        stack.valkey.pause()
        with pytest.raises(RedisTimeoutError):
            await client.get("key")
        stack.valkey.resume()
        assert await client.get("key") == "value"


async def test_a_server_that_does_not_run_can_not_be_paused(own_stack: StartStack) -> None:
    stack = await own_stack(kafka=None)
    stack.valkey.kill()
    with pytest.raises(StackError, match="valkey does not run; start it first"):
        stack.valkey.pause()


async def test_the_other_nodes_of_a_cluster_answer_while_one_is_dead(own_stack: StartStack) -> None:
    stack = await own_stack(kafka=None, valkey=ValkeyOptions(nodes=3))
    keys = [f"key-{number}" for number in range(30)]
    async with RedisCluster.from_url(stack.redis_url, decode_responses=True) as cluster:
        await cluster.mset_nonatomic(dict.fromkeys(keys, "value"))
        keys_by_port = {node.port: key for key in keys if (node := cluster.get_node_from_key(key))}
    dead, alive = stack.valkey.nodes[1], stack.valkey.nodes[2]

    dead.kill()
    async with client_of(alive) as client:
        assert await client.get(keys_by_port[alive.ports[0]]) == "value"

    await stack.valkey.start()
    async with RedisCluster.from_url(stack.redis_url, decode_responses=True) as cluster:
        assert await cluster.mget_nonatomic(keys) == ["value"] * len(keys)


async def test_a_cluster_whose_port_was_taken_meanwhile_comes_back_on_others(own_stack: StartStack) -> None:
    stack = await own_stack(kafka=None, valkey=ValkeyOptions(nodes=3))
    async with RedisCluster.from_url(stack.redis_url, decode_responses=True) as cluster:
        await cluster.mset_nonatomic({f"key-{number}": number for number in range(30)})
    ports = [node.ports[0] for node in stack.valkey.nodes]
    await stack.valkey.stop()

    with socket.create_server((HOST, ports[0])):
        await stack.valkey.start()

    assert [node.ports[0] == port for node, port in zip(stack.valkey.nodes, ports, strict=True)] == [
        False,
        True,
        True,
    ]
    async with RedisCluster.from_url(stack.redis_url, decode_responses=True) as cluster:
        assert await cluster.mget_nonatomic([f"key-{number}" for number in range(30)]) == [
            str(number) for number in range(30)
        ]

"""The fixtures that every other integration test stands on."""

import uuid

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster

pytestmark = pytest.mark.stack


async def test_a_record_comes_back_from_the_broker(kafka_bootstrap: str) -> None:
    topic = f"fixtures-{uuid.uuid4()}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=kafka_bootstrap, enable_idempotence=True) as producer:
        await producer.send_and_wait(topic, b"value")
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=kafka_bootstrap, group_id=topic, auto_offset_reset="earliest"
    ) as consumer:
        assert (await consumer.getone()).value == b"value"


async def test_a_value_comes_back_from_the_single_node(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        key = f"fixtures:{uuid.uuid4()}"
        await client.set(key, b"value")
        assert await client.get(key) == b"value"


async def test_a_cluster_reads_many_slots_at_once_and_runs_single_key_scripts(redis_cluster_url: str) -> None:
    async with RedisCluster.from_url(redis_cluster_url) as client:
        values = {f"fixtures:{index}": str(index).encode() for index in range(100)}
        await client.mset_nonatomic(values)
        assert await client.mget_nonatomic(list(values)) == list(values.values())
        doubled = await client.eval("return redis.call('GET', KEYS[1]) * 2", 1, "fixtures:21")
        assert doubled == 42
        assert len({node.name for key in values if (node := client.get_node_from_key(key))}) == 3

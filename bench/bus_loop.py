"""Consume, handle, produce in one process: through the bus, and bare with the same client.

Both read the same records with their envelopes in batches of the same size, write them with the same headers
to a topic of as many partitions, wait until the broker has them, and commit.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from bus.producer import KafkaPublisher
from bus.runner import ConsumerRunner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bus.received import Received

BATCH = 2_000


async def loop_rate(bootstrap: str, source: str, target: str, events: int) -> float:
    """Return the events a second of a runner whose handler publishes what it is given."""
    stop, seen, start = asyncio.Event(), 0, 0.0
    async with KafkaPublisher(bootstrap, client_id="loop", linger_ms=5) as publisher:

        async def handler(batch: Sequence[Received]) -> None:
            nonlocal seen, start
            start = start or time.perf_counter()
            await publisher.publish_all(target, [one.event for one in batch])
            seen += len(batch)
            if seen >= events:
                stop.set()

        runner = ConsumerRunner(
            bootstrap=bootstrap,
            group=f"loop-{time.time_ns()}",
            topics=[source],
            handler=handler,
            publisher=publisher,
            service="bench",
        )
        await runner.run(stop)
    return seen / (time.perf_counter() - start)


async def bare_loop_rate(bootstrap: str, source: str, target: str, events: int) -> float:
    """Return the events a second of the same with nothing but the client."""
    consumer = AIOKafkaConsumer(
        source,
        bootstrap_servers=bootstrap,
        group_id=f"bare-{time.time_ns()}",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
        fetch_max_wait_ms=50,
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        enable_idempotence=True,
        acks="all",
        linger_ms=5,
        compression_type="lz4",
        max_batch_size=128 * 1024,
    )
    seen, start = 0, 0.0
    async with consumer, producer:
        while seen < events:
            fetched = await consumer.getmany(timeout_ms=1_000, max_records=BATCH)
            start = start or time.perf_counter()
            sent = [
                await producer.send(target, one.value, key=one.key, headers=list(one.headers))
                for records in fetched.values()
                for one in records
            ]
            await asyncio.gather(*sent)
            await consumer.commit()
            seen += len(sent)
        return seen / (time.perf_counter() - start)

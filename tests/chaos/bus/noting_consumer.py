"""A consumer process for tests: its effect is a line a record in a file, durable when the handler returns."""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bus.producer import KafkaPublisher
from bus.received import Received
from bus.runner import Batching, ConsumerRunner, Membership
from service_kit import Service, Settings, run


async def consume(service: Service, topic: str, effects: Path) -> None:
    settings = Settings()
    with effects.open("a") as file:

        async def note(batch: Sequence[Received]) -> None:
            for one in batch:
                file.write(f"{one.event.id}\n")
                file.flush()
                # Slow enough for a test to catch it in the middle of a batch.
                await asyncio.sleep(0.002)
            os.fsync(file.fileno())

        async with KafkaPublisher(settings.kafka_bootstrap_servers, client_id="noting") as publisher:
            runner = ConsumerRunner(
                bootstrap=settings.kafka_bootstrap_servers,
                group=topic,
                topics=[topic],
                handler=note,
                publisher=publisher,
                service="noting",
                batching=Batching(max_records=50),
                membership=Membership(session_timeout_ms=6_000, heartbeat_ms=200),
            )
            service.health.watch("runner", lambda: runner.not_ready_because)
            await runner.run(service.stop)


if __name__ == "__main__":
    run("noting", Settings(), lambda service: consume(service, sys.argv[1], Path(sys.argv[2])))

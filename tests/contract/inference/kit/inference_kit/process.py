"""The Python plane as it is deployed: a process, a real Kafka, a real Valkey."""

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import grpc
from bus.events import Event, from_record
from bus.kafka.tail import KafkaTail
from bus.producer import KafkaPublisher
from bus.topics import CATALOGUE, PREDICTIONS_MADE, ROUTES_CHANGED, ensure_topics
from feature_store.online import Applier
from feature_store.online.redis import RedisClaims, RedisFeatureRows, connect
from local_stack import LocalStack

from inference_kit.stock import PROJECT, Stock

KIT = Path(__file__).parents[1]
SAYS_PORT = re.compile(r'"grpc_port": (\d+)')
SAYS_METRICS_PORT = re.compile(r'"metrics_port": (\d+)')
SETTLED_SECONDS = 0.5


@dataclass
class Process:
    """`python -m inference` with a log that can be read; killed and started again as a test likes."""

    log: Path
    environment: Mapping[str, str]
    arguments: tuple[str, ...] = ()
    _running: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _begins: int = field(default=0, init=False)

    def start(self) -> None:
        """Start it."""
        self._begins = len(self.output())
        with self.log.open("ab") as output:
            self._running = subprocess.Popen(
                [sys.executable, "-m", "inference", *self.arguments],
                env={**os.environ, **self.environment},
                stdout=output,
                stderr=output,
            )

    @property
    def pid(self) -> int:
        """Its number, while it runs."""
        assert self._running is not None
        return self._running.pid

    async def address(self) -> str:
        """Where it listens, once it says so."""
        return f"127.0.0.1:{(await self.says(SAYS_PORT))[1]}"

    async def page(self, name: str) -> str:
        """What it answers on its own port: metrics, readyz, healthz."""
        port = (await self.says(SAYS_METRICS_PORT))[1]
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}/{name}") as answer,
        ):
            return await answer.text()

    async def says(self, pattern: re.Pattern[str], within_seconds: float = 60) -> re.Match[str]:
        """Return when something stands in the log that this start has written."""
        async with asyncio.timeout(within_seconds):
            while not (found := pattern.search(self.output(), self._begins)):
                code = None if self._running is None else self._running.poll()
                if code is not None:
                    raise RuntimeError(f"it ended with {code}: {self.output()[self._begins :]}")
                await asyncio.sleep(0.02)
        return found

    def output(self) -> str:
        """All it has logged."""
        return self.log.read_text() if self.log.exists() else ""

    async def ended(self) -> int:
        """Return its exit code once it has ended by itself."""
        assert self._running is not None
        return await asyncio.to_thread(self._running.wait, 60)

    def kill(self) -> None:
        """End it as a crash would."""
        if self._running is not None:
            self._running.kill()
            self._running.wait()

    def terminate(self) -> None:
        """Ask it to end, as a deployment would; `ended` waits for it."""
        assert self._running is not None
        self._running.terminate()

    def stop(self) -> int | None:
        """End it as a deployment would; gives its exit code."""
        if self._running is None:
            return None
        self._running.terminate()
        return self._running.wait(30)


@dataclass
class ProcessPlane:
    """See `inference_kit.planes.DataPlane`."""

    stock: Stock
    channel: grpc.aio.Channel
    stack: LocalStack
    process: Process
    _publisher: KafkaPublisher
    _applier: Applier

    async def publish_route(self, event: Event) -> None:
        """See `DataPlane`."""
        await self._publisher.publish(ROUTES_CHANGED.name, event)

    async def apply(self, orders: Sequence[dict[str, Any]]) -> None:
        """See `DataPlane`."""
        await self.stock.apply(self._applier, orders)

    async def predictions(self) -> list[Event]:
        """See `DataPlane`: what is there once nothing has come for a while."""
        return await read_all(self.stack.kafka_bootstrap, PREDICTIONS_MADE.name)


async def read_all(bootstrap: str, topic: str) -> list[Event]:
    """Read a topic until nothing has come for a while."""
    tail = KafkaTail(bootstrap, topic, client_id="test")
    await tail.open({})
    events: list[Event] = []
    heard_s = time.monotonic()
    try:
        while time.monotonic() - heard_s < SETTLED_SECONDS:
            for record in await tail.poll(100):
                events.append(
                    from_record(record.key, record.value, record.headers, timestamp_ms=record.timestamp)
                )
                heard_s = time.monotonic()
    finally:
        await tail.close()
    return events


def environment_of(stack: LocalStack, stock: Stock) -> dict[str, str]:
    """What a process needs to know to serve the shop."""
    return {
        **stack.environment(),
        "PYTHONPATH": str(KIT),
        "TIDEMARK_PROJECT": PROJECT,
        "PACKAGES_URI": str(stock.packages),
        "GRPC_HOST": "127.0.0.1",
        "GRPC_PORT": "0",
        "LOG_FORMAT": "json",
        # Machines that run many tests at once stall for longer than production's 20 ms.
        "REDIS_DEADLINE_MS": "2000",
        "RETRY_REFUSED_SECONDS": "0.1",
        "DRAIN_SECONDS": "0",
    }


@asynccontextmanager
async def process_plane(folder: Path, stack: LocalStack, **settings: str) -> AsyncIterator[ProcessPlane]:
    """Start it on a stack that is its own: the topics' names are fixed."""
    stock = Stock(folder)
    process = Process(folder / "inference.log", {**environment_of(stack, stock), **settings})
    await ensure_topics(stack.kafka_bootstrap, CATALOGUE)
    client = await connect(stack.redis_url)
    process.start()
    try:
        async with (
            KafkaPublisher(stack.kafka_bootstrap, client_id="test") as publisher,
            grpc.aio.insecure_channel(await process.address()) as channel,
        ):
            applier = Applier(stock.project.views.values(), RedisFeatureRows(client), RedisClaims(client))
            yield ProcessPlane(stock, channel, stack, process, publisher, applier)
    finally:
        process.stop()
        await client.aclose()

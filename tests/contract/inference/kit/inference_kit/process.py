"""A plane as it is deployed: a process (ours, or TIDEMARK_PLANE's), a real Kafka, a real Valkey."""

import asyncio
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import grpc
from bus.events import Event, from_record
from bus.kafka.tail import KafkaTail
from bus.producer import KafkaPublisher
from bus.topics import CATALOGUE, PREDICTIONS_MADE, ROUTES_CHANGED, ROUTES_FOLLOWED, ensure_topics
from feature_store.online import Applier
from feature_store.online.redis import RedisClaims, RedisFeatureRows, connect
from local_stack import LocalStack
from local_stack.ports import choose
from tidemark.registry.v1.route_pb2 import RouteChanged

from inference_kit.planes import taken_up
from inference_kit.stock import PROJECT, Stock

KIT = Path(__file__).parents[1]
FOREIGN = tuple(shlex.split(os.environ.get("TIDEMARK_PLANE", "")))
"""The command line of the plane under test, where it is not ours."""
COMMAND = FOREIGN or (sys.executable, "-m", "inference")
SAYS_PORT = re.compile(r'"grpc_port": (\d+)')
SAYS_METRICS_PORT = re.compile(r'"metrics_port": (\d+)')
SETTLED_SECONDS = 0.5


@dataclass
class Process:
    """A plane with a log that can be read; killed and started again as a test likes.

    Another service is run where `module` names it.
    """

    log: Path
    environment: Mapping[str, str]
    arguments: tuple[str, ...] = ()
    module: str = ""
    _running: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _begins: int = field(default=0, init=False)

    def start(self) -> None:
        """Start it."""
        self._begins = len(self.output())
        command = (sys.executable, "-m", self.module) if self.module else COMMAND
        with self.log.open("ab") as output:
            self._running = subprocess.Popen(
                [*command, *self.arguments],
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
        """Where it listens, once it does; of port 0, once it says so."""
        port = int(self.environment["GRPC_PORT"])
        if not port:
            return f"127.0.0.1:{(await self.says(SAYS_PORT))[1]}"
        async with asyncio.timeout(60):
            while not await _takes_connections(port):
                self._demand_alive()
                await asyncio.sleep(0.02)
        return f"127.0.0.1:{port}"

    async def page(self, name: str) -> str:
        """What it answers on its own port: metrics, readyz, healthz."""
        port = int(self.environment.get("METRICS_PORT", 0)) or (await self.says(SAYS_METRICS_PORT))[1]
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}/{name}") as answer,
        ):
            return await answer.text()

    async def is_ready(self, within_seconds: float = 60) -> None:
        """Return once it says on its own port that it is ready."""
        async with asyncio.timeout(within_seconds):
            while True:
                self._demand_alive()
                with suppress(aiohttp.ClientConnectionError):
                    if '"ready": true' in await self.page("readyz"):
                        return
                await asyncio.sleep(0.02)

    async def says(self, pattern: re.Pattern[str], within_seconds: float = 60) -> re.Match[str]:
        """Return when something stands in the log that this start has written."""
        async with asyncio.timeout(within_seconds):
            while not (found := pattern.search(self.output(), self._begins)):
                self._demand_alive()
                await asyncio.sleep(0.02)
        return found

    def _demand_alive(self) -> None:
        code = None if self._running is None else self._running.poll()
        if code is not None:
            raise RuntimeError(f"it ended with {code}: {self.output()[self._begins :]}")

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
    address: str
    stack: LocalStack
    process: Process
    _publisher: KafkaPublisher
    _applier: Applier
    _uptakes: KafkaTail
    _store: Any

    def stop(self) -> None:
        """See `DataPlane`."""
        self.process.terminate()

    async def publish_route(self, event: Event) -> None:
        """See `DataPlane`."""
        await self._publisher.publish(ROUTES_CHANGED.name, event)

    async def apply(self, orders: Sequence[dict[str, Any]]) -> None:
        """See `DataPlane`."""
        await self.stock.apply(self._applier, orders)

    async def put_rows(self, rows: Mapping[str, bytes]) -> None:
        """See `DataPlane`."""
        for key, row in rows.items():
            await self._store.set(key, row)

    async def predictions(self) -> list[Event]:
        """See `DataPlane`: what is there once nothing has come for a while."""
        return await read_all(self.stack.kafka_bootstrap, PREDICTIONS_MADE.name)

    async def told(self, route: RouteChanged) -> None:
        """See `DataPlane`; what was said before is passed over."""
        while not any(taken_up(event, route) for event in await _poll(self._uptakes)):
            pass

    async def said(self) -> list[Event]:
        """See `DataPlane`."""
        return await read_all(self.stack.kafka_bootstrap, ROUTES_FOLLOWED.name)


async def read_all(bootstrap: str, topic: str) -> list[Event]:
    """Read a topic until nothing has come for a while."""
    tail = KafkaTail(bootstrap, topic, client_id="test")
    await tail.open({})
    events: list[Event] = []
    heard_s = time.monotonic()
    try:
        while time.monotonic() - heard_s < SETTLED_SECONDS:
            if found := await _poll(tail):
                events += found
                heard_s = time.monotonic()
    finally:
        await tail.close()
    return events


async def _poll(tail: KafkaTail) -> list[Event]:
    return [
        from_record(record.key, record.value, record.headers, timestamp_ms=record.timestamp)
        for record in await tail.poll(100)
    ]


async def _takes_connections(port: int) -> bool:
    """Whether somebody listens: a port is held before that."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def environment_of(stack: LocalStack, stock: Stock) -> dict[str, str]:
    """What a process needs to know to serve the shop."""
    return {
        **stack.environment(),
        "PYTHONPATH": str(KIT),
        "TIDEMARK_PROJECT": stock.project.module,
        "TIDEMARK_CONTRACT": str(stock.contract),
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
async def process_plane(
    folder: Path, stack: LocalStack, *, project: str = PROJECT, **settings: str
) -> AsyncIterator[ProcessPlane]:
    """Start it on a stack that is its own: the topics' names are fixed."""
    stock = Stock(folder, project, settings.get("PRIVACY_KEY_FILE", ""))
    if FOREIGN:
        stock.compile()
    ports = zip(("GRPC_PORT", "METRICS_PORT"), map(str, choose(2, seed=str(folder))), strict=True)
    process = Process(folder / "inference.log", {**environment_of(stack, stock), **dict(ports), **settings})
    await ensure_topics(stack.kafka_bootstrap, CATALOGUE)
    client = await connect(stack.redis_url)
    uptakes = KafkaTail(stack.kafka_bootstrap, ROUTES_FOLLOWED.name, client_id="test-uptakes")
    process.start()
    try:
        async with (
            KafkaPublisher(stack.kafka_bootstrap, client_id="test") as publisher,
            grpc.aio.insecure_channel(address := await process.address()) as channel,
        ):
            applier = Applier(stock.project.views.values(), RedisFeatureRows(client), RedisClaims(client))
            await uptakes.open({})
            yield ProcessPlane(stock, channel, address, stack, process, publisher, applier, uptakes, client)
    finally:
        process.stop()
        await uptakes.close()
        await client.aclose()

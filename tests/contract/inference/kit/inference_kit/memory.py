"""The Python plane in the test's own process: memory behind it, a real gRPC port before it."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import structlog
from bus.buffered import BufferedPublisher
from bus.events import Event
from bus.follow import MemoryTail
from bus.memory import MemoryLog, MemoryPublisher
from bus.topics import PREDICTIONS_MADE, ROUTES_CHANGED, ROUTES_FOLLOWED
from feature_store.online import Applier, MemoryClaims, MemoryFeatureRows, MemoryRowReader
from inference.adapters.redis import AwaitedRows
from inference.ports import FeatureRows
from inference.serve.role import Outside, serve
from inference.settings import InferenceSettings
from model_package import PackageStore
from prometheus_client import CollectorRegistry
from service_kit import Health, Service
from tidemark.registry.v1.route_pb2 import RouteChanged

from inference_kit.planes import taken_up
from inference_kit.stock import PROJECT, Stock

LINGER_MS = 1


class ClosableMemoryPublisher(MemoryPublisher):
    """What a buffer delivers to."""

    async def close(self) -> None:
        """Nothing to disconnect."""


@dataclass
class MemoryPlane:
    """See `inference_kit.planes.DataPlane`; tests of the Python plane itself may also look inside."""

    stock: Stock
    channel: grpc.aio.Channel
    log: MemoryLog
    reader: MemoryRowReader
    registry: CollectorRegistry
    health: Health
    address: str
    _stop: asyncio.Event
    _buffered: BufferedPublisher
    _applier: Applier
    _rows: MemoryFeatureRows

    def stop(self) -> None:
        """See `DataPlane`."""
        self._stop.set()

    async def publish_route(self, event: Event) -> None:
        """See `DataPlane`."""
        await MemoryPublisher(self.log).publish(ROUTES_CHANGED.name, event)

    async def apply(self, orders: Sequence[dict[str, Any]]) -> None:
        """See `DataPlane`."""
        await self.stock.apply(self._applier, orders)

    async def put_rows(self, rows: Mapping[str, bytes]) -> None:
        """See `DataPlane`."""
        self._rows.stored.update({key.encode(): row for key, row in rows.items()})

    async def predictions(self) -> list[Event]:
        """See `DataPlane`."""
        # What is written out after a reply lingers first.
        await asyncio.sleep(2 * LINGER_MS / 1000)
        await self._buffered.flush()
        return self.log.events(PREDICTIONS_MADE.name)

    async def told(self, route: RouteChanged) -> None:
        """See `DataPlane`."""
        while not any(taken_up(event, route) for event in self.log.events(ROUTES_FOLLOWED.name)):
            await self.log.appended()

    async def said(self) -> list[Event]:
        """See `DataPlane`."""
        return self.log.events(ROUTES_FOLLOWED.name)


@asynccontextmanager
async def memory_plane(
    folder: Path, *, project: str = PROJECT, **settings: Any
) -> AsyncIterator[MemoryPlane]:
    """Start it; `settings` replace those of `InferenceSettings`."""
    stock = Stock(folder, project, settings.get("privacy_key_file", ""))
    log, rows, registry, health = MemoryLog(), MemoryFeatureRows(), CollectorRegistry(), Health()
    reader = MemoryRowReader(rows)
    service = Service("inference", structlog.get_logger(), asyncio.Event(), health, registry)
    listening: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @asynccontextmanager
    async def open_rows(_on_failure: object) -> AsyncIterator[FeatureRows]:
        yield AwaitedRows(reader)

    async with (
        BufferedPublisher(ClosableMemoryPublisher(log), name="test", registry=registry) as buffered,
        asyncio.TaskGroup() as tasks,
    ):
        outside = Outside(
            routes=MemoryTail(log, ROUTES_CHANGED.name),
            packages=PackageStore(stock.packages),
            open_rows=open_rows,
            later=buffered,
            now=MemoryPublisher(log),
        )
        usual = {
            "grpc_host": "127.0.0.1",
            "grpc_port": 0,
            "retry_refused_seconds": 0.05,
            "prediction_linger_ms": LINGER_MS,
            "drain_seconds": 0,
        }
        told = InferenceSettings(**{**usual, **settings})
        tasks.create_task(serve(service, told, stock.project, outside, listening.set_result))
        address = f"127.0.0.1:{await listening}"
        async with grpc.aio.insecure_channel(address) as channel:
            applier = Applier(stock.project.views.values(), rows, MemoryClaims())
            yield MemoryPlane(
                stock, channel, log, reader, registry, health, address, service.stop, buffered, applier, rows
            )
        service.stop.set()

"""A platform of a file's own: real Kafka and Valkey, real service processes, and who looks at them."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiokafka import AIOKafkaProducer
from bus.dead_letters import read_dead_letters
from bus.positions import Position
from bus.progress import targets_of
from bus.topics import CATALOGUE, ensure_topics
from bus.tracker import ProgressTracker
from feature_store import Project, load_project
from feature_store.online.keepers import feature_group
from local_stack import KafkaOptions, LocalStack, ValkeyOptions
from tidemark_cli.platform import Platform

from examples.flights.demo.lake import Lake

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from bus.dead_letters import DeadLetter

    from careless.records import Record

PROJECT: Final = "examples.flights"
STACK: Final = "careless"
_SETTLED_SECONDS: Final = 60.0
# An upstream's own broker settings may allow more than the platform reads: two MiB are no error to Kafka.
_LARGEST_BYTES: Final = 2 * 1024 * 1024


@dataclass(frozen=True)
class Scene:
    """What tests reach the platform through."""

    folder: Path
    bootstrap: str
    redis_url: str
    platform: Platform
    project: Project
    tracker: ProgressTracker
    upstream: AIOKafkaProducer

    @property
    def lake(self) -> Lake:
        """What the archiver wrote."""
        return Lake(self.folder / "lake")

    @property
    def packages(self) -> Path:
        """The package store."""
        return self.folder / "packages"

    @property
    def grpc_port(self) -> int:
        """Where inference listens."""
        return self.platform.processes["inference"].ports["GRPC_PORT"]

    async def send(self, records: Sequence[Record]) -> list[Position]:
        """Send records as they are, one after the other; return where they are in the log."""
        sent = [
            await self.upstream.send(
                record.topic,
                value=record.value,
                key=record.key,
                headers=list(record.headers),
                timestamp_ms=record.timestamp_ms,
            )
            for record in records
        ]
        return [Position(one.topic, one.partition, one.offset) for one in [await each for each in sent]]

    async def settled(self, positions: Sequence[Position], *services: str) -> None:
        """Return when these services' groups are done with what is at these positions."""
        for name in services:
            group = feature_group(self.project) if name == "feature" else name
            await self.tracker.reached(group, targets_of(positions), _SETTLED_SECONDS)

    async def letters(self, topic: str) -> list[DeadLetter]:
        """Read all dead letters of a topic."""
        return await read_dead_letters(self.bootstrap, topic, limit=10_000)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Scene]:
    """Start the servers; which services run, and so which topics exist, is the test's to say."""
    async with AsyncExitStack() as held:
        stack = await held.enter_async_context(
            LocalStack(folder / "stack", kafka=KafkaOptions(), valkey=ValkeyOptions(durable=False))
        )
        project = load_project(PROJECT)
        await ensure_topics(stack.kafka_bootstrap, CATALOGUE)
        platform = Platform(folder / "logs", _environment(folder, stack))
        upstream = AIOKafkaProducer(
            bootstrap_servers=stack.kafka_bootstrap, client_id="upstream", max_request_size=_LARGEST_BYTES
        )
        await held.enter_async_context(platform)
        await held.enter_async_context(upstream)
        tracker = await held.enter_async_context(ProgressTracker(stack.kafka_bootstrap))
        yield Scene(folder, stack.kafka_bootstrap, stack.redis_url, platform, project, tracker, upstream)


def _environment(folder: Path, stack: LocalStack) -> dict[str, str]:
    return {
        **stack.environment(),
        "TIDEMARK_PROJECT": PROJECT,
        "TIDEMARK_STACK": STACK,
        "LAKE_URI": str(folder / "lake"),
        "PACKAGES_URI": str(folder / "packages"),
        "DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'control_plane.db'}",
        "LOG_FORMAT": "json",
        "FLUSH_MS": "100",
        "RETRY_REFUSED_SECONDS": "0.2",
        # Machines that run many tests at once stall for longer than production's 20 ms.
        "REDIS_DEADLINE_MS": "5000",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }

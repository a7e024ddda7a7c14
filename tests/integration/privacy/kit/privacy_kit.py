"""A whole deployment that keeps something of customers, and looking for what it must not keep."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from bus.events import Event
from bus.kafka.reading import topic_reader
from bus.producer import KafkaPublisher
from bus.times import format_rfc3339
from bus.topics import CATALOGUE, PREDICTIONS_MADE, Topic, ensure_topics
from deltalake import DeltaTable
from feature_store import load_project
from feature_store.rows import row_key
from google.protobuf.timestamp_pb2 import Timestamp
from local_stack import LocalStack
from redis.asyncio import Redis
from shadow_comparator.adapters.logs import Keeping, LedgerPredictionLog
from shadow_comparator.adapters.redis import RedisLedger
from shadow_comparator.domain.facts import Prediction, Role
from shadow_comparator.domain.joining import Entry
from tidemark.scoring.v1.prediction_pb2 import PredictionMade
from tidemark_cli.platform import Platform, ProcessSpec
from tidemark_cli.testing import Cli

KIT = Path(__file__).parent
TOPIC = "orders.v1"
AT_US = 1_700_000_000_000_000
SECOND_US = 1_000_000
ARCHIVER = ProcessSpec("archiver", "archiver")
FEATURE = ProcessSpec("feature", "feature")


@dataclass(frozen=True)
class Deployment:
    """Where everything is."""

    stack: LocalStack
    platform: Platform
    cli: Cli
    lake: Path
    key_file: Path

    @property
    def bootstrap(self) -> str:
        return str(self.stack.kafka_bootstrap)

    async def publish(self, orders: Sequence[dict[str, Any]]) -> None:
        """Publish orders, each recorded a second after it was made."""
        events = []
        for one in orders:
            at_us = one["at_us"]
            payload = {name: value for name, value in one.items() if name != "at_us"}
            payload["at"] = format_rfc3339(at_us)
            key = str(one["card"]).encode()
            data = json.dumps(payload).encode()
            events.append(
                Event(f"id-{one['order']}", "order", "shop", "", at_us, at_us + SECOND_US, key, data)
            )
        async with KafkaPublisher(self.bootstrap, client_id="shop") as publisher:
            await publisher.publish_all(TOPIC, events)

    async def predict(self, customers: Sequence[str], at_us: int) -> None:
        """Publish predictions about customers, as serving would."""
        seconds, micros = divmod(at_us, SECOND_US)
        made = [
            PredictionMade(
                prediction_id=f"p-{number}",
                request_key=f"p-{number}",
                model="large-order",
                request_time=Timestamp(seconds=seconds, nanos=micros * 1000),
                entities={"customer": name},
            )
            for number, name in enumerate(customers)
        ]
        events = [
            Event.of(
                one,
                id=one.prediction_id,
                source="test",
                key=one.request_key,
                time_us=at_us,
                recorded_time_us=at_us,
            )
            for one in made
        ]
        async with KafkaPublisher(self.bootstrap, client_id="shop") as publisher:
            await publisher.publish_all(PREDICTIONS_MADE.name, events)

    async def wait_for_outcome(self, customer: str, at_us: int) -> None:
        """Let a prediction wait for its outcome where the shadow comparator keeps it."""
        day_ms = 86_400_000
        made = Prediction(
            f"w-{customer}",
            f"w-{customer}",
            "large",
            "large-order",
            "v",
            "champion",
            Role.CHAMPION,
            0.5,
            at_us,
            {"customer": customer},
        )
        async with self.redis() as client:
            log = LedgerPredictionLog(RedisLedger(client), Keeping("tm:join", day_ms, day_ms, day_ms))
            await log.join([Entry(made.label, made.request_key, [made])])

    def column(self, path: str, name: str, lake: Path | None = None) -> list[Any]:
        """Read a column of a table; of one that is not there, nothing."""
        location = (lake or self.lake) / path
        if not DeltaTable.is_deltatable(str(location)):
            return []
        return list(DeltaTable(location).to_pyarrow_table(columns=[name])[name].to_pylist())

    async def until_kept(self, path: str, rows: int, lake: Path | None = None) -> None:
        """Wait until a table has so many rows."""
        await until(lambda: len(self.column(path, "_offset", lake)) >= rows)

    def row_key(self, key: str, view: str = "customer_orders") -> bytes:
        """Return the key of a customer's row, or of another entity's."""
        return row_key(view, load_project("private_shop").views[view].digest, key)

    async def until_stored(self, key: bytes) -> bytes:
        """Wait until there is a feature row."""
        async with self.redis() as client, asyncio.timeout(60):
            while (row := await client.get(key)) is None:  # noqa: ASYNC110 - a process writes it
                await asyncio.sleep(0.05)
            return bytes(row)

    @asynccontextmanager
    async def redis(self) -> AsyncIterator[Redis]:
        client = Redis.from_url(self.stack.redis_url)
        try:
            yield client
        finally:
            await client.aclose()

    def lake_files_with(self, text: str) -> list[str]:
        """Name the files of the lake that hold a text, Parquet's columns and statistics read as they are."""
        return [str(one.relative_to(self.lake)) for one in self.lake.rglob("*") if _holds(one, text)]

    async def redis_keys_with(self, text: str) -> list[bytes]:
        """Name the keys that are, or hold, a text."""
        async with self.redis() as client:
            found = []
            async for key in client.scan_iter():
                kind = await client.type(key)
                held = await (client.hgetall(key) if kind == b"hash" else client.get(key))
                if text.encode() in key or text in str(held) or text.encode() in bytes(str(held), "utf-8"):
                    found.append(key)
            return found

    async def records(self, topic: str) -> list[Any]:
        """Read a topic whole."""
        async with topic_reader(self.bootstrap) as reader:
            partitions = await reader.partitions(topic)
            starts, ends = await reader.begin_offsets(partitions), await reader.end_offsets(partitions)
            return [record async for record in reader.read(starts, ends)]

    async def forget(self, *arguments: str) -> Any:
        """Ask for an erasure, have it approved by another, and carry it out."""
        asked = await self.cli.read("forget", *arguments, "--as", "ada")
        assert asked["state"] == "pending"
        await self.cli.show("approve", asked["approval_id"], "--as", "bo")
        return await self.carry_out(*arguments)

    async def carry_out(self, *arguments: str) -> Any:
        result = await self.cli.run("forget", *arguments, "--as", "ada", "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something holds that another process brings about."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.1)


@asynccontextmanager
async def deployed(stack: LocalStack, folder: Path) -> AsyncIterator[Deployment]:
    """Start what writes, and end it."""
    key_file = folder / "secret"
    key_file.write_bytes(b"a secret of the test, long enough\n")
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": str(stack.kafka_bootstrap),
        "REDIS_URL": stack.redis_url,
        "TIDEMARK_PROJECT": "private_shop",
        "PYTHONPATH": str(KIT),
        "LAKE_URI": str(folder / "lake"),
        "DATABASE_URL": f"sqlite:///{folder}/registry.sqlite",
        "PACKAGES_URI": str(folder / "packages"),
        "PRIVACY_KEY_FILE": str(key_file),
        "FLUSH_MS": "50",
    }
    await ensure_topics(str(stack.kafka_bootstrap), [Topic(TOPIC, None, "the source's", 2, None), *CATALOGUE])
    async with Platform(folder / "logs", environment) as platform:
        plane, *_ = await platform.start_all(
            [ProcessSpec("control-plane", "control_plane", ports=("HTTP_PORT",)), ARCHIVER, FEATURE]
        )
        told = environment | {"TIDEMARK_CONTROL_PLANE_URL": plane.url("HTTP_PORT"), "COLUMNS": "250"}
        yield Deployment(stack, platform, Cli(told), folder / "lake", key_file)


def order(number: int, customer: str, **told: Any) -> dict[str, Any]:
    """Return an order, a second after the one before."""
    return {
        "order": f"o-{number}",
        "customer": customer,
        "card": f"card-of-{customer}",
        "email": f"{customer}@secret.example",
        "amount": float(number % 100),
        "at_us": AT_US + number * SECOND_US,
    } | told


def _holds(file: Path, text: str) -> bool:
    if not file.is_file():
        return False
    if text.encode() in file.read_bytes():
        return True
    if file.suffix != ".parquet":
        return False

    read = pq.ParquetFile(file)
    return text in str(read.read().to_pylist()) or text in str(read.metadata.to_dict())

"""The archiver's main, in this process, between a real Kafka and real Delta tables."""

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import structlog
from archiver.__main__ import archive, topics_of
from archiver.settings import ArchiverSettings
from bus.dead_letters import read_dead_letters
from bus.events import Event
from bus.follow import Follower
from bus.kafka.tail import KafkaTail
from bus.positions import Position
from bus.producer import KafkaPublisher
from bus.progress import targets_of
from bus.received import Received
from bus.records import OutgoingRecord
from bus.topics import OUTCOMES_OBSERVED, ROUTES_CHANGED, dead_letter_of, ensure_topics
from bus.tracker import ProgressTracker
from deltalake import DeltaTable, Field, Schema
from feature_store import load_project
from local_stack import LocalStack
from prometheus_client import REGISTRY, CollectorRegistry
from service_kit import Service
from tidemark.outcomes.v1.outcome_pb2 import OutcomeObserved
from tidemark.registry.v1.route_pb2 import RouteChanged

pytestmark = pytest.mark.stack

PROJECT = "clicks_project"
TOPIC = "clicks.v1"
AT_US = 1_356_998_400_000_000


@pytest.fixture(scope="module")
async def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A broker of this file's own: garbage on the platform's topics would show in others' tests."""
    async with LocalStack(tmp_path_factory.mktemp("archiver-kafka"), valkey=None) as stack:
        yield stack.kafka_bootstrap


@pytest.fixture
async def kafka(own_kafka: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    await ensure_topics(own_kafka, topics_of(load_project(PROJECT)))
    return own_kafka


@pytest.fixture
async def publisher(kafka: str) -> AsyncIterator[KafkaPublisher]:
    async with KafkaPublisher(kafka, client_id="upstream") as opened:
        yield opened


def clicks(count: int, page: str = "home") -> list[Event]:
    document = json.dumps({"page": page, "seconds": 1.0, "at": "2013-01-01T00:00:00Z"}).encode()
    return [
        Event(str(uuid4()), "click", "web", "", AT_US, AT_US, str(number).encode(), document)
        for number in range(count)
    ]


@asynccontextmanager
async def archiver(kafka: str, lake: Path, group: str, flush_ms: int = 100) -> AsyncIterator[Service]:
    service = Service(group, structlog.get_logger(), metrics=CollectorRegistry())
    chosen = ArchiverSettings(
        kafka_bootstrap_servers=kafka, tidemark_project=PROJECT, lake_uri=str(lake), flush_ms=flush_ms
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(archive(service, chosen, load_project(PROJECT)))
        yield service
        service.stop.set()


def ends_of(positions: Sequence[Position]) -> dict[tuple[str, int], int]:
    return {(where.topic, where.partition): end for where, end in targets_of(positions).items()}


def offsets(lake: Path, table: str) -> Counter[tuple[int, int]]:
    rows = DeltaTable(lake / table).to_pyarrow_table()
    return Counter(
        zip(rows.column("_partition").to_pylist(), rows.column("_offset").to_pylist(), strict=True)
    )


async def dead_letters(kafka: str, topic: str) -> Sequence[Received]:
    found: list[Received] = []
    tail = KafkaTail(kafka, dead_letter_of(topic), client_id="test")

    async def take(letter: Received) -> None:
        found.append(letter)

    follower = Follower(tail, take)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(follower.run(stop))
        await follower.read_once()
        stop.set()
    return found


async def test_what_was_published_is_in_the_lake_once(
    kafka: str, publisher: KafkaPublisher, tmp_path: Path
) -> None:
    group = f"archiver-{uuid4()}"
    first = await publisher.publish_all(TOPIC, clicks(50))
    async with ProgressTracker(kafka) as tracker:
        async with archiver(kafka, tmp_path, group):
            await tracker.reached(group, ends_of(first), timeout_s=30)
        second = await publisher.publish_all(TOPIC, clicks(50))
        async with archiver(kafka, tmp_path, group):
            await tracker.reached(group, ends_of(second), timeout_s=30)
    kept = offsets(tmp_path, f"sources/{TOPIC}")
    assert set(kept.values()) == {1}
    assert {(where.partition, where.offset) for where in [*first, *second]} <= kept.keys()


async def test_stopping_does_not_wait_for_a_batch_to_fill(
    kafka: str, publisher: KafkaPublisher, tmp_path: Path
) -> None:
    group = f"archiver-{uuid4()}"
    sent = await publisher.publish_all(TOPIC, clicks(5))
    async with asyncio.timeout(30), archiver(kafka, tmp_path, group, flush_ms=600_000) as service:
        while service.health.reasons():  # noqa: ASYNC110 - readiness is asked, not announced
            await asyncio.sleep(0.02)
    async with ProgressTracker(kafka) as tracker, archiver(kafka, tmp_path, group):
        await tracker.reached(group, ends_of(sent), timeout_s=30)
    assert set(offsets(tmp_path, f"sources/{TOPIC}").values()) == {1}


async def test_two_archivers_share_the_work_and_keep_each_record_once(
    kafka: str, publisher: KafkaPublisher, tmp_path: Path
) -> None:
    group = f"archiver-{uuid4()}"
    async with ProgressTracker(kafka) as tracker, archiver(kafka, tmp_path, group):
        sent = await publisher.publish_all(TOPIC, clicks(100))
        async with archiver(kafka, tmp_path, group):
            sent += await publisher.publish_all(TOPIC, clicks(100))
            await tracker.reached(group, ends_of(sent), timeout_s=60)
        sent += await publisher.publish_all(TOPIC, clicks(100))
        await tracker.reached(group, ends_of(sent), timeout_s=60)
    kept = offsets(tmp_path, f"sources/{TOPIC}")
    assert set(kept.values()) == {1}
    assert {(where.partition, where.offset) for where in sent} <= kept.keys()


async def test_a_table_that_fits_its_topic_no_more_stops_alone_and_is_read_once_it_fits(
    kafka: str, publisher: KafkaPublisher, tmp_path: Path
) -> None:
    group = f"archiver-{uuid4()}"
    location = tmp_path / "sources" / TOPIC
    DeltaTable.create(str(location), Schema([Field("seconds", "string")]))
    sent = await publisher.publish_all(TOPIC, clicks(20))
    route = RouteChanged(model="m")
    told = Event.of(route, id="one", source="test", key="m", time_us=AT_US, recorded_time_us=AT_US)
    others = await publisher.publish_all(ROUTES_CHANGED.name, [told])
    async with ProgressTracker(kafka) as tracker:
        async with archiver(kafka, tmp_path, group) as service:
            await tracker.reached(group, ends_of(others), timeout_s=30)
            stopped = service.metrics.get_sample_value(
                "archiver_table_stopped", {"table": f"sources/{TOPIC}"}
            )
            assert (stopped, service.health.reasons()) == (1, {})
        assert DeltaTable(location).version() == 0
        shutil.rmtree(location)
        async with archiver(kafka, tmp_path, group):
            await tracker.reached(group, ends_of(sent), timeout_s=30)
    kept = offsets(tmp_path, f"sources/{TOPIC}")
    assert set(kept.values()) == {1}
    assert {(where.partition, where.offset) for where in sent} <= kept.keys()


async def test_bad_records_are_named_or_counted_and_hold_nothing_up(
    kafka: str, publisher: KafkaPublisher, tmp_path: Path
) -> None:
    group = f"archiver-{uuid4()}"
    outcome = OutcomeObserved(label="late", value=1.0)
    good = Event.of(outcome, id="good", source="test", key="k", time_us=AT_US, recorded_time_us=AT_US)
    garbage = Event("garbage", "T", "s", "", AT_US, AT_US, b"k", b"\xff\xff")
    sent = await publisher.publish_all(OUTCOMES_OBSERVED.name, [garbage, good])
    sent += await publisher.publish_records(TOPIC, [OutgoingRecord(b"k", b"no envelope", [])])
    sent += await publisher.publish_all(TOPIC, [*clicks(1, page=""), *clicks(1)])
    async with ProgressTracker(kafka) as tracker, archiver(kafka, tmp_path, group) as service:
        await tracker.reached(group, ends_of(sent), timeout_s=30)
        left_out = service.metrics.get_sample_value(
            "archiver_left_out_total", {"table": f"sources/{TOPIC}", "reason": "MISSING_FIELD"}
        )
        passed_over = REGISTRY.get_sample_value(
            "tidemark_consumer_passed_over_records_total",
            {"group": group, "topic": TOPIC, "reason": "MALFORMED_ENVELOPE"},
        )
    assert left_out == 1
    assert passed_over == 1
    assert await read_dead_letters(kafka, TOPIC) == []
    assert DeltaTable(tmp_path / "outcomes_observed").to_pyarrow_table().column("_id").to_pylist() == ["good"]
    (letter,) = await dead_letters(kafka, OUTCOMES_OBSERVED.name)
    assert letter.event.id == "garbage"

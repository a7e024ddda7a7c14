"""A project changes while events flow: both versions are kept, and each is what the lake says it is."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import httpx
import numpy as np
import pytest
from aiokafka import TopicPartition as KafkaTopicPartition
from aiokafka.admin import RecordsToDelete
from bus.events import Event
from bus.kafka.admin import admin_client
from bus.kafka.group_offsets import GroupOffsets
from bus.producer import KafkaPublisher
from bus.topics import ensure_topics
from feature.__main__ import topics_of
from feature_store import Contract, Incoming, Project, Requests, decode_events, load_project
from feature_store.definitions import Feature
from feature_store.offline import AsOf, point_in_time
from feature_store.online import Applier, MemoryClaims, MemoryFeatureRows
from feature_store.online.keepers import feature_group, has_passed
from feature_store.online.redis import RedisFeatureRows, connect
from feature_store.online.redis_keepers import RedisKeepers
from tidemark.features.v1 import feature_service_pb2 as pb
from tidemark.features.v1 import feature_service_pb2_grpc as pb_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from bus.positions import Position
    from feature_store import EventBatch
    from local_stack import LocalStack

pytestmark = pytest.mark.stack

OLD, NEW = Path(__file__).parent, Path(__file__).parent / "changed"
TOPIC = "trips.ended.v1"
AT_US = 1_365_000_000_000_000
WAVE = 300


@dataclass
class Town:
    """An upstream, its log, and what runs on it.

    Attributes:
        log: Every record, at its position.
        processes: What was started, with its ports.
    """

    stack: LocalStack
    folder: Path
    log: list[tuple[Position, Event]] = field(default_factory=list)
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)

    def environment(self, project: Path) -> dict[str, str]:
        return {
            **self.stack.environment(),
            "PYTHONPATH": str(project),
            "TIDEMARK_PROJECT": "taxi_project",
            "LAKE_URI": str(self.folder / "lake"),
            "FLUSH_MS": "200",
            "ROWS_BEAT_S": "0.1",
            "BATCH_RECORDS": "40",
            "METRICS_PORT": "0",
            "LOG_FORMAT": "json",
        }

    async def start(self, module: str, project: Path) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            env=self.environment(project),
            stderr=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
        )
        self.processes.append(process)
        return process

    async def backfill(self, project: Path, *options: str) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tidemark_cli", "features", "backfill", "--json", *options),
            *("--kafka", self.stack.kafka_bootstrap),
            env=self.environment(project),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        self.processes.append(process)
        return process

    async def publish(self, waves: int = 1) -> None:
        """Publish trips, one in ten of them twice."""
        async with KafkaPublisher(self.stack.kafka_bootstrap, client_id="upstream") as upstream:
            for _ in range(waves):
                first = max((int(event.id[5:]) + 1 for _, event in self.log), default=0)
                wave = [*map(trip, range(first, first + WAVE)), *map(trip, range(first, first + WAVE, 10))]
                self.log += zip(await upstream.publish_all(TOPIC, wave), wave, strict=True)

    def events(self, project: Project) -> EventBatch:
        batch, rejects = decode_events(project.sources[TOPIC], incoming(self.log))
        assert not rejects
        return batch

    async def holds_all(self, project: Project) -> bool:
        """Return whether the rows of a project are those of one quiet run over the whole log."""
        quiet = MemoryFeatureRows()
        await Applier(project.views.values(), quiet, MemoryClaims()).apply(self.events(project))
        client = await connect(self.stack.redis_url)
        rows = await RedisFeatureRows(client).read(list(quiet.stored))
        await client.aclose()
        return [bare(row) for row in rows] == [bare(row) for row in quiet.stored.values()]

    async def drop_what_is_archived(self, group: str) -> None:
        """Wait until lake and group have everything, then let the topic drop all but the last record."""
        offsets = GroupOffsets(self.stack.kafka_bootstrap, [TOPIC])
        ends = await offsets.ends()

        async def passed() -> bool:
            return all([has_passed(await offsets.commits(one), ends) for one in (group, "archiver")])

        await until(passed)
        await self.drop({partition: end - 1 for partition, end in ends[TOPIC].items()})

    async def drop(self, before: Mapping[int, int]) -> None:
        """Let the topic drop what comes before these offsets."""
        doomed = {
            KafkaTopicPartition(TOPIC, partition): RecordsToDelete(before_offset=offset)
            for partition, offset in before.items()
        }
        async with admin_client(self.stack.kafka_bootstrap) as client:
            await client.delete_records(doomed)

    async def is_complete(self, project: Project) -> bool:
        client = await connect(self.stack.redis_url)
        keepers = {one.group: one for one in await RedisKeepers(client).all()}
        await client.aclose()
        return feature_group(project) in keepers and keepers[feature_group(project)].complete


def trip(number: int) -> Event:
    at_us = AT_US + number * 20_000_000
    fields = {
        "trip": f"t{number}",
        "driver": f"d{number % 23}",
        "city": f"c{number % 3}",
        "fare": number % 37 + 0.1,
    }
    data = json.dumps({**fields, "ended_at": f"{np.datetime64(at_us, 'us')}Z"}).encode()
    return Event(f"trip-{number}", "trip", "taxis", "", at_us, at_us, f"k{number % 11}".encode(), data)


def incoming(log: list[tuple[Position, Event]]) -> Incoming:
    places, events = zip(*log, strict=True)
    return Incoming.of(events, [one.partition for one in places], [one.offset for one in places])


def bare(row: bytes | None) -> bytes:
    """All but the revision, which counts writes."""
    return b"" if row is None else row[:16] + row[24:]


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110 - another process is waited for
            await asyncio.sleep(0.1)


async def logged(process: asyncio.subprocess.Process, event: str) -> dict[str, Any]:
    """Return the first line of the log that says this."""
    assert process.stderr is not None
    async for line in process.stderr:
        found: dict[str, Any] = json.loads(line)
        if found["event"] == event:
            return found
    pytest.fail(f"it never said {event!r}")


@pytest.fixture
def projects(monkeypatch: pytest.MonkeyPatch) -> tuple[Project, Project]:
    loaded = []
    for folder in (OLD, NEW):
        monkeypatch.delitem(sys.modules, "taxi_project", raising=False)
        with monkeypatch.context() as patched:
            patched.syspath_prepend(str(folder))
            loaded.append(load_project("taxi_project"))
    monkeypatch.delitem(sys.modules, "taxi_project", raising=False)
    return loaded[0], loaded[1]


@pytest.fixture
async def town(
    own_stack: Callable[..., Awaitable[LocalStack]], tmp_path: Path, projects: tuple[Project, Project]
) -> AsyncIterator[Town]:
    stack = await own_stack()
    await ensure_topics(stack.kafka_bootstrap, topics_of(projects[0]))
    town = Town(stack, tmp_path)
    yield town
    for process in town.processes:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@asynccontextmanager
async def asking(process: asyncio.subprocess.Process) -> AsyncIterator[pb_grpc.FeatureServiceStub]:
    port = (await logged(process, "listening"))["grpc_port"]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield pb_grpc.FeatureServiceStub(channel)


async def assert_served_as_in_the_past(
    features: pb_grpc.FeatureServiceStub, project: Project, events: EventBatch
) -> None:
    """The vectors that are served now are those of a training set as of now, bit for bit."""
    names = [f"{view}.{kept}" for view, one in project.views.items() for kept in one.aggregations]
    now_us = int(events.event_time_us.max()) + 1
    asked = pb.GetBatchRequest()
    asked.features.names.extend(names)
    cities, drivers = [f"c{n % 3}" for n in range(20)], [f"d{n}" for n in range(20)]
    for city, driver in zip(cities, drivers, strict=True):
        question = asked.questions.add(entities={"city": city, "driver": driver})
        question.request_time.FromMicroseconds(now_us)
    served = await features.GetBatch(asked)
    contract = Contract.over(
        "",
        [
            Feature(view, name, kept)
            for view in project.views.values()
            for name, kept in view.aggregations.items()
        ],
        {},
    )
    requests = Requests(
        time_us=np.full(20, now_us),
        entities={"city": np.array(cities, object), "driver": np.array(drivers, object)},
        context={},
    )
    past = point_in_time(contract, {TOPIC: events}, requests, AsOf())
    assert np.frombuffer(served.statuses, np.uint8).tolist() == past.statuses.ravel().tolist()
    assert served.values == past.values.astype("<f4").tobytes()
    assert set(past.statuses.ravel().tolist()) == {1}, "there is something to compare"


@pytest.mark.parametrize("killed", [False, True], ids=["undisturbed", "killed"])
async def test_both_versions_are_served_as_the_lake_has_them(
    town: Town, projects: tuple[Project, Project], *, killed: bool
) -> None:
    old, new = projects
    assert feature_group(old) != feature_group(new)
    await town.start("archiver", OLD)
    first = await town.start("feature", OLD)
    async with asking(first) as features:
        await town.publish(3)
        await until(lambda: town.holds_all(old))
        await until(lambda: town.is_complete(old))
        await assert_served_as_in_the_past(features, old, town.events(old))
    await town.drop_what_is_archived(feature_group(old))

    second = await town.start("feature", NEW)
    url = f"http://127.0.0.1:{(await logged(second, 'started'))['metrics_port']}"
    async with httpx.AsyncClient(timeout=5) as http:

        async def waits() -> bool:
            reply = await http.get(f"{url}/readyz")
            return reply.status_code == 503 and "tidemark features backfill" in reply.text

        await until(waits)
    flowing = asyncio.create_task(town.publish(6))
    if killed:
        (await town.backfill(NEW)).kill()
        doomed = await town.backfill(NEW)
        await asyncio.sleep(1.6)
        doomed.kill()
        first.kill()
        first = await town.start("feature", OLD)
    backfill = await town.backfill(NEW)
    out, errors = await backfill.communicate()
    assert backfill.returncode == 0, errors.decode()
    assert sorted(json.loads(out)["views"]) == ["city_trips", "driver_fares"]
    if killed:
        second.kill()
        second = await town.start("feature", NEW)
        first.kill()
        first = await town.start("feature", OLD)
    await flowing
    await town.publish()
    await until(lambda: town.holds_all(new))
    await until(lambda: town.holds_all(old))
    await until(lambda: town.is_complete(new))
    async with asking(await town.start("feature", NEW)) as features:
        await until(lambda: is_served(features))
        await assert_served_as_in_the_past(features, new, town.events(new))
    async with asking(await town.start("feature", OLD)) as features:
        await until(lambda: is_served(features))
        await assert_served_as_in_the_past(features, old, town.events(old))


async def is_served(features: pb_grpc.FeatureServiceStub) -> bool:
    asked = pb.GetRequest(entities={"city": "c1"})
    asked.features.names.append("city_trips.trips_1h")
    asked.request_time.FromMicroseconds(AT_US)
    return (await features.Get(asked)).features[0].status != 4


async def test_without_history_rows_begin_with_what_the_topic_holds(
    town: Town, projects: tuple[Project, Project]
) -> None:
    project = projects[0]
    await town.publish()
    ends = await GroupOffsets(town.stack.kafka_bootstrap, [TOPIC]).ends()
    dropped = {partition: end // 2 for partition, end in ends[TOPIC].items()}
    await town.drop(dropped)
    town.log = [one for one in town.log if one[0].offset >= dropped[one[0].partition]]
    backfill = await town.backfill(OLD, "--without-history")
    out, errors = await backfill.communicate()
    assert backfill.returncode == 0, errors.decode()
    assert json.loads(out)["rows"] == 0
    await town.start("feature", OLD)
    await town.publish()
    await until(lambda: town.holds_all(project))
    client = await connect(town.stack.redis_url)
    (keeper,) = await RedisKeepers(client).all()
    await client.aclose()
    assert keeper.since == {TOPIC: dropped}

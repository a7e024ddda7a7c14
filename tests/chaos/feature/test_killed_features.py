"""`feature` killed, asleep, without Redis: the rows and outcomes are those of one undisturbed run."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from bus.events import Event
from bus.inspect import list_topics, tail
from bus.producer import KafkaPublisher
from bus.progress import targets_of
from bus.topics import OUTCOMES_OBSERVED, ensure_topics
from bus.tracker import ProgressTracker
from feature.__main__ import topics_of
from feature_store import Incoming, Project, decode_events, load_project
from feature_store.online import Applier, MemoryClaims, MemoryFeatureRows
from feature_store.online.keepers import feature_group
from feature_store.online.redis import RedisFeatureRows, connect
from feature_store.plans import plan_of
from feature_store.rows import REVISION, key_prefix

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from bus.positions import Position
    from local_stack import LocalStack

pytestmark = pytest.mark.stack

PROJECT_FOLDER = Path(__file__).parents[2] / "integration" / "feature"
TOPIC = "trips.ended.v1"
AT_US = 1_365_000_000_000_000
WAVE = 1_500


@dataclass
class Taxis:
    """The upstream, its log, and the `feature` processes that read it.

    Attributes:
        trips: The distinct events, as they became known.
        log: The records, in the order of publication, each at its position.
    """

    stack: LocalStack
    folder: Path
    project: Project
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(11))
    trips: list[Event] = field(default_factory=list)
    log: list[tuple[Position, Event]] = field(default_factory=list)
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def start(self) -> asyncio.subprocess.Process:
        """Start `python -m feature`, with small batches: whenever it is killed, it has one in hand."""
        environment = {
            "PYTHONPATH": str(PROJECT_FOLDER),
            "TIDEMARK_PROJECT": "taxi_project",
            "KAFKA_BOOTSTRAP_SERVERS": self.stack.kafka_bootstrap,
            "REDIS_URL": self.stack.redis_url,
            "BATCH_RECORDS": "40",
            "CACHED_ROWS": "50",
        }
        with (self.folder / f"feature-{len(self.processes)}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "feature", env=environment, stdout=log, stderr=log
            )
        self.processes.append(process)
        return process

    async def publish(self, count: int = WAVE) -> None:
        """Publish trips, out of order, some of them late, and some of them and of earlier ones again."""
        first = len(self.trips)
        self.trips += [trip(first + number, self.random) for number in range(count)]
        again = self.random.choice(len(self.trips), count // 10)
        wave = [*range(first, len(self.trips)), *again.tolist()]
        self.random.shuffle(wave)
        events = [self.trips[number] for number in wave]
        async with KafkaPublisher(self.stack.kafka_bootstrap, client_id="upstream") as publisher:
            self.log += zip(await publisher.publish_all(TOPIC, events), events, strict=True)

    async def until_some_rows(self) -> None:
        """Return when the processes have begun to write."""
        rows = RedisFeatureRows(client := await connect(self.stack.redis_url))
        while not any(
            await rows.read([key_prefix("city_trips", self.project.views["city_trips"].digest) + b"c1"])
        ):
            assert all(process.returncode is None for process in self.processes[-2:]), "a process gave up"
            await asyncio.sleep(0.01)
        await client.aclose()

    async def settled(self) -> None:
        """Return when every record has had its effect."""
        targets = targets_of(position for position, _ in self.log)
        async with ProgressTracker(self.stack.kafka_bootstrap) as tracker:
            await tracker.reached(feature_group(self.project), targets, timeout_s=120)

    async def assert_rows_are_those_of_one_quiet_run(self) -> None:
        quiet = MemoryFeatureRows()
        events, rejects = decode_events(self.project.sources[TOPIC], incoming(self.log))
        assert rejects == []
        await Applier(self.project.views.values(), quiet, MemoryClaims()).apply(events)
        client = await connect(self.stack.redis_url)
        keys = [key async for key in client.scan_iter("tm:f:*", count=1_000)]
        assert sorted(keys) == sorted(quiet.stored)
        stored = await RedisFeatureRows(client).read(keys)
        await client.aclose()
        for key, row in zip(keys, stored, strict=True):
            assert self.words(key, row) == self.words(key, quiet.stored[key]), key

    def words(self, key: bytes, row: bytes | None) -> list[int]:
        """Return a row's words; how often it was written is not among them."""
        layout = plan_of(self.project.views[key.split(b":")[2].decode()]).layout
        _, words = layout.decode([row])
        words[:, REVISION] = 0
        return words[0].tolist()

    async def assert_every_outcome_was_told(self) -> None:
        expected = {f"dear:t{number}:0" for number in range(len(self.trips))}
        told: set[str] = set()
        ends = await list_topics(self.stack.kafka_bootstrap)
        (outcomes,) = [topic for topic in ends if topic.name == OUTCOMES_OBSERVED.name]
        async for seen in tail(
            self.stack.kafka_bootstrap, outcomes.name, from_beginning=True, limit=outcomes.records
        ):
            assert seen.event is not None
            told.add(seen.event.id)
        assert told == expected


def trip(number: int, random: np.random.Generator) -> Event:
    recorded_us = AT_US + number * 5_000_000
    ended_us = recorded_us - int(random.choice([0, 0, 0, 60, 3_000])) * 1_000_000
    payload = {
        "trip": f"t{number}",
        "driver": f"d{random.integers(300)}" if random.random() < 0.9 else None,
        "city": f"c{random.zipf(1.5) % 8}",
        "fare": round(float(random.exponential(15.0)) % 1_000, 2),
        "ended_at": f"{np.datetime64(ended_us, 'us')}Z",
    }
    key, data = payload["trip"].encode(), json.dumps(payload).encode()
    return Event(f"trip-{number}", "trip", "taxis", "", ended_us, recorded_us, key, data)


def incoming(log: Sequence[tuple[Position, Event]]) -> Incoming:
    events = [event for _, event in log]
    return Incoming.of(
        events, [position.partition for position, _ in log], [position.offset for position, _ in log]
    )


@pytest.fixture
async def taxis(
    own_stack: Callable[..., Awaitable[LocalStack]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Taxis]:
    monkeypatch.syspath_prepend(str(PROJECT_FOLDER))
    project = load_project("taxi_project")
    stack = await own_stack()
    await ensure_topics(stack.kafka_bootstrap, topics_of(project))
    taxis = Taxis(stack, tmp_path, project)
    yield taxis
    for process in taxis.processes:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_two_that_are_killed_in_turn_and_replaced_leave_what_one_quiet_run_leaves(taxis: Taxis) -> None:
    await taxis.publish()
    running = [await taxis.start(), await taxis.start()]
    await taxis.until_some_rows()
    for _ in range(2):
        await taxis.publish()
        running.append(await taxis.start())
        running.pop(0).kill()
    await taxis.publish()
    await taxis.settled()
    await taxis.assert_rows_are_those_of_one_quiet_run()
    await taxis.assert_every_outcome_was_told()
    for process in running:
        process.terminate()
    assert [await process.wait() for process in running] == [0, 0]


async def test_one_that_slept_through_its_replacement_applies_nothing_twice(taxis: Taxis) -> None:
    sleeper = await taxis.start()
    await taxis.publish(4 * WAVE)
    await taxis.until_some_rows()
    sleeper.send_signal(signal.SIGSTOP)
    successor = await taxis.start()
    await taxis.settled()
    sleeper.send_signal(signal.SIGCONT)
    await taxis.publish()
    await taxis.settled()
    await taxis.assert_rows_are_those_of_one_quiet_run()
    for process in (sleeper, successor):
        process.terminate()
    assert [await sleeper.wait(), await successor.wait()] == [0, 0]


async def test_while_redis_is_away_events_wait_and_then_count_once(taxis: Taxis) -> None:
    process = await taxis.start()
    await taxis.publish()
    await taxis.until_some_rows()
    (valkey,) = taxis.stack.valkey.nodes
    valkey.kill()
    await taxis.publish()
    await valkey.start()
    await taxis.settled()
    await taxis.assert_rows_are_those_of_one_quiet_run()
    await taxis.assert_every_outcome_was_told()
    process.terminate()
    assert await process.wait() == 0

"""Events into rows: how many a second, whether that depends on how many entities there are, and how soon."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bus.producer import KafkaPublisher
from bus.topics import ensure_topics
from feature.__main__ import topics_of
from feature.settings import FeatureSettings
from feature_store import Project, decode_events, load_project
from feature_store.online import Applier
from feature_store.online.redis import RedisClaims, RedisFeatureRows, connect
from feature_store.rows import row_key
from local_stack import LocalStack

from bench.store_events import PROJECT, TOPIC, Row, dealt, departure, departures, row
from examples.flights.gen.flights.v1.events_pb2 import FlightDeparted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from bus.events import Event
    from feature_store import EventBatch, Source, View
    from redis.asyncio import Redis, RedisCluster

EVENTS = 100_000
FEW_ENTITIES, MANY_ENTITIES = 10_000, 1_000_000
ROUNDS = 2
RATE_A_SECOND, TICK_S, SECONDS = 5_000, 0.01, 20
PROBE_EVERY_TICKS = 5
WARM_UP_SECONDS = 5


async def measure_updating() -> list[Row]:
    """Measure on stacks of their own."""
    project = load_project(PROJECT)
    rates = {count: await update_rate(project, count) for count in (FEW_ENTITIES, MANY_ENTITIES)}
    few, many = rates[FEW_ENTITIES], rates[MANY_ENTITIES]
    floor = await set_rate()
    fresh_ms = await freshness_ms(project)
    p50_ms, p99_ms = (fresh_ms[int(len(fresh_ms) * share)] for share in (0.5, 0.99))
    return [
        row(
            "store.update",
            few,
            "events/s",
            ("SET of 936 bytes, 500 in a pipeline", floor),
            ("value >= 60,000", few >= 60_000),
        ),
        row("store.update_of_1m_entities", many, "events/s", ("10,000 entities", few)),
        row("store.fresh_p50", p50_ms, "ms", ("5,000 events/s for 20 s", RATE_A_SECOND)),
        row(
            "store.fresh_p99",
            p99_ms,
            "ms",
            ("5,000 events/s for 20 s", RATE_A_SECOND),
            ("value < 50", p99_ms < 50),
        ),
    ]


async def update_rate(project: Project, entities: int) -> float:
    """Return the decoded events a second that four views' rows take in, the best of some rounds."""
    source = project.sources[TOPIC]
    views = [view for view in project.views.values() if view.source is source]
    rates = []
    for number in range(ROUNDS):
        batches = decoded(source, departures(EVENTS, entities, seed=number))
        with tempfile.TemporaryDirectory() as folder:
            async with LocalStack(Path(folder), kafka=None) as stack:
                client = await connect(stack.redis_url)
                applier = Applier(views, RedisFeatureRows(client), RedisClaims(client))
                warm, rest = batches[:5], batches[5:]
                for batch in warm:
                    await applier.apply(batch)
                start = time.perf_counter()
                for batch in rest:
                    await applier.apply(batch)
                rates.append(sum(map(len, rest)) / (time.perf_counter() - start))
                await client.aclose()
    return max(rates)


def decoded(source: Source, events: Sequence[Event]) -> list[EventBatch]:
    """Return the events as `feature` has them, in batches of its usual size."""
    size = FeatureSettings(tidemark_project=PROJECT).batch_records
    batches = []
    for start in range(0, len(events), size):
        batch, rejects = decode_events(source, dealt(source, events[start : start + size], start))
        assert not rejects
        batches.append(batch)
    return batches


async def set_rate() -> float:
    """Return the rows a second that a server takes in with nobody comparing anything."""
    with tempfile.TemporaryDirectory() as folder:
        async with LocalStack(Path(folder), kafka=None) as stack:
            client = await connect(stack.redis_url)
            start = time.perf_counter()
            for first in range(0, 50_000, 500):
                pipeline = client.pipeline(transaction=False)
                for number in range(first, first + 500):
                    pipeline.set(f"row:{number}", b"r" * 936)
                await pipeline.execute()
            rate = 50_000 / (time.perf_counter() - start)
            await client.aclose()
            return rate


async def freshness_ms(project: Project) -> list[float]:
    """Return how long after its publishing an event's row could be read, sorted."""
    with tempfile.TemporaryDirectory() as folder:
        async with LocalStack(Path(folder)) as stack:
            await ensure_topics(stack.kafka_bootstrap, topics_of(project))
            environment = {**stack.environment(), "TIDEMARK_PROJECT": PROJECT}
            environment["PYTHONPATH"] = str(Path(__file__).parents[1])
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "feature", env=environment, stderr=asyncio.subprocess.DEVNULL
            )
            try:
                return sorted(await published_and_read(stack, project.views["aircraft_departures"]))
            finally:
                process.kill()
                await process.wait()


async def published_and_read(stack: LocalStack, view: View) -> list[float]:
    """Publish at a steady rate, and time some events among them."""
    client = await connect(stack.redis_url)
    took_ms: list[float] = []
    per_tick = int(RATE_A_SECOND * TICK_S)
    loop = asyncio.get_running_loop()
    async with (
        KafkaPublisher(stack.kafka_bootstrap, client_id="fresh") as publisher,
        asyncio.TaskGroup() as tasks,
    ):
        await time_one(publisher, client, view, "warm")
        begun = loop.time()
        for tick in range(int((WARM_UP_SECONDS + SECONDS) / TICK_S)):
            await asyncio.sleep(max(0.0, begun + tick * TICK_S - loop.time()))
            numbers = range(tick * per_tick, (tick + 1) * per_tick)
            tasks.create_task(publisher.publish_all(TOPIC, [departed_now(number) for number in numbers]))
            if tick % PROBE_EVERY_TICKS == 0:
                timed = took_ms if tick * TICK_S >= WARM_UP_SECONDS else []
                tasks.create_task(keep(timed, time_one(publisher, client, view, f"probe-{tick}")))
    await client.aclose()
    return took_ms


def departed_now(number: int) -> Event:
    return departure(number, time.time_ns() // 1_000, "JFK", number % 105, number % 16, number % 4_043, 3.0)


async def keep(kept: list[float], measured: Awaitable[float]) -> None:
    kept.append(await measured)


async def time_one(
    publisher: KafkaPublisher, client: Redis | RedisCluster, view: View, aircraft: str
) -> float:
    """Return the milliseconds from publishing an aircraft's first departure to its row's being readable."""
    event = departed_now(0)
    message = FlightDeparted.FromString(event.data)
    message.tail_number = aircraft
    event = replace(event, id=aircraft, data=message.SerializeToString())
    key = row_key(view.name, view.digest, aircraft)
    start = time.perf_counter()
    await publisher.publish(TOPIC, event)
    while not await client.exists(key):  # noqa: ASYNC110 - as a reader asks
        await asyncio.sleep(0.001)
    return (time.perf_counter() - start) * 1_000

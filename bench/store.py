"""The feature store on a real Kafka and a real Valkey: events into rows, rows into vectors, and the past.

Events are synthetic departures with the flights example's definitions: four views of a source, so an event
touches four rows; as many airports, carriers and aircraft as New York's flights of 2013 have. Rates are of
one process unless said.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop
from bus.producer import KafkaPublisher
from bus.runner import Batching, ConsumerRunner
from bus.topics import Topic, ensure_topics
from bus.tracker import ProgressTracker
from feature.__main__ import topics_of
from feature.settings import FeatureSettings
from feature_store import load_project
from feature_store.online.keepers import feature_group
from local_stack import LocalStack
from prometheus_client import CollectorRegistry

from bench.store_events import EVENTS, MODEL, PROJECT, TOPIC, Row, departures, row
from bench.store_feast import measure_feast_reading, measure_feast_writing
from bench.store_history import measure_history
from bench.store_limits import measure_limits
from bench.store_reading import measure_past, measure_reading
from bench.store_updating import measure_updating

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bus.events import Event
    from bus.received import Received

REKEYED = Topic("bench.rekeyed.v1", None, "entity", 4, retention=None)


def run() -> list[Row]:
    """Measure everything on stacks of its own."""
    return uvloop.run(measure())


async def measure() -> list[Row]:
    project = load_project(PROJECT)
    events = departures()
    async with filled_stack(events) as stack:
        floor = await consumed_by_nothing(stack)
        rekeyed = await rekey_rate(stack, events)
        alone = await processes_rate(stack, 1)
        reading = await measure_reading(stack.redis_url, project.contract(MODEL))
        limits = await asyncio.to_thread(measure_limits, stack.redis_url, project, MODEL)
        reading += limits
        reading += await asyncio.to_thread(measure_feast_reading, stack.redis_url, limits)
    async with filled_stack(events) as stack:
        together = await processes_rate(stack, 2)
    updating = await measure_updating()
    empty = "the bus's runner with an empty handler"
    must = ("value >= 30,000", alone >= 30_000)
    return [
        row("store.feature_events", alone, "events/s", (empty, floor), must),
        row("store.feature_two_processes", together, "events/s", ("one process", alone)),
        row("store.rekeyed_events", rekeyed, "events/s", ("one process that merges", alone)),
        *updating,
        *reading,
        *await measure_feast_writing(updating),
        *measure_past(project, events),
        *await asyncio.to_thread(measure_history),
    ]


@asynccontextmanager
async def filled_stack(events: Sequence[Event]) -> AsyncIterator[LocalStack]:
    with tempfile.TemporaryDirectory() as folder:
        async with LocalStack(Path(folder)) as stack:
            await ensure_topics(stack.kafka_bootstrap, [*topics_of(load_project(PROJECT)), REKEYED])
            async with KafkaPublisher(stack.kafka_bootstrap, client_id="bench", linger_ms=5) as publisher:
                for start in range(0, EVENTS, 5_000):
                    await publisher.publish_all(TOPIC, events[start : start + 5_000])
            yield stack


async def consumed_by_nothing(stack: LocalStack) -> float:
    """Return the events a second that the runner hands to a handler that does nothing."""
    stop, seen, start = asyncio.Event(), 0, 0.0

    async def nothing(batch: Sequence[Received]) -> None:
        nonlocal seen, start
        start = start or time.perf_counter()
        seen += len(batch)
        if seen >= EVENTS:
            stop.set()

    async with KafkaPublisher(stack.kafka_bootstrap, client_id="floor") as publisher:
        runner = ConsumerRunner(
            bootstrap=stack.kafka_bootstrap,
            group="floor",
            topics=[TOPIC],
            handler=nothing,
            publisher=publisher,
            service="floor",
            batching=Batching(FeatureSettings(tidemark_project=PROJECT).batch_records),
            registry=CollectorRegistry(),
        )
        # The events of this process are not the runner's garbage to look through.
        gc.freeze()
        await runner.run(stop)
    return seen / (time.perf_counter() - start)


async def rekey_rate(stack: LocalStack, events: Sequence[Event]) -> float:
    """Return the events a second that are published once for each of four entities: half of re-keying."""
    some = events[: EVENTS // 5]
    async with KafkaPublisher(stack.kafka_bootstrap, client_id="rekey", linger_ms=5) as publisher:
        start = time.perf_counter()
        for begin in range(0, len(some), 2_000):
            copies = [
                replace(event, id=f"{event.id}:{number}", key=key)
                for event in some[begin : begin + 2_000]
                for number, key in enumerate((b"origin", b"carrier", event.key, event.key[::-1]))
            ]
            await publisher.publish_all(REKEYED.name, copies)
        return len(some) / (time.perf_counter() - start)


async def processes_rate(stack: LocalStack, count: int) -> float:
    """Return the events a second of so many `python -m feature`, between the first and the last tenth."""
    root = str(Path(__file__).parents[1])
    environment = {**stack.environment(), "TIDEMARK_PROJECT": PROJECT, "PYTHONPATH": root}
    async with ProgressTracker(stack.kafka_bootstrap) as tracker:
        started = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-m", "feature", env=environment, stderr=asyncio.subprocess.DEVNULL
            )
            for _ in range(count)
        ]
        try:
            return await rate_between(tracker, EVENTS // 10, EVENTS - EVENTS // 10)
        finally:
            for process in started:
                process.kill()
                await process.wait()


async def rate_between(tracker: ProgressTracker, first: int, last: int) -> float:
    start, begun, group = 0.0, 0, feature_group(load_project(PROJECT))
    while True:
        done = sum(mark.next_offset for mark in tracker.marks(group).values())
        if done >= first and not start:
            start, begun = time.perf_counter(), done
        if done >= last:
            return (done - begun) / (time.perf_counter() - start)
        await asyncio.sleep(0.01)

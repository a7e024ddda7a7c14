"""The bus on a real Kafka: reading with envelopes, the runner, publishing, the replay barrier."""

from __future__ import annotations

import asyncio
import gc
import statistics
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from bus.events import Event
from bus.pipeline import parse
from bus.producer import KafkaPublisher
from bus.progress import targets_of
from bus.runner import ConsumerRunner
from bus.topics import PROGRESSED, Topic, ensure_topics
from bus.tracker import ProgressTracker
from local_stack import LocalStack
from service_kit.frame import COLLECT_AFTER

from bench.bus_loop import bare_loop_rate, loop_rate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bus.received import Received

EVENTS = 200_000
PARTITIONS = 4
TICKS = 400
WARM_UP_TICKS = 100
EVENT_TIME_US = 1_357_017_300_000_000
FILLED = Topic("bench.filled.v1", None, "k", PARTITIONS, timedelta(days=1))
COPIED = Topic("bench.copied.v1", None, "k", PARTITIONS, timedelta(days=1))
LOOPED = Topic("bench.looped.v1", None, "k", PARTITIONS, timedelta(days=1))
TICKED = Topic("bench.ticked.v1", None, "k", PARTITIONS, timedelta(days=1))


def run() -> list[dict[str, Any]]:
    """Measure everything on a stack of its own, with the collector as services have it."""
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    return uvloop.run(measure())


async def measure() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        async with LocalStack(Path(folder), valkey=None) as stack:
            bootstrap = stack.kafka_bootstrap
            await ensure_topics(bootstrap, [FILLED, COPIED, LOOPED, TICKED, PROGRESSED])
            publishing = await publish(bootstrap)
            raw = await best_of(3, lambda: read(bootstrap, lambda records: records))
            parsed = await best_of(3, lambda: read(bootstrap, parse))
            running = await best_of(3, lambda: consume(bootstrap))
            raw_publishing = await publish_raw(bootstrap)
            loop, bare_loop = await loops(bootstrap)
            round_trips_ms = await round_trips(bootstrap)
    p50_ms, p99_ms = quantile(round_trips_ms, 0.5), quantile(round_trips_ms, 0.99)
    floor = "aiokafka getmany alone"
    return [
        row(
            "bus.consume_with_envelope",
            parsed,
            "events/s",
            floor,
            raw,
            "ratio >= 0.35",
            met=parsed / raw >= 0.35,
        ),
        row(
            "bus.runner_empty_handler",
            running,
            "events/s",
            floor,
            raw,
            "ratio >= 0.25",
            met=running / raw >= 0.25,
        ),
        row("bus.publish_all", publishing, "events/s", "aiokafka send alone", raw_publishing),
        row(
            "bus.loop",
            loop,
            "events/s",
            "the same with aiokafka alone",
            bare_loop,
            "ratio >= 0.8",
            met=loop / bare_loop >= 0.8,
        ),
        row("bus.progress_round_trip_p50", p50_ms, "ms", must="value <= 6", met=p50_ms <= 6),
        row("bus.progress_round_trip_p99", p99_ms, "ms"),
    ]


def row(
    name: str,
    value: float,
    unit: str,
    reference: str | None = None,
    reference_value: float | None = None,
    must: str | None = None,
    *,
    met: bool | None = None,
) -> dict[str, Any]:
    ratio = None if reference_value is None else value / reference_value
    measured = {"name": name, "value": value, "unit": unit}
    return {
        **measured,
        "reference": reference,
        "reference_value": reference_value,
        "ratio": ratio,
        "must": must,
        "met": met,
    }


def event(number: int) -> Event:
    """A plausible event: 150 bytes of data, a key of some thousands."""
    time_us = EVENT_TIME_US + number * 1_000_123
    key = f"UA-{number * 7919 % 5003}".encode()
    return Event(
        f"flight-{number}",
        "flights.v1.FlightDeparted",
        "flights",
        key.decode(),
        time_us,
        time_us,
        key,
        b"d" * 150,
    )


async def best_of(times: int, measured: Callable[[], Awaitable[float]]) -> float:
    return max([await measured() for _ in range(times)])


async def publish(bootstrap: str) -> float:
    async with KafkaPublisher(bootstrap, client_id="bench", linger_ms=5) as publisher:
        events = [event(number) for number in range(EVENTS)]
        start = time.perf_counter()
        for begin in range(0, EVENTS, 5_000):
            await publisher.publish_all(FILLED.name, events[begin : begin + 5_000])
        return EVENTS / (time.perf_counter() - start)


async def publish_raw(bootstrap: str) -> float:
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        enable_idempotence=True,
        acks="all",
        linger_ms=5,
        compression_type="lz4",
        max_batch_size=128 * 1024,
    )
    async with producer:
        start = time.perf_counter()
        for begin in range(0, EVENTS, 5_000):
            events = range(begin, begin + 5_000)
            await asyncio.gather(
                *[await producer.send(COPIED.name, b"d" * 350, key=b"UA-%d" % (i % 5003)) for i in events]
            )
        return EVENTS / (time.perf_counter() - start)


async def loops(bootstrap: str) -> tuple[float, float]:
    """Return the events a second of consuming and producing, through the bus and bare, in turns."""
    measured: tuple[list[float], list[float]] = ([], [])
    for _ in range(3):
        for rates, rate_of in zip(measured, (loop_rate, bare_loop_rate), strict=True):
            rates.append(await rate_of(bootstrap, FILLED.name, LOOPED.name, EVENTS // 2))
    return statistics.median(measured[0]), statistics.median(measured[1])


async def read(bootstrap: str, work: Callable[[list[Any]], object]) -> float:
    consumer = AIOKafkaConsumer(
        FILLED.name,
        bootstrap_servers=bootstrap,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        fetch_max_wait_ms=50,
    )
    async with consumer:
        seen, start = 0, time.perf_counter()
        while seen < EVENTS:
            for records in (await consumer.getmany(timeout_ms=1_000)).values():
                work(records)
                seen += len(records)
        return seen / (time.perf_counter() - start)


async def consume(bootstrap: str) -> float:
    stop, seen, start = asyncio.Event(), 0, 0.0

    async def handler(batch: Sequence[Received]) -> None:
        nonlocal seen, start
        start = start or time.perf_counter()
        seen += len(batch)
        if seen >= EVENTS:
            stop.set()

    async with KafkaPublisher(bootstrap, client_id="bench") as publisher:
        runner = ConsumerRunner(
            bootstrap=bootstrap,
            group=f"bench-{time.time_ns()}",
            topics=[FILLED.name],
            handler=handler,
            publisher=publisher,
            service="bench",
        )
        await runner.run(stop)
    return seen / (time.perf_counter() - start)


async def round_trips(bootstrap: str) -> list[float]:
    """Publish one event, wait until its effect is known to be durable: what each tick of a replay costs."""
    stop = asyncio.Event()

    async def handler(_batch: Sequence[Received]) -> None:
        return None

    async with (
        KafkaPublisher(bootstrap, client_id="ticks") as ticks,
        KafkaPublisher(bootstrap, client_id="bench") as publisher,
        ProgressTracker(bootstrap) as tracker,
        asyncio.TaskGroup() as tasks,
    ):
        runner = ConsumerRunner(
            bootstrap=bootstrap,
            group="ticked",
            topics=[TICKED.name],
            handler=handler,
            publisher=publisher,
            service="bench",
        )
        tasks.create_task(runner.run(stop))
        taken_ms = []
        for number in range(WARM_UP_TICKS + TICKS):
            start = time.perf_counter()
            positions = await ticks.publish_all(TICKED.name, [event(number)])
            await tracker.reached("ticked", targets_of(positions), timeout_s=30)
            taken_ms.append((time.perf_counter() - start) * 1000)
        stop.set()
    return taken_ms[WARM_UP_TICKS:]


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)]

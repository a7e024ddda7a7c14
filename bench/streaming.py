"""Scoring events in one process, exactly once, against the same client consuming and producing and no more.

Requests (sixteen features in four views, a hundred trees) wait in a real Kafka; the stream role answers them
from real rows in a real Valkey. The reference reads the same requests and writes them to another topic,
without transactions and without doing anything else, in the same process and in turns.
"""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog
import uvloop
from bus.events import Event
from bus.producer import KafkaPublisher
from bus.topics import CATALOGUE, SCORING_REQUESTED, ensure_topics
from feature_store import Project, load_project
from inference.__main__ import STREAM_GROUP, run_stream
from inference.settings import InferenceSettings
from local_stack import LocalStack
from prometheus_client import REGISTRY, CollectorRegistry
from service_kit import Health, Service
from service_kit.frame import COLLECT_AFTER
from tidemark.scoring.v1.scoring_requested_pb2 import ScoringRequested

from bench.bus import LOOPED
from bench.bus_loop import bare_loop_rate
from bench.figures import Claim, compared, measured
from bench.placement import UNPINNED
from bench.scoring_servers import NOW_S, PROJECT, fill, publish_routes, score_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

EVENTS, ROUNDS, WARM_UP = 60_000, 5, 8_000
MUST_PER_SECOND = Claim(">=", 15_000, aim=30_000)
COUNTED = "tidemark_consumer_records_total"


async def measure() -> list[dict[str, Any]]:
    """Rows of the area `scoring`: medians of as many rounds, each with one of the reference."""
    project = load_project(PROJECT)
    streamed: list[Rate] = []
    bare: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        async with LocalStack(Path(name) / "stack") as stack:
            bootstrap = stack.kafka_bootstrap
            await ensure_topics(bootstrap, [*CATALOGUE, LOOPED])
            await fill(stack.redis_url, project)
            await publish_routes(bootstrap, project, Path(name) / "packages", models=1)
            settings = InferenceSettings(
                kafka_bootstrap_servers=bootstrap,
                redis_url=stack.redis_url,
                packages_uri=str(Path(name) / "packages"),
            )
            for _ in range(ROUNDS):
                await ask(bootstrap)
                streamed.append(await stream_rate(settings, project))
                bare.append(await bare_loop_rate(bootstrap, SCORING_REQUESTED.name, LOOPED.name, EVENTS))
    return rows(streamed, bare)


class Rate(NamedTuple):
    """Events a second, and events a second of this process's own processor time."""

    per_second: float
    per_cpu_second: float


def rows(streamed: list[Rate], bare: list[float]) -> list[dict[str, Any]]:
    """The figure, and what it would be were the processor this process's alone."""
    figures = [
        measured(
            "scoring.streaming",
            [rate.per_second for rate in streamed],
            "events/s",
            MUST_PER_SECOND,
            "exactly once, one process",
        ),
        compared(
            "scoring.streaming_over_bare",
            [rate.per_second for rate in streamed],
            "events/s",
            ("aiokafka consuming and producing the same, no transactions", bare),
        ),
        measured("scoring.streaming_per_cpu_second", [rate.per_cpu_second for rate in streamed], "events/s"),
    ]
    return [figure | {"placement": UNPINNED.words()} for figure in figures]


async def ask(bootstrap: str) -> None:
    """Publish the requests of one round."""
    async with KafkaPublisher(bootstrap, client_id="asking", linger_ms=5) as publisher:
        for begin in range(0, EVENTS, 5_000):
            events = [requested(number) for number in range(begin, begin + 5_000)]
            await publisher.publish_all(SCORING_REQUESTED.name, events)


def requested(number: int) -> Event:
    """The request that `bench.scoring` makes by gRPC, as an event."""
    asked = score_request(number)
    request = ScoringRequested(
        model=asked.model,
        entities=asked.entities,
        context=asked.context,
        request_time=asked.request_time,
        request_key=asked.request_key,
    )
    at_us = NOW_S * 1_000_000
    return Event.of(
        request,
        id=f"{os.urandom(8).hex()}",
        source="bench",
        key=asked.request_key,
        time_us=at_us,
        recorded_time_us=at_us,
    )


async def stream_rate(settings: InferenceSettings, project: Project) -> Rate:
    """Events a second that the role answers, from its first batches to its last offset."""
    already = counted()
    async with running(settings, project):
        await until(already + WARM_UP)
        first, start, worked = counted(), time.perf_counter(), time.process_time()
        await until(already + EVENTS)
        done = counted() - first
        return Rate(done / (time.perf_counter() - start), done / (time.process_time() - worked))


@asynccontextmanager
async def running(settings: InferenceSettings, project: Project) -> AsyncIterator[None]:
    """The role as it is deployed, in this process."""
    stop = asyncio.Event()
    service = Service(STREAM_GROUP, structlog.get_logger(), stop, Health(), CollectorRegistry())
    role = asyncio.ensure_future(run_stream(service, settings, project))
    try:
        yield
    finally:
        stop.set()
        await role


async def until(count: float) -> None:
    """Return once so many events were answered, whose transactions are then written."""
    while counted() < count:  # noqa: ASYNC110 - it is another's counter
        await asyncio.sleep(0.01)


def counted() -> float:
    """How many events the role has answered in this process."""
    labels = {"group": STREAM_GROUP, "topic": SCORING_REQUESTED.name}
    return REGISTRY.get_sample_value(COUNTED, labels) or 0.0


def run() -> list[dict[str, Any]]:
    """Measure on a stack of its own, with the collector as services have it."""
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    return uvloop.run(measure())

"""Scoring as a client sees it, against an empty echo of the same server type, in the same run.

The server is `python -m inference` on a real Kafka and a real Valkey, with the flights model's contract
(43 features in 8 views) and rows that real events made. The echo is grpc.aio on uvloop with an empty handler.
Each is a process pinned to the first core; the client, Valkey and Kafka have the rest. One client, grpc.aio
on uvloop, makes all calls. Alone they alternate between the two in short blocks, so that whatever else the
machine does meets both.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import uvloop
from bus.events import Event
from bus.producer import KafkaPublisher
from bus.topics import CATALOGUE, ROUTES_CHANGED, ensure_topics
from feature_store import Incoming, Project, decode_events, load_project
from feature_store.online import Applier
from feature_store.online.redis import RedisClaims, RedisFeatureRows, connect
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from local_stack import LocalStack
from model_package import PackageStore
from model_package.testing import facts, write_logistic_package
from tidemark.common.v1.value_pb2 import Value
from tidemark.registry.v1.route_pb2 import Arm, RouteChanged, VersionRef
from tidemark.scoring.v1 import scoring_service_pb2 as pb
from tidemark.scoring.v1.feature_vector_pb2 import FeatureStatus
from tidemark.scoring.v1.prediction_pb2 import Role
from tidemark.scoring.v1.scoring_service_pb2_grpc import ScoringServiceStub

from bench import scoring_batch
from examples.flights.gen.flights.v1.events_pb2 import FlightArrived, FlightDeparted, FlightEnd

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from google.protobuf.message import Message

MODEL = "flight-delay"
PROJECT = "examples.flights"
ECHO = "/bench.Echo/Echo"
NOW_S = 1_365_000_000
SERVER_CORE, OTHER_CORES = 0, set(range(1, os.cpu_count() or 1)) or {0}
AIRPORTS, CARRIERS, AIRCRAFT = 30, 10, 200
BLOCKS, BLOCK_CALLS, WARM_UP_CALLS = 12, 400, 500
CONCURRENCY, BATCH, LOADED_SECONDS = 32, 256, 4.0
PINNED = (
    "import os,runpy,sys; os.sched_setaffinity(0,{%d}); sys.argv=%r; runpy.run_module(%r,run_name='__main__')"
)


def run() -> list[dict[str, Any]]:
    """Measure everything on a stack of its own."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, OTHER_CORES)
    try:
        served = uvloop.run(measure())
    finally:
        os.sched_setaffinity(0, before)
    return [*served, *scoring_batch.measure()]


async def measure() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with (
            LocalStack(folder / "stack") as stack,
            server(folder, "bench.scoring", r"echo on (\d+)", {}) as echo,
            scoring_server(folder, stack) as scoring,
        ):
            alone = await one_at_a_time(echo, scoring)
            loaded = {
                "echo": await many_at_once(echo, echo_call),
                "score": await many_at_once(scoring, score_call),
                "batch": BATCH * await many_at_once(scoring, batch_call, in_flight=2),
            }
    return rows(alone, loaded)


def rows(alone: dict[str, list[float]], loaded: dict[str, float]) -> list[dict[str, Any]]:
    p50_us, echo_p50_us = (quantile(alone[kind], 0.5) for kind in ("score", "echo"))
    p99_us, echo_p99_us = (quantile(alone[kind], 0.99) for kind in ("score", "echo"))
    at_once, batched = f"scoring.score_per_second_at_{CONCURRENCY}", f"scoring.batched_by_{BATCH}_per_second"
    return [
        row("scoring.score_p50_us", p50_us, "us", echo_p50_us, "ratio <= 2", met=p50_us <= 2 * echo_p50_us),
        row("scoring.score_p99_us", p99_us, "us", echo_p99_us),
        row(at_once, loaded["score"], "1/s", loaded["echo"]),
        row(batched, loaded["batch"], "1/s", loaded["echo"]),
    ]


def row(
    name: str,
    value: float,
    unit: str,
    reference_value: float,
    must: str | None = None,
    *,
    met: bool | None = None,
) -> dict[str, Any]:
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "reference": "empty gRPC echo, same run",
        "reference_value": reference_value,
        "ratio": value / reference_value,
        "must": must,
        "met": met,
    }


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)]


async def one_at_a_time(echo: str, scoring: str) -> dict[str, list[float]]:
    """Latencies in microseconds of one call after the other, echo and score in turns."""
    taken: dict[str, list[float]] = {"echo": [], "score": []}
    async with grpc.aio.insecure_channel(echo) as echoing, grpc.aio.insecure_channel(scoring) as asking:
        calls = {"echo": echo_call(echoing), "score": score_call(asking)}
        for call in calls.values():
            await timed(call, WARM_UP_CALLS, [])
        for _ in range(BLOCKS):
            for kind, call in calls.items():
                await timed(call, BLOCK_CALLS, taken[kind])
    return taken


async def timed(call: Callable[[int], Any], times: int, taken_us: list[float]) -> None:
    for number in range(times):
        start = time.perf_counter()
        await call(number)
        taken_us.append((time.perf_counter() - start) * 1e6)


async def many_at_once(
    address: str, caller: Callable[[Any], Callable[[int], Any]], in_flight: int = CONCURRENCY
) -> float:
    """Calls a second with so many in flight."""
    done = 0

    async def work(call: Callable[[int], Any], first: int) -> None:
        nonlocal done
        number = first
        while time.perf_counter() < end:
            await call(number)
            done += 1
            number += in_flight

    async with grpc.aio.insecure_channel(address) as channel:
        call = caller(channel)
        end = time.perf_counter() + 0.5
        await asyncio.gather(*[work(call, first) for first in range(in_flight)])
        done, start = 0, time.perf_counter()
        end = start + LOADED_SECONDS
        await asyncio.gather(*[work(call, first) for first in range(in_flight)])
        return done / (time.perf_counter() - start)


def echo_call(channel: Any) -> Callable[[int], Any]:
    call = channel.unary_unary(
        ECHO,
        request_serializer=pb.ScoreBatchRequest.SerializeToString,
        response_deserializer=pb.ScoreBatchRequest.FromString,
    )
    empty = pb.ScoreBatchRequest()
    return lambda _number: call(empty)


def score_call(channel: Any) -> Callable[[int], Any]:
    stub = ScoringServiceStub(channel)
    asked = [score_request(number) for number in range(1000)]
    return lambda number: stub.Score(asked[number % len(asked)])


def batch_call(channel: Any) -> Callable[[int], Any]:
    stub = ScoringServiceStub(channel)
    asked = pb.ScoreBatchRequest(requests=[score_request(number) for number in range(BATCH)])
    return lambda _number: stub.ScoreBatch(asked)


def score_request(number: int) -> pb.ScoreRequest:
    return pb.ScoreRequest(
        model=MODEL,
        entities={
            "origin": f"A{number % 3}",
            "destination": f"A{number % AIRPORTS}",
            "carrier": f"C{number % CARRIERS}",
            "tail_number": f"N{number % AIRCRAFT}",
        },
        context={
            "scheduled_at": Value(time=Timestamp(seconds=NOW_S + 3600)),
            "distance_miles": Value(number=500.0 + number),
        },
        request_time=Timestamp(seconds=NOW_S),
        request_key=f"flight-{number}",
    )


@asynccontextmanager
async def scoring_server(folder: Path, stack: LocalStack) -> AsyncIterator[str]:
    """The service, with rows and a route."""
    project = load_project(PROJECT)
    packages = folder / "packages"
    await ensure_topics(stack.kafka_bootstrap, CATALOGUE)
    await fill(stack.redis_url, project)
    await route(stack.kafka_bootstrap, project, packages)
    environment = {
        **stack.environment(),
        "TIDEMARK_PROJECT": PROJECT,
        "PACKAGES_URI": str(packages),
        "GRPC_PORT": "0",
        "GRPC_HOST": "127.0.0.1",
    }
    async with server(folder, "inference", r'"grpc_port": (\d+)', environment) as address:
        async with grpc.aio.insecure_channel(address) as channel:
            async for health in HealthStub(channel).Watch(HealthCheckRequest()):
                if health.status == HealthCheckResponse.SERVING:
                    break
            explained = score_request(0)
            explained.explain_features = True
            reply = await ScoringServiceStub(channel).Score(explained)
            # A benchmark of missing features would flatter.
            assert (
                sum(status == FeatureStatus.FEATURE_STATUS_PRESENT for status in reply.feature_statuses) > 30
            ), reply
        yield address


async def fill(redis_url: str, project: Project) -> None:
    """Make rows of a day's events for every entity that requests name."""
    client = await connect(redis_url)
    applier = Applier(project.views.values(), RedisFeatureRows(client), RedisClaims(client))
    for topic, events in {
        "flights.departed.v1": [departure(number) for number in range(2_000)],
        "flights.arrived.v1": [arrival(number) for number in range(2_000)],
    }.items():
        batch, rejects = decode_events(project.sources[topic], incoming(events))
        assert not rejects, rejects[:3]
        await applier.apply(batch)
    await client.aclose()


def incoming(events: list[Message]) -> Incoming:
    n = len(events)
    times_us = [(NOW_S - 40 * (n - number)) * 1_000_000 for number in range(n)]
    return Incoming(
        values=[event.SerializeToString() for event in events],
        ids=[f"e{number}" for number in range(n)],
        keys=[b""] * n,
        event_time_us=times_us,
        recorded_time_us=times_us,
        partitions=[number % 4 for number in range(n)],
        offsets=[number // 4 for number in range(n)],
    )


def departure(number: int) -> Message:
    at = Timestamp(seconds=NOW_S - 40 * (2_000 - number))
    return FlightDeparted(
        flight_id=f"f{number}",
        carrier=f"C{number % CARRIERS}",
        tail_number=f"N{number % AIRCRAFT}",
        origin=f"A{number % 3}",
        destination=f"A{number % AIRPORTS}",
        scheduled_departure_at=at,
        departed_at=at,
        departure_delay_minutes=number % 40 - 5,
        distance_miles=700,
    )


def arrival(number: int) -> Message:
    at = Timestamp(seconds=NOW_S - 40 * (2_000 - number))
    return FlightArrived(
        flight_id=f"f{number}",
        carrier=f"C{number % CARRIERS}",
        tail_number=f"N{number % AIRCRAFT}",
        origin=f"A{number % 3}",
        destination=f"A{number % AIRPORTS}",
        scheduled_departure_at=at,
        scheduled_arrival_at=at,
        ended_at=at,
        end=FlightEnd.FLIGHT_END_ARRIVED,
        arrival_delay_minutes=number % 40 - 5,
        distance_miles=700,
    )


async def route(bootstrap: str, project: Project, packages: Path) -> None:
    contract = project.contract(MODEL)
    known = facts(MODEL, contract.feature_names, contract_hash=contract.hash.hex())
    written = packages.parent / "written"
    write_logistic_package(written, facts=known, weights=[0.01] * len(contract.feature_names))
    put = PackageStore(packages).put(written)
    version = VersionRef(version=put.version, digest=put.digest, package_uri=put.uri)
    arm = Arm(variant="champion", role=Role.ROLE_CHAMPION, version=version, weight_basis_points=10_000)
    message = RouteChanged(model=MODEL, revision=1, salt="s", arms=[arm])
    event = Event.of(message, id="route", source="bench", key=MODEL, time_us=0, recorded_time_us=0)
    async with KafkaPublisher(bootstrap, client_id="bench") as publisher:
        await publisher.publish(ROUTES_CHANGED.name, event)


@asynccontextmanager
async def server(
    folder: Path, module: str, says_port: str, environment: dict[str, str]
) -> AsyncIterator[str]:
    """A module run on the server's core, by its address once it says so."""
    log = folder / f"{module}.log"
    command = [sys.executable, "-c", PINNED % (SERVER_CORE, [module], module)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=output, stderr=output)
    try:
        yield f"127.0.0.1:{await told(log, says_port, process)}"
    finally:
        process.terminate()
        process.wait(30)


async def told(log: Path, pattern: str, process: subprocess.Popen[bytes]) -> str:
    async with asyncio.timeout(60):
        while not (found := re.search(pattern, log.read_text())):
            if process.poll() is not None:
                raise RuntimeError(f"the server ended: {log.read_text()}")
            await asyncio.sleep(0.02)
    return found[1]


async def serve_echo() -> None:
    """The reference: the same server type, and nothing in the handler."""

    async def echo(request: pb.ScoreBatchRequest, _context: object) -> pb.ScoreBatchRequest:
        return request

    handler = grpc.unary_unary_rpc_method_handler(
        echo,
        request_deserializer=pb.ScoreBatchRequest.FromString,
        response_serializer=pb.ScoreBatchRequest.SerializeToString,
    )
    echo_server = grpc.aio.server()
    echo_server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("bench.Echo", {"Echo": handler}),)
    )
    port = echo_server.add_insecure_port("127.0.0.1:0")
    await echo_server.start()
    print(f"echo on {port}", flush=True)
    await echo_server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(serve_echo())

"""The servers that scoring is measured on: `python -m inference`, and an empty echo of the same server type.

Each is a process on the cores it is given (`bench.placement`). Rows are made of real events, models of a
hundred trees.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import grpc
import numpy as np
import uvloop
from bus.events import Event
from bus.producer import KafkaPublisher
from bus.topics import CATALOGUE, ROUTES_CHANGED, ensure_topics
from feature_store import Project, decode_events, load_project
from feature_store.online import Applier
from feature_store.online.redis import RedisClaims, RedisFeatureRows, connect
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from model_package import Golden, PackageStore, write_package
from model_package.session import open_session
from model_package.testing import facts
from sklearn.ensemble import GradientBoostingClassifier
from tidemark.registry.v1.route_pb2 import Arm, RouteChanged, VersionRef
from tidemark.scoring.v1 import scoring_service_pb2 as pb
from tidemark.scoring.v1.feature_vector_pb2 import FeatureStatus
from tidemark.scoring.v1.prediction_pb2 import Role
from tidemark.scoring.v1.scoring_service_pb2_grpc import ScoringServiceStub
from trainer.adapters.onnx import convert

from bench.scoring_project import MODELS
from bench.store_events import AIRCRAFT, AIRPORTS, CARRIERS, START_US, TOPIC, dealt, departures

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from local_stack import LocalStack

PROJECT: Final = "bench.scoring_project"
ECHO: Final = "/bench.Echo/Echo"
EVENTS: Final = 20_000
STARTS_WITHIN_S: Final = 180.0
TREES: Final = 100
NOW_S: Final = START_US // 1_000_000 + EVENTS * 3600 // 38
_PINNED: Final = (
    "import os,runpy,sys; os.sched_setaffinity(0,%r); sys.argv=%r; runpy.run_module(%r,run_name='__main__')"
)


@dataclass(frozen=True, slots=True)
class Server:
    """A server that listens.

    Attributes:
        address: host:port.
        pid: Its process.
    """

    address: str
    pid: int


def score_request(number: int, model: str = "sixteen-0") -> pb.ScoreRequest:
    """One of the requests that are sent in turns: a flight of airports, a carrier and an aircraft."""
    random = np.random.default_rng(number)
    return pb.ScoreRequest(
        model=model,
        entities={
            "origin": ("EWR", "JFK", "LGA")[number % 3],
            "destination": f"D{random.integers(0, AIRPORTS):03}",
            "carrier": f"C{random.integers(0, CARRIERS)}",
            "tail_number": f"N{random.integers(0, AIRCRAFT):05}",
        },
        request_time=Timestamp(seconds=NOW_S),
        request_key=f"flight-{number}",
    )


@asynccontextmanager
async def echo_server(folder: Path, cores: frozenset[int]) -> AsyncIterator[Server]:
    """The floor."""
    async with process_server(folder, ["bench.scoring_servers"], r"echo on (\d+)", {}, cores) as server:
        yield server


@asynccontextmanager
async def scoring_server(folder: Path, stack: LocalStack, cores: frozenset[int]) -> AsyncIterator[Server]:
    """The service with rows and routes, once it is ready and has served features that are there."""
    packages = await prepared(folder, stack, models=1)
    async with replica(folder, stack, packages, cores) as server:
        async with grpc.aio.insecure_channel(server.address) as channel:
            reply = await ScoringServiceStub(channel).Score(score_request(0))
            present = sum(status == FeatureStatus.FEATURE_STATUS_PRESENT for status in reply.feature_statuses)
            if present < len(reply.feature_statuses) / 2:
                raise RuntimeError(f"a benchmark of missing features would flatter: {reply}")
        yield server


async def prepared(folder: Path, stack: LocalStack, models: int) -> Path:
    """Make topics, rows, packages and routes, and return where the packages are."""
    project = load_project(PROJECT)
    folder.mkdir(parents=True, exist_ok=True)
    await ensure_topics(stack.kafka_bootstrap, CATALOGUE)
    await fill(stack.redis_url, project)
    await publish_routes(stack.kafka_bootstrap, project, folder / "packages", models)
    return folder / "packages"


@asynccontextmanager
async def replica(
    folder: Path, stack: LocalStack, packages: Path, cores: frozenset[int]
) -> AsyncIterator[Server]:
    """The service alone, once it says that it serves."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = {
        **stack.environment(),
        "TIDEMARK_PROJECT": PROJECT,
        "PACKAGES_URI": str(packages),
        "GRPC_PORT": "0",
        "GRPC_HOST": "127.0.0.1",
    }
    async with process_server(folder, ["inference"], r'"grpc_port": (\d+)', environment, cores) as server:
        async with grpc.aio.insecure_channel(server.address) as channel:
            async for health in HealthStub(channel).Watch(HealthCheckRequest()):
                if health.status == HealthCheckResponse.SERVING:
                    break
        yield server


def tree_model(seed: int) -> tuple[bytes, np.ndarray[Any, np.dtype[np.float32]]]:
    """A hundred trees over sixteen features as an ONNX graph, and some vectors to score with it."""
    random = np.random.default_rng(seed)
    vectors = random.normal(10.0, 20.0, (2_000, 16)).astype(np.float32)
    labels = (vectors @ random.normal(size=16) > 0).astype(np.float64)
    model = GradientBoostingClassifier(n_estimators=TREES, max_depth=4, random_state=seed)
    return convert(model.fit(vectors, labels), vectors.shape[1]), vectors


async def publish_routes(bootstrap: str, project: Project, packages: Path, models: int) -> None:
    """Package so many models, and route each."""
    async with KafkaPublisher(bootstrap, client_id="bench") as publisher:
        await publisher.publish_all(ROUTES_CHANGED.name, _routes(project, packages, models))


async def fill(redis_url: str, project: Project) -> None:
    """Make rows of real events."""
    source = project.sources[TOPIC]
    client = await connect(redis_url)
    views = [view for view in project.views.values() if view.source is source]
    applier = Applier(views, RedisFeatureRows(client), RedisClaims(client))
    batch, rejects = decode_events(source, dealt(source, departures(EVENTS)))
    if rejects:
        raise RuntimeError(f"events of the bench are refused: {rejects[:3]}")
    await applier.apply(batch)
    await client.aclose()


def _routes(project: Project, packages: Path, models: int) -> list[Event]:
    if models > MODELS:
        raise ValueError(f"{PROJECT} has {MODELS} models")
    graph, vectors = tree_model(seed=0)
    return [
        route_to(put_version(project, packages, f"sixteen-{number}", (graph, vectors), number), 1)
        for number in range(models)
    ]


def put_version(
    project: Project,
    packages: Path,
    model: str,
    trained: tuple[bytes, np.ndarray[Any, np.dtype[np.float32]]],
    number: int,
) -> tuple[str, VersionRef]:
    """Put a version of a model in the store; its number makes it, and its session, one of its own."""
    graph, vectors = trained
    contract = project.contract(model)
    known = facts(model, contract.feature_names, contract_hash=contract.hash.hex()).model_copy(
        update={"parameters": {"number": number}}
    )
    written = packages.parent / f"written-{number}"
    write_package(
        written,
        facts=known,
        model=graph,
        golden=Golden(vectors[:4], _scores(graph, vectors[:4])),
        reference_profile={"features": {}},
    )
    put = PackageStore(packages).put(written)
    return model, VersionRef(version=put.version, digest=put.digest, package_uri=put.uri)


def route_to(named: tuple[str, VersionRef], revision: int) -> Event:
    """The route by which one version of a model answers everything."""
    model, version = named
    arm = Arm(variant="champion", role=Role.ROLE_CHAMPION, version=version, weight_basis_points=10_000)
    message = RouteChanged(model=model, revision=revision, salt="s", arms=[arm])
    name = f"{model}:{revision}"
    return Event.of(message, id=name, source="bench", key=model, time_us=0, recorded_time_us=0)


def _scores(
    graph: bytes, vectors: np.ndarray[Any, np.dtype[np.float32]]
) -> np.ndarray[Any, np.dtype[np.float64]]:
    (probabilities,) = open_session(graph, "the bench's model").run(["probabilities"], {"X": vectors})
    return np.asarray(probabilities[:, 1], np.float64)


@asynccontextmanager
async def process_server(
    folder: Path, argv: Sequence[str], says_port: str, environment: dict[str, str], cores: frozenset[int]
) -> AsyncIterator[Server]:
    """Run a module, with its arguments, on these cores; it has started once its output says its port."""
    log = folder / f"{'-'.join(argv)}.log"
    command = [sys.executable, "-c", _PINNED % (set(cores), list(argv), argv[0])]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=output, stderr=output)
    try:
        yield Server(f"127.0.0.1:{await _told(log, says_port, process)}", process.pid)
    finally:
        process.terminate()
        process.wait(30)


async def _told(log: Path, pattern: str, process: subprocess.Popen[bytes]) -> str:
    async with asyncio.timeout(STARTS_WITHIN_S):
        while not (found := re.search(pattern, log.read_text())):
            if process.poll() is not None:
                raise RuntimeError(f"the server ended: {log.read_text()}")
            await asyncio.sleep(0.02)
    return found[1]


async def serve_echo() -> None:
    """The floor: the same server type, and nothing in the handler."""

    async def echo(request: pb.ScoreBatchRequest, _context: object) -> pb.ScoreBatchRequest:
        return request

    handler = grpc.unary_unary_rpc_method_handler(
        echo,
        request_deserializer=pb.ScoreBatchRequest.FromString,
        response_serializer=pb.ScoreBatchRequest.SerializeToString,
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Echo", {"Echo": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"echo on {port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(serve_echo())

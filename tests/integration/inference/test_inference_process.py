"""Inference as a process: how it starts, says it is ready, shares a port, stops; and its shadow role."""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from bus.events import Event
from bus.topics import SHADOW_MADE, dead_letter_of
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from inference_kit.planes import follow
from inference_kit.poisons import slow_as_basket
from inference_kit.process import Process, ProcessPlane, environment_of, process_plane, read_all
from inference_kit.stock import DURABLE_MODEL, MODEL, STRICT_MODEL, Stock, question, route_event
from local_stack import LocalStack
from tidemark.scoring.v1.feature_vector_pb2 import FeatureStatus
from tidemark.scoring.v1.prediction_pb2 import PredictionMade, Role
from tidemark.scoring.v1.scoring_service_pb2 import ScoreRequest
from tidemark.scoring.v1.scoring_service_pb2_grpc import ScoringServiceStub

pytestmark = pytest.mark.stack

# So many products of matrices are a run: see `slow_as_basket`.
SECONDS_TO_LOAD = 5000.0
StartStack = Callable[..., Awaitable[LocalStack]]


@pytest.fixture(scope="module")
async def plane(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ProcessPlane]:
    folder = tmp_path_factory.mktemp("inference")
    async with LocalStack(folder / "stack") as stack, process_plane(folder, stack) as plane:
        yield plane


@asynccontextmanager
async def _another(
    plane: ProcessPlane, log: Path, *arguments: str, **settings: str
) -> AsyncIterator[Process]:
    process = replace(plane.process, log=log, arguments=arguments)
    process.environment = {**plane.process.environment, "GRPC_PORT": "0", "METRICS_PORT": "0", **settings}
    process.start()
    try:
        yield process
    finally:
        process.stop()


async def test_it_is_ready_and_shows_what_it_counts(plane: ProcessPlane) -> None:
    await follow(plane, plane.stock.route(plane.stock.version()))
    await ScoringServiceStub(plane.channel).Score(question())
    # What was scored is counted and recorded after the reply, both after the same while.
    await plane.predictions()
    assert '"ready": true' in await plane.process.page("readyz")
    metrics = await plane.process.page("metrics")
    for name in (
        'inference_requests_total{model="returns",status="OK",variant="champion"}',
        "inference_latency_seconds_bucket",
        "inference_batch_size_bucket",
        "inference_waiting_requests",
        'inference_features_total{model="returns",status="MISSING"}',
        'inference_route_revision{model="returns"}',
        "inference_model_load_seconds_bucket",
    ):
        assert name in metrics


async def test_a_shadow_scores_what_was_served_through_a_kill_9(plane: ProcessPlane, tmp_path: Path) -> None:
    champion, shadow = plane.stock.version(bias=-1.0), plane.stock.version(bias=1.0)
    await follow(plane, plane.stock.route(champion, shadows=[shadow]))
    stub = ScoringServiceStub(plane.channel)
    ids = {f"shadowed-{number}" for number in range(200)}
    async with _another(plane, tmp_path / "shadow.log", "--role", "shadow") as process:
        for number, prediction_id in enumerate(sorted(ids)):
            await stub.Score(question(prediction_id=prediction_id))
            if number == 100:
                process.kill()
                process.start()
        made = await _shadowed(plane, ids)
        dead = await read_all(plane.stack.kafka_bootstrap, dead_letter_of("tidemark.predictions.made.v1"))

    served = {one.prediction_id: one for one in await _served(plane) if one.prediction_id in ids}
    assert set(made) == set(served) == ids
    for prediction_id, one in made.items():
        assert (one.version, one.variant, one.role) == (shadow.version, "shadow", Role.ROLE_SHADOW)
        assert one.features == served[prediction_id].features
        assert one.score > served[prediction_id].score
    assert not [event for event in dead if event.id in ids]


async def test_a_way_back_does_not_wait_for_another_models_slow_load(
    plane: ProcessPlane, tmp_path: Path
) -> None:
    one, two = plane.stock.version(bias=1.0), plane.stock.version(bias=2.0)
    for version in (one, two):
        await follow(plane, plane.stock.route(version))
    slow = slow_as_basket(tmp_path / "slow", plane.stock, STRICT_MODEL, golden_basket=SECONDS_TO_LOAD)
    loaded, back = plane.stock.route(slow, model=STRICT_MODEL), plane.stock.route(one)

    await plane.publish_route(route_event(loaded))
    await plane.publish_route(route_event(back))
    await plane.told(back)

    stub = ScoringServiceStub(plane.channel)
    assert (await stub.Score(question())).version == one.version
    with pytest.raises(grpc.aio.AioRpcError, match="its first route is being loaded") as caught:
        await stub.Score(question(model=STRICT_MODEL))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    await plane.told(loaded)
    assert (await stub.Score(question(model=STRICT_MODEL))).version == slow.version

    async with (
        _another(plane, tmp_path / "replica.log") as replica,
        grpc.aio.insecure_channel(await replica.address()) as channel,
    ):
        await _is_loading(ScoringServiceStub(channel), STRICT_MODEL)
        replica.terminate()
        assert await replica.ended() == 0, replica.output()
    gone = route_event(loaded)
    await plane.publish_route(Event(gone.id, gone.type, "test", "", 0, 0, gone.key, b"", tombstone=True))


async def test_a_replica_whose_route_cannot_be_served_is_not_ready_but_serves_the_rest_and_heals(
    plane: ProcessPlane, tmp_path: Path
) -> None:
    await follow(plane, plane.stock.route(plane.stock.version()))
    good = plane.stock.version(model=DURABLE_MODEL)
    await follow(plane, plane.stock.route(good, model=DURABLE_MODEL))
    late = plane.stock.version(bias=4.0)
    package = Path(late.package_uri.removeprefix("file://"))
    hidden = package.rename(package.with_name("hidden"))
    await plane.publish_route(route_event(plane.stock.route(late)))

    async with (
        _another(plane, tmp_path / "replica.log") as replica,
        grpc.aio.insecure_channel(await replica.address()) as channel,
    ):
        await replica.says(re.compile("MISSING_FILE"))
        health = await HealthStub(channel).Check(HealthCheckRequest())
        assert health.status == HealthCheckResponse.NOT_SERVING
        assert f"{MODEL}: MISSING_FILE" in await replica.page("readyz")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ScoringServiceStub(channel).Score(question())
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        await _answered(ScoringServiceStub(channel), question(model=DURABLE_MODEL))

        hidden.rename(package)
        await replica.says(re.compile('"event": "ready"'))
        reply = await ScoringServiceStub(channel).Score(question())
    assert reply.version == late.version


async def _is_loading(stub: ScoringServiceStub, model: str) -> None:
    """Return once a call is told that a model's first route is being loaded."""
    told = ""
    while "is being loaded" not in told:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Score(question(model=model))
        told = caught.value.details() or ""


async def _answered(stub: ScoringServiceStub, asked: ScoreRequest) -> None:
    """Wait until a model is served: each is loaded for itself."""
    async with asyncio.timeout(20):
        while True:
            call = stub.Score(asked)
            if (code := await call.code()) is grpc.StatusCode.OK:
                return
            assert code is grpc.StatusCode.UNAVAILABLE
            await asyncio.sleep(0.05)


async def test_replicas_may_share_a_port(plane: ProcessPlane, tmp_path: Path) -> None:
    settings = {"GRPC_REUSE_PORT": "true"}
    async with _another(plane, tmp_path / "one.log", **settings) as one:
        address = await one.address()
        settings["GRPC_PORT"] = address.rpartition(":")[2]
        async with _another(plane, tmp_path / "two.log", **settings) as two:
            assert await two.address() == address
            for process in (one, two):
                await process.says(re.compile('"event": "ready"'))
            one.stop()
            async with grpc.aio.insecure_channel(address) as channel:
                await ScoringServiceStub(channel).Score(question(), wait_for_ready=True)


async def test_a_port_in_use_is_named(plane: ProcessPlane, tmp_path: Path) -> None:
    port = (await plane.process.address()).rpartition(":")[2]
    async with _another(plane, tmp_path / "late.log", GRPC_PORT=port) as process:
        assert await process.ended() == 1
        assert f"127.0.0.1:{port} cannot be used: set GRPC_PORT=0 or another" in process.output()
        assert "Traceback" not in process.output()


async def test_a_stop_answers_what_is_in_hand_and_delivers_what_is_buffered(
    plane: ProcessPlane, tmp_path: Path
) -> None:
    await follow(plane, plane.stock.route(plane.stock.version()))
    ids = [f"last-{number}" for number in range(300)]
    async with _another(plane, tmp_path / "stopped.log", PREDICTION_LINGER_MS="500") as process:
        await process.says(re.compile('"event": "ready"'))
        async with grpc.aio.insecure_channel(await process.address()) as channel:
            stub = ScoringServiceStub(channel)
            replies = [asyncio.ensure_future(_score(stub, one)) for one in ids]
            await asyncio.wait(replies, return_when=asyncio.FIRST_COMPLETED)
            code = await asyncio.to_thread(process.stop)
            answered = {name for name in await asyncio.gather(*replies) if name}
    assert code == 0
    assert answered
    recorded = {event.id for event in await plane.predictions()}
    assert recorded & set(ids) == answered


async def test_it_starts_while_kafka_is_away_and_serves_when_it_comes(
    tmp_path: Path, own_stack: StartStack
) -> None:
    stack = await own_stack(valkey=None)
    stock = Stock(tmp_path)
    process = Process(
        tmp_path / "early.log", {**environment_of(stack, stock), "REDIS_URL": "redis://127.0.0.1:1/0"}
    )
    await stack.kafka.stop()
    process.start()
    try:
        async with grpc.aio.insecure_channel(await process.address()) as channel:
            health = await HealthStub(channel).Check(HealthCheckRequest())
            assert health.status == HealthCheckResponse.NOT_SERVING
            await stack.kafka.start()
            await process.says(re.compile('"event": "ready"'))
            health = await HealthStub(channel).Check(HealthCheckRequest())
            assert health.status == HealthCheckResponse.SERVING
    finally:
        assert process.stop() == 0


async def test_it_starts_without_valkey_and_scores_with_defaults(plane: ProcessPlane, tmp_path: Path) -> None:
    await follow(plane, plane.stock.route(plane.stock.version()))
    async with _another(plane, tmp_path / "blind.log", REDIS_URL="redis://127.0.0.1:1/0") as process:
        await process.says(re.compile('"event": "ready"'))
        async with grpc.aio.insecure_channel(await process.address()) as channel:
            reply = await ScoringServiceStub(channel).Score(question())
    assert reply.feature_statuses[0] == FeatureStatus.FEATURE_STATUS_DEFAULTED


@pytest.mark.parametrize(
    ("project", "says"),
    [
        ("", "TIDEMARK_PROJECT='' cannot be loaded"),
        ("no.such.project", "there is no module 'no'"),
        ("broken_project", "broken_project.py:3"),
    ],
)
def test_a_project_that_cannot_be_loaded_is_named(tmp_path: Path, project: str, says: str) -> None:
    (tmp_path / "broken_project.py").write_text('"""A typo."""\n\nraise ValueError("typo")\n')
    done = subprocess.run(
        [sys.executable, "-m", "inference"],
        env={"TIDEMARK_PROJECT": project, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr


async def _score(stub: ScoringServiceStub, prediction_id: str) -> str:
    """The id once answered; nothing when the server had stopped before."""
    try:
        return (await stub.Score(question(prediction_id=prediction_id))).prediction_id
    except grpc.aio.AioRpcError as error:
        # gRPC cancels what the server had not looked at yet.
        if error.code() not in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}:
            raise
        return ""


async def _served(plane: ProcessPlane) -> list[PredictionMade]:
    return [PredictionMade.FromString(event.data) for event in await plane.predictions()]


async def _shadowed(plane: ProcessPlane, ids: set[str]) -> dict[str, PredictionMade]:
    """The shadows' scores of these predictions, once all are there."""
    async with asyncio.timeout(60):
        while True:
            events = await read_all(plane.stack.kafka_bootstrap, SHADOW_MADE.name)
            made = [PredictionMade.FromString(event.data) for event in events]
            found = {one.prediction_id: one for one in made if one.prediction_id in ids}
            if set(found) == ids:
                return found

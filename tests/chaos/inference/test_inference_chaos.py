"""What a served request may notice when things around inference die: nothing."""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import pytest
from inference_kit.planes import follow, is_serving
from inference_kit.process import ProcessPlane, process_plane
from inference_kit.stock import DURABLE_MODEL, question, route_event
from local_stack import LocalStack
from tidemark.scoring.v1.feature_vector_pb2 import FeatureStatus
from tidemark.scoring.v1.scoring_service_pb2 import ScoreResponse
from tidemark.scoring.v1.scoring_service_pb2_grpc import ScoringServiceStub

pytestmark = [pytest.mark.stack, pytest.mark.plane]

StartStack = Callable[..., Awaitable[LocalStack]]

PRESENT = FeatureStatus.FEATURE_STATUS_PRESENT
DEFAULTED = FeatureStatus.FEATURE_STATUS_DEFAULTED
CLIENTS = 8
BUFFER = 50


class Load:
    """Clients that ask for ever, one question after the other each, and keep every reply."""

    def __init__(self, plane: ProcessPlane, **changes: str) -> None:
        self._stub = ScoringServiceStub(plane.channel)
        self._changes = changes
        self._arrived = asyncio.Condition()
        self.replies: list[ScoreResponse] = []
        self.errors: list[grpc.aio.AioRpcError] = []

    async def run(self, client: int) -> None:
        number = 0
        while not self.errors:
            request = question("ann", "tea", prediction_id=f"{client}-{number}", **self._changes)
            try:
                self.replies.append(await self._stub.Score(request))
            except grpc.aio.AioRpcError as error:
                self.errors.append(error)
            number += 1
            async with self._arrived:
                self._arrived.notify_all()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60), self._arrived:
            await self._arrived.wait_for(lambda: condition() or bool(self.errors))

    async def more(self, count: int) -> None:
        wanted = len(self.replies) + count
        await self.until(lambda: len(self.replies) >= wanted)


async def test_scoring_goes_on_while_valkey_is_killed_and_comes_back(
    tmp_path: Path, own_stack: StartStack
) -> None:
    stack = await own_stack()
    async with process_plane(tmp_path, stack, REDIS_DEADLINE_MS="100") as plane:
        await follow(plane, plane.stock.route(plane.stock.version()))
        await plane.apply([{"user": "ann", "item": "tea"}])
        await is_serving(plane)
        load = Load(plane)
        async with asyncio.TaskGroup() as tasks:
            clients = [tasks.create_task(load.run(client)) for client in range(CLIENTS)]
            await load.until(lambda: bool(load.replies) and _status(load.replies[-1]) == PRESENT)
            await load.more(100)

            stack.valkey.kill()
            await load.until(lambda: _status(load.replies[-1]) == DEFAULTED)
            await load.more(500)

            await stack.valkey.start()
            await load.until(lambda: _status(load.replies[-1]) != DEFAULTED)
            await load.more(100)
            for client in clients:
                client.cancel()

    assert load.errors == []
    statuses = Counter(_status(reply) for reply in load.replies)
    assert statuses[PRESENT] >= 100
    assert statuses[DEFAULTED] >= 500


async def test_a_damaged_package_is_refused_under_load_and_routes_go_on_changing(
    tmp_path: Path, own_stack: StartStack
) -> None:
    async with process_plane(tmp_path, await own_stack()) as plane:
        old, new, damaged = (plane.stock.version(bias=bias) for bias in (-1.0, 1.0, 2.0))
        graph = Path(damaged.package_uri.removeprefix("file://")) / "model.onnx"
        graph.write_bytes(graph.read_bytes()[:-1])
        await follow(plane, plane.stock.route(old))
        await is_serving(plane)
        load = Load(plane)
        async with asyncio.TaskGroup() as tasks:
            clients = [tasks.create_task(load.run(client)) for client in range(CLIENTS)]
            await load.more(100)
            # Beside a good one: an arm that cannot be trusted spoils its route, not the requests.
            await plane.publish_route(route_event(plane.stock.route(new, damaged)))
            while not any(b"DIGEST_MISMATCH" in event.data for event in await plane.said()):
                await load.more(1)
            await load.more(100)
            assert {reply.version for reply in load.replies} == {old.version}

            for version in (new, old, new, old):
                await plane.publish_route(route_event(plane.stock.route(version)))
                await load.until(lambda version=version: load.replies[-1].version == version.version)
            for client in clients:
                client.cancel()
        assert not load.errors
        assert {reply.version for reply in load.replies} == {old.version, new.version}


async def test_scoring_goes_on_while_valkey_hangs(tmp_path: Path, own_stack: StartStack) -> None:
    stack = await own_stack()
    async with process_plane(tmp_path, stack, REDIS_DEADLINE_MS="100") as plane:
        await follow(plane, plane.stock.route(plane.stock.version()))
        await plane.apply([{"user": "ann", "item": "tea"}])
        await is_serving(plane)
        load = Load(plane)
        async with asyncio.TaskGroup() as tasks:
            clients = [tasks.create_task(load.run(client)) for client in range(CLIENTS)]
            await load.until(lambda: bool(load.replies) and _status(load.replies[-1]) == PRESENT)

            stack.valkey.pause()
            with pytest.raises(grpc.aio.AioRpcError) as late:
                await ScoringServiceStub(plane.channel).Score(question(prediction_id="late"), timeout=0.05)
            await load.until(lambda: _status(load.replies[-1]) == DEFAULTED)
            # Were every request to wait for its deadline, so many would take a minute.
            await load.more(5_000)

            stack.valkey.resume()
            await load.until(lambda: _status(load.replies[-1]) == PRESENT)
            for client in clients:
                client.cancel()
        recorded = {event.id for event in await plane.predictions()}

    assert load.errors == []
    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "late" not in recorded


async def test_scoring_goes_on_without_kafka_and_what_was_buffered_arrives(
    tmp_path: Path, own_stack: StartStack
) -> None:
    stack = await own_stack()
    async with process_plane(tmp_path, stack, PREDICTION_BUFFER=str(BUFFER)) as plane:
        await follow(plane, plane.stock.route(plane.stock.version(model=DURABLE_MODEL), model=DURABLE_MODEL))
        await follow(plane, plane.stock.route(plane.stock.version()))
        stub = ScoringServiceStub(plane.channel)
        before = [f"before-{number}" for number in range(10)]
        for prediction_id in before:
            await stub.Score(question(prediction_id=prediction_id))
        assert {event.id for event in await plane.predictions()} >= set(before)

        stack.kafka.kill()
        during = [f"during-{number}" for number in range(4 * BUFFER)]
        for prediction_id in during:
            await stub.Score(question(prediction_id=prediction_id))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Score(question(model=DURABLE_MODEL))
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        dropped = await _metric(plane, 'inference_dropped_events_total{model="returns",reason="BUFFER_FULL"}')
        assert dropped == len(during) - BUFFER

        await stack.kafka.start()
        await _eventually(lambda: stub.Score(question(model=DURABLE_MODEL, prediction_id="after")))
        arrived = Counter(event.id for event in await plane.predictions())

    # UNAVAILABLE does not say that the prediction will not arrive: "after" may have done so twice.
    assert arrived.pop("after") >= 1
    assert {name: arrived[name] for name in before + during if name in arrived} == dict.fromkeys(
        before + during[:BUFFER], 1
    )


async def test_every_durable_reply_is_in_the_log_after_kill_9_and_a_restart_serves_at_once(
    tmp_path: Path, own_stack: StartStack
) -> None:
    stack = await own_stack()
    async with process_plane(tmp_path, stack) as plane:
        await follow(plane, plane.stock.route(plane.stock.version(model=DURABLE_MODEL), model=DURABLE_MODEL))
        load = Load(plane, model=DURABLE_MODEL)
        async with asyncio.TaskGroup() as tasks:
            for client in range(CLIENTS):
                tasks.create_task(load.run(client))
            await load.more(200)
            plane.process.kill()
        answered = {reply.prediction_id for reply in load.replies}

        plane.process.start()
        async with grpc.aio.insecure_channel(await plane.process.address()) as channel:
            plane.channel = channel
            await is_serving(plane)
            reply = await ScoringServiceStub(channel).Score(question(model=DURABLE_MODEL))
        recorded = Counter(event.id for event in await plane.predictions())

    assert reply.variant == "champion"
    assert answered <= set(recorded)
    assert set(recorded.values()) == {1}


async def _eventually(ask: Callable[[], Awaitable[ScoreResponse]]) -> ScoreResponse:
    """Ask again while the answer is UNAVAILABLE, as a caller would."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await ask()
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise


def _status(reply: ScoreResponse) -> FeatureStatus.ValueType:
    return reply.feature_statuses[0]


async def _metric(plane: ProcessPlane, name: str) -> float:
    text = await plane.process.page("metrics")
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert found, text
    return float(found[1])

"""What callers notice of a replica that stops, or is killed, while they ask: nothing, or what is promised."""

import asyncio
import json
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
from inference_kit.planes import follow, is_serving
from inference_kit.process import Process, ProcessPlane, environment_of, process_plane
from inference_kit.stock import MODEL, question
from local_stack import LocalStack
from local_stack.ports import choose
from tidemark.scoring.v1.scoring_service_pb2_grpc import ScoringServiceStub

pytestmark = [pytest.mark.stack, pytest.mark.plane]

StartStack = Callable[..., Awaitable[LocalStack]]

CALLERS = 8
VECTOR = {"name": "features", "datatype": "FP32", "shape": [1, 7], "data": [0.5] * 7}
SERVICE = "tidemark.scoring.v1.ScoringService"
# Go where health says SERVING: https://github.com/grpc/proposal/blob/master/A17-client-side-health-checking.md
WATCHES_HEALTH = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "healthCheckConfig": {"serviceName": SERVICE},
}
# A stopping server cancels what it has not looked at, which was not scored: asking again is safe.
ASKS_AGAIN = {
    "methodConfig": [
        {
            "name": [{"service": SERVICE}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.02s",
                "maxBackoff": "0.5s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
            },
        }
    ]
}


class CallFailed(Exception):
    """A call was not answered."""


class Callers(ABC):
    """Callers that ask one question after the other."""

    def __init__(self) -> None:
        self._more = asyncio.Condition()
        self.answered: dict[str, float] = {}
        self.errors: Counter[str] = Counter()

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        tasks = [asyncio.ensure_future(self._ask(number)) for number in range(CALLERS)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def more(self, count: int) -> None:
        wanted = len(self.answered) + count
        async with asyncio.timeout(60), self._more:
            await self._more.wait_for(lambda: len(self.answered) >= wanted or bool(self.errors))

    async def _ask(self, caller: int) -> None:
        number = 0
        while not self.errors:
            name = f"{caller}-{number}"
            number += 1
            try:
                await self._ask_once(name)
                self.answered[name] = time.monotonic()
            except CallFailed as error:
                self.errors[str(error)] += 1
            async with self._more:
                self._more.notify_all()

    @abstractmethod
    async def _ask_once(self, name: str) -> None:
        """Have a prediction of this id made."""


class GrpcCallers(Callers):
    """Callers on one channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        super().__init__()
        self._stub = ScoringServiceStub(channel)

    async def _ask_once(self, name: str) -> None:
        try:
            await self._stub.Score(question(prediction_id=name, explain_features=False))
        except grpc.aio.AioRpcError as error:
            raise CallFailed(f"{error.code().name}: {error.details()}") from error


@asynccontextmanager
async def _another(plane: ProcessPlane, log: Path, **settings: str) -> AsyncIterator[Process]:
    """A second replica, ready."""
    ports = zip(("GRPC_PORT", "METRICS_PORT"), map(str, choose(2, seed=str(log))), strict=True)
    process = Process(log, {**environment_of(plane.stack, plane.stock), **dict(ports), **settings})
    process.start()
    try:
        await process.is_ready()
        yield process
    finally:
        process.stop()


class RestCallers(Callers):
    """Callers that ask over REST until the server says that it is not ready, as who watches it would."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        super().__init__()
        self._session = session
        self.left = asyncio.Event()

    async def watch(self) -> None:
        """Return once the server is not ready."""
        while await self._status("GET", "/v2/health/ready") == 200:
            pass
        self.left.set()

    async def _ask_once(self, name: str) -> None:
        if self.left.is_set():
            await asyncio.Event().wait()
        asked = {"id": name, "inputs": [VECTOR]}
        if status := await self._status("POST", f"/v2/models/{MODEL}/infer", json=asked) - 200:
            raise CallFailed(str(status + 200))

    async def _status(self, method: str, path: str, **body: Any) -> int:
        try:
            async with self._session.request(method, path, **body) as answer:
                await answer.read()
                return answer.status
        except aiohttp.ClientError as error:
            raise CallFailed(repr(error)) from error


async def test_no_call_fails_while_a_replica_stops_for_callers_that_watch_health(
    tmp_path: Path, own_stack: StartStack
) -> None:
    # The plane chooses its own by its folder.
    (port,) = choose(1, seed=f"{tmp_path} rest")
    stack = await own_stack()
    async with process_plane(tmp_path, stack, DRAIN_SECONDS="1", REST_PORT=str(port)) as plane:
        await follow(plane, plane.stock.route(plane.stock.version()))
        await is_serving(plane)
        async with _another(plane, tmp_path / "other.log") as other:
            both = ",".join([await plane.process.address(), await other.address()])
            async with (
                _channel(f"ipv4:{both}", WATCHES_HEALTH) as channel,
                aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
            ):
                callers, over_rest = GrpcCallers(channel), RestCallers(session)
                async with callers.asking(), over_rest.asking():
                    await asyncio.gather(callers.more(200), over_rest.more(200))
                    plane.process.terminate()
                    await over_rest.watch()
                    assert await plane.process.ended() == 0
                    await callers.more(200)
        assert (callers.errors, over_rest.errors) == (Counter(), Counter())


async def test_no_call_fails_while_a_replica_stops_for_callers_that_ask_again(
    tmp_path: Path, own_stack: StartStack
) -> None:
    async with process_plane(tmp_path, await own_stack(), GRPC_REUSE_PORT="true") as plane:
        await follow(plane, plane.stock.route(plane.stock.version()))
        await is_serving(plane)
        address = await plane.process.address()
        port = address.rpartition(":")[2]
        async with (
            _another(plane, tmp_path / "other.log", GRPC_REUSE_PORT="true", GRPC_PORT=port),
            _channel(address, ASKS_AGAIN) as one,
            _channel(address, ASKS_AGAIN) as two,
        ):
            callers = [GrpcCallers(one), GrpcCallers(two)]
            async with callers[0].asking(), callers[1].asking():
                await asyncio.gather(*[some.more(200) for some in callers])
                plane.process.terminate()
                assert await plane.process.ended() == 0
                await asyncio.gather(*[some.more(200) for some in callers])
        assert [some.errors for some in callers] == [Counter(), Counter()]


async def test_kill_9_loses_no_async_prediction_that_was_answered_more_than_a_moment_before(
    tmp_path: Path, own_stack: StartStack
) -> None:
    async with process_plane(tmp_path, await own_stack()) as plane:
        await follow(plane, plane.stock.route(plane.stock.version()))
        callers = GrpcCallers(plane.channel)
        async with callers.asking():
            await callers.more(500)
            killed_s = time.monotonic()
            plane.process.kill()
        recorded = {event.id for event in await plane.predictions()}
    lost = {name: at_s for name, at_s in callers.answered.items() if name not in recorded}
    # The linger of 20 ms and what a delivery takes; a busy machine has a second.
    assert all(killed_s - at_s < 1.0 for at_s in lost.values()), sorted(lost.values())
    assert len(recorded) >= 1


@asynccontextmanager
async def _channel(target: str, service_config: object) -> AsyncIterator[grpc.aio.Channel]:
    options = [
        ("grpc.service_config", json.dumps(service_config)),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    async with grpc.aio.insecure_channel(target, options=options) as channel:
        yield channel

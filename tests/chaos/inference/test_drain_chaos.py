"""What callers notice of a replica that stops, or is killed, while they ask: nothing, or what is promised."""

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from inference_kit.planes import follow, is_serving
from inference_kit.process import Process, ProcessPlane, environment_of, process_plane
from inference_kit.stock import question
from local_stack import LocalStack
from tidemark.scoring.v1.scoring_service_pb2_grpc import ScoringServiceStub

pytestmark = pytest.mark.stack

StartStack = Callable[..., Awaitable[LocalStack]]

CALLERS = 8
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


class Callers:
    """Callers that ask one question after the other, on one channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = ScoringServiceStub(channel)
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
                await self._stub.Score(question(prediction_id=name, explain_features=False))
                self.answered[name] = time.monotonic()
            except grpc.aio.AioRpcError as error:
                self.errors[f"{error.code().name}: {error.details()}"] += 1
            async with self._more:
                self._more.notify_all()


@asynccontextmanager
async def _another(plane: ProcessPlane, log: Path, **settings: str) -> AsyncIterator[Process]:
    """A second replica, ready."""
    process = Process(log, {**environment_of(plane.stack, plane.stock), **settings})
    process.start()
    try:
        await process.says(re.compile('"event": "ready"'))
        yield process
    finally:
        process.stop()


async def test_no_call_fails_while_a_replica_stops_for_callers_that_watch_health(
    tmp_path: Path, own_stack: StartStack
) -> None:
    async with process_plane(tmp_path, await own_stack(), DRAIN_SECONDS="1") as plane:
        await follow(plane, plane.stock.route(plane.stock.version()))
        await is_serving(plane)
        async with _another(plane, tmp_path / "other.log") as other:
            both = ",".join([await plane.process.address(), await other.address()])
            async with _channel(f"ipv4:{both}", WATCHES_HEALTH) as channel:
                callers = Callers(channel)
                async with callers.asking():
                    await callers.more(200)
                    plane.process.terminate()
                    assert await plane.process.ended() == 0
                    await callers.more(200)
        assert callers.errors == Counter()


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
            callers = [Callers(one), Callers(two)]
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
        callers = Callers(plane.channel)
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

"""Servers that are killed and come back while clients ask: what callers notice, and what servers do."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from bus.producer import KafkaPublisher
from bus.topics import CATALOGUE, ROUTES_CHANGED, ensure_topics
from inference_kit.process import SAYS_PORT, Process, environment_of
from inference_kit.stock import MODEL, Stock, question, route_event
from tidemark.scoring.v1.scoring_service_pb2_grpc import ScoringServiceStub
from tidemark_client import AsyncClient, CallRecord, DeadlineExceeded, NotReady, Score, TidemarkError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from local_stack import LocalStack

pytestmark = pytest.mark.stack

TIMEOUT_S = 2.0
SLACK_S = 1.0
"""How much later than its deadline a call may end, beside what the loop itself was held up."""
CALLERS = 8
START_S = 120
KNOWN: dict[str, Any] = {
    "gift": True,
    "basket": 3.5,
    "channel": "web",
    "asked_at": datetime(2013, 4, 3, tzinfo=UTC),
}


class Load:
    """Callers that ask for ever, one question after the other each, and keep how each ended and when."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._ended = asyncio.Condition()
        self.ends: list[tuple[Score | TidemarkError, float]] = []
        self.longest_stall_s = 0.0

    async def watch_the_loop(self) -> None:
        """Note how late a machine that runs other tests lets this loop be."""
        while True:
            due_s = time.monotonic() + 0.05
            await asyncio.sleep(0.05)
            self.longest_stall_s = max(self.longest_stall_s, time.monotonic() - due_s)

    async def run(self) -> None:
        while True:
            begun_s = time.monotonic()
            end: Score | TidemarkError
            try:
                end = await self._client.score(MODEL, {"user": "ann", "item": "tea"}, KNOWN)
            except TidemarkError as error:
                end = error
            self.ends.append((end, time.monotonic() - begun_s))
            async with self._ended:
                self._ended.notify_all()
            await asyncio.sleep(0.001)  # a thousand refusals a second are enough

    async def more(self, count: int, kind: type) -> None:
        """Wait for so many more ends of a kind."""
        begin = len(self.ends)
        async with asyncio.timeout(START_S), self._ended:
            await self._ended.wait_for(
                lambda: sum(isinstance(end, kind) for end, _ in self.ends[begin:]) >= count
            )


async def serving(process: Process) -> str:
    """Return where a process listens once it scores."""
    address = f"127.0.0.1:{(await process.says(SAYS_PORT, START_S))[1]}"
    async with grpc.aio.insecure_channel(address) as channel, asyncio.timeout(START_S):
        stub = ScoringServiceStub(channel)
        while await stub.Score(question(), wait_for_ready=True).code() is not grpc.StatusCode.OK:  # noqa: ASYNC110 - a process is waited for
            await asyncio.sleep(0.05)
    return address


async def test_every_call_ends_in_time_with_a_score_or_a_typed_error_and_retries_stay_in_budget(
    tmp_path: Path, own_stack: Callable[..., Awaitable[LocalStack]]
) -> None:
    stack = await own_stack(valkey=None)
    stock = Stock(tmp_path)
    await ensure_topics(stack.kafka_bootstrap, CATALOGUE)
    async with KafkaPublisher(stack.kafka_bootstrap, client_id="test") as publisher:
        await publisher.publish(ROUTES_CHANGED.name, route_event(stock.route(stock.version())))
    environment = {**environment_of(stack, stock), "REDIS_URL": "redis://127.0.0.1:1/0"}
    one, two = (Process(tmp_path / f"{name}.log", environment) for name in ("one", "two"))
    records: list[CallRecord] = []
    async with AsyncExitStack() as ending:
        addresses = []
        for process in (one, two):
            ending.callback(process.kill)
            process.start()
            addresses.append(await serving(process))
        client = await ending.enter_async_context(
            AsyncClient(addresses, timeout_s=TIMEOUT_S, on_call=records.append)
        )
        load = Load(client)
        async with asyncio.TaskGroup() as tasks:
            callers = [tasks.create_task(load.run()) for _ in range(CALLERS)]
            callers.append(tasks.create_task(load.watch_the_loop()))
            await load.more(500, Score)
            one.kill()
            await load.more(1_000, Score)
            assert not [end for end, _ in load.ends if not isinstance(end, Score)]  # the other answered

            two.kill()
            await load.more(300, NotReady)

            two.environment = {**environment, "GRPC_PORT": addresses[1].rpartition(":")[2]}
            two.start()
            await load.more(500, Score)
            for caller in callers:
                caller.cancel()

    # A server that has its port but does not speak yet lets a call wait for its deadline.
    assert {type(end) for end, _ in load.ends} <= {Score, NotReady, DeadlineExceeded}
    assert max(seconds for _, seconds in load.ends) < TIMEOUT_S + load.longest_stall_s + SLACK_S
    attempts = sum(record.attempts for record in records)
    assert attempts / len(records) <= 1.1
    assert attempts > len(records)  # there were retries at all

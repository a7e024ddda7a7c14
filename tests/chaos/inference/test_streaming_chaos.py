"""Requests that come as events are answered once each, whoever dies, comes or goes in the middle."""

import asyncio
import re
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from bus.events import Event
from bus.kafka.tail import KafkaTail
from bus.producer import KafkaPublisher
from bus.topics import (
    CATALOGUE,
    PREDICTIONS_MADE,
    ROUTES_CHANGED,
    SCORING_REQUESTED,
    dead_letter_of,
    ensure_topics,
)
from feature_store.online import Applier
from feature_store.online.redis import RedisClaims, RedisFeatureRows, connect
from inference_kit.process import Process, environment_of
from inference_kit.stock import NOW_US, Stock, question, route_event
from local_stack import LocalStack
from tidemark.scoring.v1.feature_vector_pb2 import FeatureStatus
from tidemark.scoring.v1.prediction_pb2 import PredictionMade
from tidemark.scoring.v1.scoring_requested_pb2 import ScoringRequested

pytestmark = pytest.mark.stack

StartStack = Callable[..., Awaitable[LocalStack]]
WITHIN_SECONDS = 90
PRESENT = FeatureStatus.FEATURE_STATUS_PRESENT


def asked(number: int) -> Event:
    """A request; every tenth is of a model that nobody has."""
    told = question("ann", "tea")
    request = ScoringRequested(
        model="nobody" if number % 10 == 0 else told.model,
        entities=told.entities,
        context=told.context,
        request_time=told.request_time,
        request_key=f"order-{number}",
    )
    key = request.request_key
    return Event.of(request, id=f"r{number}", source="test", key=key, time_us=NOW_US, recorded_time_us=NOW_US)


class Watch:
    """Everything that readers of committed records see of a topic, as it comes."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._tail = KafkaTail(bootstrap, topic, client_id="watch")
        self.seen: list[tuple[str, bytes]] = []
        self._came = asyncio.Condition()

    async def run(self) -> None:
        await self._tail.open({})
        try:
            while True:
                for record in await self._tail.poll(100):
                    self.seen.append((dict(record.headers)["ce_id"].decode(), record.value or b""))
                async with self._came:
                    self._came.notify_all()
        finally:
            await self._tail.close()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(WITHIN_SECONDS), self._came:
            await self._came.wait_for(lambda: len({event_id for event_id, _ in self.seen}) >= count)

    def counted(self) -> Counter[str]:
        return Counter(event_id for event_id, _ in self.seen)


class Town:
    """A stack with a route and rows, members that score its events, and who asks."""

    def __init__(self, folder: Path, stack: LocalStack) -> None:
        self.stack = stack
        self.stock = Stock(folder)
        self._folder = folder
        self._members: list[Process] = []
        self._asked = 0
        self.publisher = KafkaPublisher(stack.kafka_bootstrap, client_id="test")

    async def prepare(self) -> None:
        await ensure_topics(self.stack.kafka_bootstrap, CATALOGUE)
        client = await connect(self.stack.redis_url)
        applier = Applier(self.stock.project.views.values(), RedisFeatureRows(client), RedisClaims(client))
        await self.stock.apply(applier, [{"user": "ann", "item": "tea"}])
        await client.aclose()
        route = self.stock.route(self.stock.version(), self.stock.version(bias=1.0))
        await self.publisher.publish(ROUTES_CHANGED.name, route_event(route))

    def member(self) -> Process:
        settings = {"STREAM_MAX_BATCH": "40", "STREAM_WAIT_MS": "5"}
        process = Process(
            self._folder / f"stream-{len(self._members)}.log",
            {**environment_of(self.stack, self.stock), **settings},
            ("--role", "stream"),
        )
        process.start()
        self._members.append(process)
        return process

    async def ask(self, count: int) -> None:
        events = [asked(number) for number in range(self._asked, self._asked + count)]
        self._asked += count
        await self.publisher.publish_all(SCORING_REQUESTED.name, events)

    def expected(self) -> tuple[set[str], set[str]]:
        numbers = range(self._asked)
        refused = {f"r{number}" for number in numbers if number % 10 == 0}
        return {f"r{number}" for number in numbers} - refused, refused

    async def close(self) -> None:
        for process in self._members:
            process.stop()
        await self.publisher.close()


@pytest.fixture
async def town(tmp_path: Path, own_stack: StartStack) -> AsyncIterator[Town]:
    town = Town(tmp_path, await own_stack())
    try:
        await town.prepare()
        yield town
    finally:
        await town.close()


async def test_each_request_is_answered_once_through_kills_rebalances_and_a_broker_restart(
    town: Town,
) -> None:
    made = Watch(town.stack.kafka_bootstrap, PREDICTIONS_MADE.name)
    dead = Watch(town.stack.kafka_bootstrap, dead_letter_of(SCORING_REQUESTED.name))
    async with asyncio.TaskGroup() as tasks:
        watching = [tasks.create_task(made.run()), tasks.create_task(dead.run())]
        first, second = town.member(), town.member()
        await town.ask(2_000)
        await made.until(300)
        first.kill()
        third = town.member()
        await town.ask(2_000)
        await made.until(2_400)
        second.stop()
        await town.ask(2_000)
        await made.until(4_000)
        town.stack.kafka.kill()
        await town.stack.kafka.start()
        fourth = town.member()
        await town.ask(2_000)
        answered, refused = town.expected()
        await made.until(len(answered))
        await dead.until(len(refused))
        assert third.stop() == 0
        # On a slow machine the others are done before it knows of signals.
        assert fourth.stop() in {0, -signal.SIGTERM}
        for watch in watching:
            watch.cancel()
    await town.close()
    _once(made.counted(), answered)
    _once(dead.counted(), refused)
    assert all(_is_whole(PredictionMade.FromString(value)) for _, value in made.seen)


async def test_requests_wait_for_rows_rather_than_being_scored_with_defaults(town: Town) -> None:
    made = Watch(town.stack.kafka_bootstrap, PREDICTIONS_MADE.name)
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(made.run())
        member = town.member()
        await town.ask(200)
        await made.until(180)
        town.stack.valkey.kill()
        await town.ask(200)
        await member.says(re.compile("Redis does not give feature rows"), WITHIN_SECONDS)
        assert "Redis does not give feature rows" in await member.page("readyz")
        assert len(made.seen) == 180
        await town.stack.valkey.start()
        await made.until(360)
        watching.cancel()
    await town.close()
    _once(made.counted(), town.expected()[0])
    assert all(_is_whole(PredictionMade.FromString(value)) for _, value in made.seen)


def _once(counted: Counter[str], expected: set[str]) -> None:
    assert not expected - counted.keys(), "lost"
    assert {event_id: count for event_id, count in counted.items() if count > 1} == {}
    assert counted.keys() == expected


def _is_whole(made: PredictionMade) -> bool:
    return PRESENT in made.features.statuses and not _lacking(made.features.statuses)


def _lacking(statuses: Sequence[int]) -> bool:
    return FeatureStatus.FEATURE_STATUS_DEFAULTED in statuses

"""The broker dies, or freezes, under everything that talks to it, and comes back."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from bus.buffered import BufferedPublisher
from bus.events import Event
from bus.inspect import tail
from bus.producer import KafkaPublisher
from bus.progress import targets_of
from bus.runner import ConsumerRunner, Membership
from bus.testing import IMPATIENT, NotingHandler
from bus.topics import PROGRESSED, Topic, ensure_topics
from bus.tracker import ProgressTracker
from local_stack import LocalStack

TIME_US = 1_357_017_300_000_000
FACTS = Topic("facts", None, "k", 2, timedelta(hours=1))
PREDICTIONS = Topic("predictions", None, "k", 2, timedelta(hours=1))
QUICK = Membership(session_timeout_ms=6_000, heartbeat_ms=200)

StartStack = Callable[..., Awaitable[LocalStack]]


def event(number: int) -> Event:
    key = f"k{number % 5}"
    return Event(str(number), "T", "s", key, TIME_US + number, TIME_US + number, key.encode(), b"data")


@pytest.fixture
async def stack(own_stack: StartStack) -> LocalStack:
    stack = await own_stack(valkey=None)
    await ensure_topics(stack.kafka_bootstrap, [FACTS, PREDICTIONS, PROGRESSED])
    return stack


@asynccontextmanager
async def consuming(
    bootstrap: str, publisher: KafkaPublisher, effects: NotingHandler
) -> AsyncIterator[ConsumerRunner]:
    stop = asyncio.Event()
    runner = ConsumerRunner(
        bootstrap=bootstrap,
        group="g",
        topics=[FACTS.name],
        handler=effects,
        publisher=publisher,
        service="svc",
        retry=IMPATIENT,
        membership=QUICK,
    )
    async with asyncio.timeout(150), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(runner.run(stop))
        yield runner
        stop.set()
        await task


async def until_ready(runner: ConsumerRunner, *, ready: bool) -> None:
    while runner.ready is not ready:  # noqa: ASYNC110 - readiness is asked, as a probe does
        await asyncio.sleep(0.02)


async def ids_in(bootstrap: str, topic: str, count: int) -> list[str]:
    return [
        str(seen.event and seen.event.id)
        async for seen in tail(bootstrap, topic, from_beginning=True, limit=count)
    ]


async def test_a_broker_that_dies_and_returns_loses_nothing_for_anybody(stack: LocalStack) -> None:
    bootstrap, effects = stack.kafka_bootstrap, NotingHandler()
    async with (
        KafkaPublisher(bootstrap, client_id="upstream") as upstream,
        KafkaPublisher(bootstrap, client_id="svc") as publisher,
        BufferedPublisher(
            KafkaPublisher(bootstrap, client_id="buffer"), name="buffer", max_events=1_000
        ) as buffer,
        ProgressTracker(bootstrap) as tracker,
        consuming(bootstrap, publisher, effects) as runner,
    ):
        positions = await upstream.publish_all(FACTS.name, [event(number) for number in range(100)])
        assert all(buffer.offer(PREDICTIONS.name, event(number)) for number in range(100))
        await tracker.reached("g", targets_of(positions), timeout_s=60)

        stack.kafka.kill()
        publishing = asyncio.ensure_future(
            upstream.publish_all(FACTS.name, [event(n) for n in range(100, 200)])
        )
        assert all(buffer.offer(PREDICTIONS.name, event(number)) for number in range(100, 1_000))
        await until_ready(runner, ready=False)
        assert "has not answered" in str(runner.not_ready_because)
        assert not publishing.done()
        # The offers of one turn of the loop never wait; those that exceed the bound are told so at once.
        taken = [buffer.offer(PREDICTIONS.name, event(number)) for number in range(1_000, 1_400)]
        assert taken == sorted(taken, reverse=True)
        assert taken.count(False) >= 300

        await stack.kafka.start()
        positions = await publishing
        await tracker.reached("g", targets_of(positions), timeout_s=60)
        await until_ready(runner, ready=True)
        await buffer.flush()
        kept = 1_000 + taken.count(True)
        found = await ids_in(bootstrap, PREDICTIONS.name, kept)
    assert set(effects.ids) == {str(number) for number in range(200)}
    # An idempotent producer sends again what was not acknowledged, and the broker recognises it.
    assert Counter(found) == Counter(str(number) for number in range(kept))


async def test_a_broker_that_freezes_is_waited_for(stack: LocalStack) -> None:
    bootstrap, effects = stack.kafka_bootstrap, NotingHandler()
    async with (
        KafkaPublisher(bootstrap, client_id="upstream") as upstream,
        KafkaPublisher(bootstrap, client_id="svc") as publisher,
        ProgressTracker(bootstrap) as tracker,
        consuming(bootstrap, publisher, effects) as runner,
    ):
        first = await upstream.publish_all(FACTS.name, [event(number) for number in range(50)])
        await tracker.reached("g", targets_of(first), timeout_s=60)
        stack.kafka.pause()
        publishing = asyncio.ensure_future(
            upstream.publish_all(FACTS.name, [event(n) for n in range(50, 100)])
        )
        await until_ready(runner, ready=False)
        stack.kafka.resume()
        second = await publishing
        await tracker.reached("g", targets_of(second), timeout_s=60)
        assert len({*first, *second}) == 100
    assert set(effects.ids) == {str(number) for number in range(100)}


async def test_a_publisher_that_finds_no_broker_at_first_delivers_once_there_is_one(
    stack: LocalStack,
) -> None:
    bootstrap = stack.kafka_bootstrap
    stack.kafka.kill()
    async with BufferedPublisher(KafkaPublisher(bootstrap, client_id="buffer"), name="early") as buffer:
        assert all(buffer.offer(PREDICTIONS.name, event(number)) for number in range(10))
        while buffer.away_because is None:  # noqa: ASYNC110 - what is waited for is a failure
            await asyncio.sleep(0.02)
        await stack.kafka.start()
        async with asyncio.timeout(60):
            await buffer.flush()
    found = await ids_in(bootstrap, PREDICTIONS.name, 10)
    assert sorted(map(int, found)) == list(range(10))

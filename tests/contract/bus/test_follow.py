"""Every tail hands a whole topic over, says when it has caught up, and goes on."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from bus.events import Event
from bus.follow import Follower, MemoryTail, Tail
from bus.kafka.tail import KafkaTail
from bus.memory import MemoryLog, MemoryPublisher
from bus.producer import KafkaPublisher, Publisher
from bus.received import Received
from bus.records import OutgoingRecord
from bus.topics import Topic, ensure_topics


@dataclass
class Stage:
    topic: str
    publisher: KafkaPublisher | MemoryPublisher
    tail: Tail


@pytest.fixture
def topic() -> str:
    return f"follow-{uuid.uuid4()}"


@pytest.fixture
def memory_stage(topic: str) -> Stage:
    log = MemoryLog(partitions=2)
    return Stage(topic, MemoryPublisher(log), MemoryTail(log, topic))


@pytest.fixture
async def kafka_stage(topic: str, kafka_bootstrap: str) -> AsyncIterator[Stage]:
    await ensure_topics(kafka_bootstrap, [Topic(topic, None, "key", 2, None, compacted=True)])
    async with KafkaPublisher(kafka_bootstrap, client_id="test") as publisher:
        yield Stage(topic, publisher, KafkaTail(kafka_bootstrap, topic, client_id="test"))


@pytest.fixture(params=["memory_stage", pytest.param("kafka_stage", marks=pytest.mark.stack)])
def stage(request: pytest.FixtureRequest) -> Stage:
    found: Stage = request.getfixturevalue(request.param)
    return found


async def test_what_was_there_before_and_what_comes_after_is_handed_over_in_order(stage: Stage) -> None:
    await _publish(stage.publisher, stage.topic, ["a1", "b1", "a2"])
    seen: list[str] = []
    async with _following(stage.tail, seen) as follower:
        await follower.read_once()
        assert follower.not_ready_because is None
        assert sorted(seen) == ["a1", "a2", "b1"]
        assert seen.index("a1") < seen.index("a2")

        await _publish(stage.publisher, stage.topic, ["a3"])
        await follower.caught_up()
        assert seen[-1] == "a3"


async def test_an_empty_topic_is_read_to_its_end_at_once(stage: Stage) -> None:
    async with _following(stage.tail, []) as follower:
        await follower.read_once()


async def test_a_record_without_an_envelope_is_passed_over(stage: Stage) -> None:
    await stage.publisher.publish_records(stage.topic, [OutgoingRecord(b"a", b"junk", [])])
    await _publish(stage.publisher, stage.topic, ["a1"])
    seen: list[str] = []
    async with _following(stage.tail, seen) as follower:
        await follower.read_once()
        assert seen == ["a1"]


async def test_a_tombstone_is_handed_over(stage: Stage) -> None:
    gone = Event("gone", "t", "test", "", 0, 0, b"a", b"", tombstone=True)
    await stage.publisher.publish(stage.topic, gone)
    found: list[Received] = []

    async def keep(received: Received) -> None:
        found.append(received)

    stop = asyncio.Event()
    follower = Follower(stage.tail, keep)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(follower.run(stop))
        await follower.read_once()
        stop.set()
    assert [received.event.tombstone for received in found] == [True]


@pytest.mark.stack
async def test_a_topic_that_comes_later_is_waited_for(kafka_bootstrap: str, topic: str) -> None:
    seen: list[str] = []
    async with _following(KafkaTail(kafka_bootstrap, topic, client_id="test"), seen) as follower:
        while "does not exist yet" not in (follower.not_ready_because or ""):  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)
        await ensure_topics(kafka_bootstrap, [Topic(topic, None, "key", 1, None)])
        await follower.read_once()


async def test_what_the_handler_raises_ends_the_following() -> None:
    log = MemoryLog()
    await _publish(MemoryPublisher(log), "t", ["a1"])

    async def fail(_received: Received) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await Follower(MemoryTail(log, "t"), fail).run(asyncio.Event())


@asynccontextmanager
async def _following(tail: Tail, seen: list[str]) -> AsyncIterator[Follower]:
    async def keep(received: Received) -> None:
        seen.append(received.event.id)

    stop = asyncio.Event()
    follower = Follower(tail, keep)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(follower.run(stop))
        yield follower
        stop.set()


async def _publish(publisher: Publisher, topic: str, ids: list[str]) -> None:
    events = [Event(one, "t", "test", "", 0, 0, one[:1].encode(), b"data") for one in ids]
    await publisher.publish_all(topic, events)

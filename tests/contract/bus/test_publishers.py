"""What every publisher promises, in memory and on Kafka."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import pytest
from bus.errors import EventTooLarge, MalformedEvent
from bus.events import Event, from_record
from bus.kafka.reading import topic_reader
from bus.memory import MemoryLog, MemoryPublisher
from bus.positions import Position, TopicPartition
from bus.producer import KafkaPublisher, Publisher
from bus.records import LogRecord, OutgoingRecord, RecordPublisher
from bus.topics import Topic, ensure_topics

TIME_US = 1_357_017_300_000_000
LIMIT_BYTES = 10_000


class AnyPublisher(Publisher, RecordPublisher, Protocol):
    """Both ports: every adapter has both."""


@dataclass
class World:
    """A publisher, a topic of four partitions, and a way to read it back."""

    publisher: AnyPublisher
    topic: str
    read: Callable[[], AsyncIterator[LogRecord]]

    async def events(self) -> dict[Position, Event]:
        return {
            Position(one.topic, one.partition, one.offset): from_record(
                one.key, one.value, one.headers, timestamp_ms=one.timestamp
            )
            async for one in self.read()
        }


def in_memory() -> World:
    log = MemoryLog(partitions=4)

    async def read() -> AsyncIterator[LogRecord]:
        for where in log.partitions_in("t"):
            for record in log.read(where):
                yield record

    return World(MemoryPublisher(log, max_event_bytes=LIMIT_BYTES), "t", read)


async def on_kafka(bootstrap: str, stack: AsyncExitStack) -> World:
    topic = f"publishers-{uuid.uuid4().hex}"
    await ensure_topics(bootstrap, [Topic(topic, None, "k", 4, timedelta(hours=1))])
    publisher = KafkaPublisher(bootstrap, client_id="contract", max_event_bytes=LIMIT_BYTES)

    async def read() -> AsyncIterator[LogRecord]:
        async with topic_reader(bootstrap) as reader:
            partitions = await reader.partitions(topic)
            starts, ends = await reader.begin_offsets(partitions), await reader.end_offsets(partitions)
            async for record in reader.read(starts, ends):
                yield record

    return World(await stack.enter_async_context(publisher), topic, read)


@pytest.fixture(params=["memory", "kafka"])
async def world(request: pytest.FixtureRequest, kafka_bootstrap: str) -> AsyncIterator[World]:
    # The broker is asked for by name, for memory too: an async fixture cannot start another while it runs.
    async with AsyncExitStack() as stack:
        yield in_memory() if request.param == "memory" else await on_kafka(kafka_bootstrap, stack)


def event(number: int, key: str = "k", data: bytes = b"data") -> Event:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    return Event(str(number), "T", "s", key, TIME_US, TIME_US + number, key.encode(), data, trace)


async def test_an_event_is_in_the_log_as_it_was_when_publish_returns(world: World) -> None:
    await world.publisher.publish(world.topic, event(1))
    assert list((await world.events()).values()) == [event(1)]


async def test_positions_say_where_each_event_is(world: World) -> None:
    events = [event(number, key=f"k{number % 7}") for number in range(100)]
    positions = await world.publisher.publish_all(world.topic, events)
    assert dict(zip(positions, events, strict=True)) == await world.events()


async def test_events_of_a_key_are_in_one_partition_in_order(world: World) -> None:
    # Few at a time, and so many that they fill several batches of the client's.
    for numbers in (range(20), range(20, 40), range(40, 2_000), range(2_000, 2_010)):
        await world.publisher.publish_all(
            world.topic, [event(number, key=f"k{number % 7}", data=b"d" * 500) for number in numbers]
        )
    by_key: dict[bytes, list[Position]] = {}
    for position, found in sorted((await world.events()).items(), key=lambda pair: int(pair[1].id)):
        by_key.setdefault(found.key, []).append(position)
    for positions in by_key.values():
        assert len({position.partition for position in positions}) == 1
        assert positions == sorted(positions)


async def test_publishers_side_by_side_lose_and_double_nothing(world: World) -> None:
    async with asyncio.TaskGroup() as tasks:
        for begin in range(0, 1_000, 100):
            for numbers in (range(begin, begin + 10), range(begin + 10, begin + 100)):
                batch = [event(number, key=str(number)) for number in numbers]
                tasks.create_task(world.publisher.publish_all(world.topic, batch))
    assert sorted(int(found.id) for found in (await world.events()).values()) == list(range(1_000))


async def test_nothing_to_publish_is_nothing_done(world: World) -> None:
    assert await world.publisher.publish_all(world.topic, []) == []


async def test_an_event_without_a_key_is_published_too(world: World) -> None:
    await world.publisher.publish(world.topic, event(1, key=""))
    assert [found.key for found in (await world.events()).values()] == [b""]


async def test_a_tombstone_has_no_value(world: World) -> None:
    tombstone = Event("1", "T", "s", "k", TIME_US, TIME_US, b"k", b"", tombstone=True)
    await world.publisher.publish(world.topic, tombstone)
    assert [record.value async for record in world.read()] == [None]
    assert list((await world.events()).values()) == [tombstone]


async def test_a_tombstone_without_a_key_is_refused_by_name(world: World) -> None:
    with pytest.raises(MalformedEvent, match="TOMBSTONE_WITHOUT_KEY"):
        await world.publisher.publish(world.topic, Event("1", "T", "s", "", 1, 1, b"", b"", tombstone=True))


async def test_an_oversize_event_is_refused_by_name_and_nothing_of_its_batch_is_sent(world: World) -> None:
    batch = [event(1), event(2, data=b"d" * LIMIT_BYTES), event(3)]
    with pytest.raises(EventTooLarge, match="event '2' has"):
        await world.publisher.publish_all(world.topic, batch)
    assert await world.events() == {}
    await world.publisher.publish(world.topic, event(4))


async def test_raw_records_are_written_as_they_are_whatever_their_size(world: World) -> None:
    record = OutgoingRecord(b"k", b"\x00" * (2 * LIMIT_BYTES), [("a", b"1"), ("a", b"2"), ("b", b"\xff")])
    (position,) = await world.publisher.publish_records(world.topic, [record])
    (found,) = [one async for one in world.read()]
    assert (found.key, found.value, list(found.headers)) == record
    assert position == Position(world.topic, found.partition, found.offset)
    assert position.topic_partition == TopicPartition(world.topic, found.partition)

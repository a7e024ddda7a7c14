"""What only a real broker refuses, and what becomes of the publisher."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from bus.buffered import BufferedPublisher
from bus.errors import EventTooLarge, Unavailable
from bus.events import Event
from bus.inspect import tail
from bus.kafka.admin import TopicSpec, create_topics
from bus.producer import KafkaPublisher
from bus.records import OutgoingRecord
from bus.topics import Topic, ensure_topics


def event(number: int, size: int = 10, key: str = "k") -> Event:
    return Event(str(number), "T", "s", key, 1, 1, key.encode(), number.to_bytes(2) * (size // 2))


@pytest.fixture
async def narrow_topic(kafka_bootstrap: str) -> str:
    """A topic whose batches may not exceed 2,000 bytes; the publisher allows far more."""
    topic = f"narrow-{uuid.uuid4().hex}"
    await create_topics(kafka_bootstrap, [TopicSpec(topic, 1, {"max.message.bytes": "2000"})])
    return topic


@pytest.fixture
async def publisher(kafka_bootstrap: str) -> AsyncIterator[KafkaPublisher]:
    async with KafkaPublisher(kafka_bootstrap, client_id="refused") as publisher:
        yield publisher


async def ids(bootstrap: str, topic: str, count: int) -> list[str]:
    return [
        seen.event.id async for seen in tail(bootstrap, topic, from_beginning=True, limit=count) if seen.event
    ]


def oversize(number: int) -> Event:
    """Too large however well it is compressed."""
    return Event(str(number), "T", "s", "k", 1, 1, b"k", b"".join(uuid.uuid4().bytes for _ in range(500)))


async def test_what_the_broker_refuses_is_named_and_what_follows_is_published(
    kafka_bootstrap: str, narrow_topic: str, publisher: KafkaPublisher, caplog: pytest.LogCaptureFixture
) -> None:
    await publisher.publish(narrow_topic, event(1))
    with pytest.raises(EventTooLarge, match=r"max\.message\.bytes"):
        await publisher.publish(narrow_topic, oversize(2))
    # The client's sequence numbers are out of step with the broker's now, which must not show.
    await publisher.publish(narrow_topic, event(3))
    await publisher.publish(narrow_topic, event(4))
    assert await ids(kafka_bootstrap, narrow_topic, 3) == ["1", "3", "4"]
    assert "fresh producer" in caplog.text


async def test_a_refusal_among_many_is_named_and_what_follows_is_published(
    kafka_bootstrap: str, narrow_topic: str, publisher: KafkaPublisher
) -> None:
    many = [event(number) for number in range(100)]
    with pytest.raises(EventTooLarge, match=r"max\.message\.bytes"):
        await publisher.publish_all(narrow_topic, [*many[:50], oversize(7), *many[50:]])
    await publisher.publish_all(narrow_topic, [event(number) for number in range(100, 140)])
    # All the others lay in the one batch that was refused.
    assert await ids(kafka_bootstrap, narrow_topic, 40) == [str(number) for number in range(100, 140)]


async def test_many_for_a_topic_that_is_not_there_are_refused_by_name(publisher: KafkaPublisher) -> None:
    with pytest.raises(Unavailable, match="does not exist"):
        await publisher.publish_all("nowhere", [event(number) for number in range(100)])


async def test_a_refusal_in_one_topic_costs_nothing_in_another(
    kafka_bootstrap: str, narrow_topic: str, publisher: KafkaPublisher
) -> None:
    wide = f"wide-{uuid.uuid4().hex}"
    await ensure_topics(kafka_bootstrap, [Topic(wide, None, "k", 2, timedelta(hours=1))])

    async def refused() -> None:
        for _ in range(5):
            with pytest.raises(EventTooLarge):
                await publisher.publish(narrow_topic, oversize(0))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(refused())
        for number in range(50):
            tasks.create_task(publisher.publish(wide, event(number, key=str(number))))
    assert set(await ids(kafka_bootstrap, wide, 50)) == {str(number) for number in range(50)}


async def test_a_buffer_drops_only_what_the_broker_refuses(kafka_bootstrap: str, narrow_topic: str) -> None:
    async with BufferedPublisher(KafkaPublisher(kafka_bootstrap, client_id="b"), name=narrow_topic) as buffer:
        for number in range(100):
            buffer.offer(narrow_topic, oversize(7) if number == 7 else event(number))
        async with asyncio.timeout(30):
            await buffer.flush()
    assert set(await ids(kafka_bootstrap, narrow_topic, 99)) == {
        str(number) for number in range(100) if number != 7
    }


async def test_without_a_broker_the_start_fails_by_name(unused_tcp_port: int) -> None:
    with pytest.raises(Unavailable, match=f"127.0.0.1:{unused_tcp_port} does not answer"):
        async with KafkaPublisher(f"127.0.0.1:{unused_tcp_port}", client_id="x"):
            pass
    with pytest.raises(Unavailable, match=f"127.0.0.1:{unused_tcp_port}"):
        await ensure_topics(f"127.0.0.1:{unused_tcp_port}", [])


async def test_a_refusal_on_this_side_leaves_what_others_have_on_its_way_alone(
    kafka_bootstrap: str, narrow_topic: str, publisher: KafkaPublisher, caplog: pytest.LogCaptureFixture
) -> None:
    huge = OutgoingRecord(b"k", b"d" * 3_000_000, [])
    async with asyncio.TaskGroup() as tasks:
        for number in range(20):
            tasks.create_task(publisher.publish(narrow_topic, event(number)))
        with pytest.raises(EventTooLarge):
            await publisher.publish_records(narrow_topic, [huge])
    assert set(await ids(kafka_bootstrap, narrow_topic, 20)) == {str(number) for number in range(20)}
    assert "fresh producer" not in caplog.text

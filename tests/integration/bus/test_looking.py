"""Looking at topics and dead letters, and sending the dead back."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest
from bus.dead_letters import NotADeadLetter, read_dead_letter, read_dead_letters, replay
from bus.errors import Unavailable
from bus.events import Event
from bus.inspect import PartitionInfo, list_topics, tail
from bus.positions import Position
from bus.producer import KafkaPublisher
from bus.received import Received, Rejection
from bus.records import OutgoingRecord
from bus.runner import ConsumerRunner
from bus.testing import NotingHandler
from bus.topics import CATALOGUE, OUTCOMES_OBSERVED, PROGRESSED, Topic, dead_letter_of, ensure_topics
from tidemark.outcomes.v1.outcome_pb2 import OutcomeObserved

TIME_US = 1_357_017_300_000_000


def event(number: int) -> Event:
    return Event(str(number), "T", "s", "k", TIME_US, TIME_US, b"k", b"data-%d" % number)


@pytest.fixture
async def publisher(kafka_bootstrap: str) -> AsyncIterator[KafkaPublisher]:
    async with KafkaPublisher(kafka_bootstrap, client_id="looking") as publisher:
        yield publisher


@pytest.fixture
async def topic(kafka_bootstrap: str) -> str:
    name = f"looked-at-{uuid.uuid4().hex}"
    await ensure_topics(kafka_bootstrap, [Topic(name, None, "k", 2, timedelta(hours=3)), PROGRESSED])
    return name


async def consume(
    bootstrap: str, topic: str, publisher: KafkaPublisher, handler: NotingHandler, count: int
) -> None:
    stop = asyncio.Event()
    runner = ConsumerRunner(
        bootstrap=bootstrap,
        group=topic,
        topics=[topic],
        handler=handler,
        publisher=publisher,
        service="feature",
        stack="blue",
    )
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        tasks.create_task(runner.run(stop))
        await handler.until(lambda: len(handler.ids) >= count)
        stop.set()


async def test_dead_letters_are_listed_shown_and_replayed(
    kafka_bootstrap: str, topic: str, publisher: KafkaPublisher
) -> None:
    positions = await publisher.publish_all(topic, [event(number) for number in range(5)])

    async def reject_some(batch: Sequence[Received]) -> list[Rejection]:
        return [
            Rejection(one, f"NOT_{one.event.id}", "no") for one in batch if one.event.id in {"1", "3", "4"}
        ]

    await consume(kafka_bootstrap, topic, publisher, NotingHandler(reject_some), 5)

    letters = await read_dead_letters(kafka_bootstrap, topic)
    assert [letter.reason for letter in letters] == ["NOT_4", "NOT_3", "NOT_1"]
    assert [letter.original for letter in letters] == [positions[4], positions[3], positions[1]]
    assert [letter.reason for letter in await read_dead_letters(kafka_bootstrap, topic, limit=1)] == ["NOT_4"]
    (only,) = await read_dead_letters(kafka_bootstrap, dead_letter_of(topic), reason="NOT_1")
    shown = await read_dead_letter(kafka_bootstrap, only.where)
    assert shown == only
    assert (shown.service, shown.stack, shown.event()) == ("feature", "blue", event(1))

    (at,) = await replay(publisher, [only])
    mended = NotingHandler()
    await consume(kafka_bootstrap, topic, publisher, mended, 1)
    assert mended.ids == ["1"]
    (replayed,) = [
        seen async for seen in tail(kafka_bootstrap, topic, from_beginning=True, limit=6) if seen.where == at
    ]
    assert dict(replayed.record.headers)["replayed_from"] == str(only.where).encode()
    assert len(await read_dead_letters(kafka_bootstrap, topic)) == 3


async def test_what_is_not_a_dead_letter_is_named(
    kafka_bootstrap: str, topic: str, publisher: KafkaPublisher
) -> None:
    twin = dead_letter_of(topic)
    (where,) = await publisher.publish_records(twin, [OutgoingRecord(b"k", b"v", [])])
    with pytest.raises(NotADeadLetter, match="is not a dead letter"):
        await read_dead_letter(kafka_bootstrap, where)
    with pytest.raises(NotADeadLetter, match="nothing is at"):
        await read_dead_letter(kafka_bootstrap, Position(twin, 0, 99))
    with pytest.raises(Unavailable, match="does not exist"):
        await read_dead_letters(kafka_bootstrap, "no-such-topic")


async def test_what_somebody_else_wrote_to_a_dead_letter_topic_is_passed_over_if_somebody_is_told(
    kafka_bootstrap: str, topic: str, publisher: KafkaPublisher
) -> None:
    (where,) = await publisher.publish_records(dead_letter_of(topic), [OutgoingRecord(b"k", b"v", [])])
    with pytest.raises(NotADeadLetter, match="is not a dead letter"):
        await read_dead_letters(kafka_bootstrap, topic)
    told: list[tuple[int, str]] = []
    letters = await read_dead_letters(
        kafka_bootstrap, topic, on_foreign=lambda record, why: told.append((record.offset, str(why)))
    )
    assert letters == []
    assert told == [(where.offset, f"{where} is not a dead letter: KeyError 'topic'")]


async def test_topics_are_listed_with_what_they_hold(
    kafka_bootstrap: str, topic: str, publisher: KafkaPublisher
) -> None:
    await ensure_topics(kafka_bootstrap, CATALOGUE)
    await publisher.publish_all(topic, [event(number) for number in range(7)])
    found = {info.name: info for info in await list_topics(kafka_bootstrap)}
    assert {one.name for one in CATALOGUE} <= set(found)
    assert found[topic].records == 7
    assert len(found[topic].partitions) == 2
    assert (
        PartitionInfo(0, 0, 0) in found[topic].partitions or PartitionInfo(1, 0, 0) in found[topic].partitions
    )
    assert (found[topic].retention, found[topic].compacted, found[topic].message) == (
        timedelta(hours=3),
        False,
        None,
    )
    outcomes = found[OUTCOMES_OBSERVED.name]
    assert (outcomes.message, outcomes.retention) == (
        "tidemark.outcomes.v1.OutcomeObserved",
        OUTCOMES_OBSERVED.retention,
    )
    assert not any(name.startswith("__") for name in found)


async def test_creating_topics_again_changes_nothing(kafka_bootstrap: str, topic: str) -> None:
    await ensure_topics(kafka_bootstrap, [Topic(topic, None, "k", 5, None)])
    (info,) = [info for info in await list_topics(kafka_bootstrap) if info.name == topic]
    assert (len(info.partitions), info.retention) == (2, timedelta(hours=3))


async def test_a_tail_decodes_what_it_can_and_says_what_it_cannot(
    kafka_bootstrap: str, publisher: KafkaPublisher
) -> None:
    topic = f"typed-{uuid.uuid4().hex}"
    await ensure_topics(kafka_bootstrap, [Topic(topic, None, "k", 1, None)])
    outcome = OutcomeObserved(label="late", request_key="UA-1", value=1)
    good = Event.of(outcome, id="1", source="s", key="UA-1", time_us=TIME_US, recorded_time_us=TIME_US)
    tombstone = Event("2", "T", "s", "", TIME_US, TIME_US, b"UA-1", b"", tombstone=True)
    wrong = Event("3", "T", "s", "", TIME_US, TIME_US, b"UA-1", b"\xff\xff")
    await publisher.publish_all(topic, [good, tombstone, wrong])
    await publisher.publish_records(topic, [OutgoingRecord(b"k", b"v", [])])

    seen = [
        one
        async for one in tail(kafka_bootstrap, topic, from_beginning=True, limit=4, message=OutcomeObserved)
    ]
    assert [one.event and one.event.id for one in seen] == ["1", "2", "3", None]
    assert [one.message for one in seen] == [outcome, None, None, None]
    assert [bool(one.problem) for one in seen] == [False, False, True, True]
    assert "not a tidemark.outcomes.v1.OutcomeObserved" in str(seen[2].problem)
    assert "MISSING_ATTRIBUTE" in str(seen[3].problem)


async def test_a_tail_begins_with_what_comes_next(
    kafka_bootstrap: str, topic: str, publisher: KafkaPublisher
) -> None:
    await publisher.publish(topic, event(1))
    following = tail(kafka_bootstrap, topic, limit=1)
    first = asyncio.ensure_future(anext(following))
    numbers = iter(range(2, 10_000))
    while not first.done():
        await publisher.publish(topic, event(next(numbers)))
    assert (await first).event != event(1)
    await following.aclose()

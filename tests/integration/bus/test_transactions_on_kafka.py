"""Transactions on a real Kafka: what dies half way is never seen, and what reads behind it is not held up."""

import asyncio
from collections.abc import Sequence
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka import TopicPartition as KafkaTopicPartition
from bus.ends import after_last_records
from bus.events import Event
from bus.kafka.admin import TopicSpec, committed_offsets, create_topics
from bus.kafka.reading import topic_reader
from bus.kafka.transactions import KafkaTransactions
from bus.positions import TopicPartition
from bus.producer import KafkaPublisher
from bus.received import Received, Rejection
from bus.records import OutgoingRecord
from bus.runner import Batching, ConsumerRunner
from bus.topics import PROGRESSED, dead_letter_of, ensure_topics
from bus.tracker import ProgressTracker
from bus.transactions import Made, Work
from prometheus_client import CollectorRegistry

pytestmark = pytest.mark.stack

TIME_US = 1_357_017_300_000_000


def _event(number: int) -> Event:
    key = b"k%d" % (number % 7)
    return Event(str(number), "T", "s", "", TIME_US, TIME_US, key, b"%d" % number)


async def _topics(bootstrap: str) -> tuple[str, str, str]:
    name = uuid4().hex[:8]
    asked, made, group = f"asked-{name}", f"made-{name}", f"group-{name}"
    specs = [TopicSpec(asked, 2, {}), TopicSpec(made, 2, {}), TopicSpec(dead_letter_of(asked), 1, {})]
    await create_topics(bootstrap, specs)
    await ensure_topics(bootstrap, [PROGRESSED])
    return asked, made, group


async def _seen(bootstrap: str, topic: str) -> list[bytes]:
    async with topic_reader(bootstrap) as reader:
        partitions = await reader.partitions(topic)
        starts, ends = await reader.begin_offsets(partitions), await reader.end_offsets(partitions)
        return [record.value or b"" async for record in reader.read(starts, ends)]


async def test_what_an_owner_had_begun_when_it_died_is_never_seen(kafka_bootstrap: str) -> None:
    asked, made, group = await _topics(kafka_bootstrap)
    here = TopicPartition(asked, 0)
    dying = AIOKafkaProducer(bootstrap_servers=kafka_bootstrap, transactional_id=f"{group}:{asked}:0")
    await dying.start()
    await dying.begin_transaction()
    await dying.send_and_wait(made, b"half", partition=0)
    await dying.send_offsets_to_transaction({KafkaTopicPartition(asked, 0): 9}, group)

    heir = KafkaTransactions(kafka_bootstrap, group, registry=CollectorRegistry())
    assert await heir.take_over([here]) == {}
    await heir.write({here: Work(1, {made: [OutgoingRecord(b"k", b"whole", [])]})})
    assert await _seen(kafka_bootstrap, made) == [b"whole"]
    assert await committed_offsets(kafka_bootstrap, group) == {here: 1}
    await heir.close()
    await dying.stop()


async def test_a_runner_answers_each_event_once_with_its_dead_letters_and_its_offsets(
    kafka_bootstrap: str,
) -> None:
    asked, made, group = await _topics(kafka_bootstrap)

    async def answer(batch: Sequence[Received]) -> list[Made | Rejection]:
        return [
            Rejection(one, "ODD", "it is odd")
            if int(one.event.id) % 2
            else Made(one, made, _event(int(one.event.id)))
            for one in batch
        ]

    registry = CollectorRegistry()
    transactions = KafkaTransactions(kafka_bootstrap, group, registry=registry)
    stop = asyncio.Event()
    async with (
        KafkaPublisher(kafka_bootstrap, client_id="test", registry=registry) as publisher,
        ProgressTracker(kafka_bootstrap) as tracker,
        asyncio.TaskGroup() as tasks,
    ):
        positions = await publisher.publish_all(asked, [_event(number) for number in range(200)])
        runner = ConsumerRunner(
            bootstrap=kafka_bootstrap,
            group=group,
            topics=[asked],
            handler=answer,
            transactions=transactions,
            publisher=publisher,
            service="test",
            batching=Batching(max_records=30),
            registry=registry,
        )
        tasks.create_task(runner.run(stop))
        ends = {where.topic_partition: 0 for where in positions}
        for where in positions:
            ends[where.topic_partition] = max(ends[where.topic_partition], where.offset + 1)
        await tracker.reached(group, ends, timeout_s=30)
        stop.set()
    await transactions.close()
    assert sorted(int(value) for value in await _seen(kafka_bootstrap, made)) == list(range(0, 200, 2))
    letters = await _seen(kafka_bootstrap, dead_letter_of(asked))
    assert sorted(int(value) for value in letters) == list(range(1, 200, 2))
    assert await committed_offsets(kafka_bootstrap, group) == ends


async def test_who_reads_behind_transactions_reaches_the_topics_end(kafka_bootstrap: str) -> None:
    asked, made, group = await _topics(kafka_bootstrap)
    here = TopicPartition(asked, 0)
    registry = CollectorRegistry()
    writing = KafkaTransactions(kafka_bootstrap, group, registry=registry)
    await writing.take_over([here])
    await writing.write({here: Work(1, {made: [OutgoingRecord(b"k", b"x", []) for _ in range(3)]})})

    async def ignore(_batch: Sequence[Received]) -> None:
        return None

    stop = asyncio.Event()
    async with (
        KafkaPublisher(kafka_bootstrap, client_id="test", registry=registry) as publisher,
        ProgressTracker(kafka_bootstrap) as tracker,
        topic_reader(kafka_bootstrap) as reader,
        asyncio.TaskGroup() as tasks,
    ):
        await create_topics(kafka_bootstrap, [TopicSpec(dead_letter_of(made), 1, {})])
        runner = ConsumerRunner(
            bootstrap=kafka_bootstrap,
            group=f"{group}-reader",
            topics=[made],
            handler=ignore,
            publisher=publisher,
            service="test",
            registry=registry,
        )
        tasks.create_task(runner.run(stop))
        # The end counts what ends the transaction, which is no record.
        ends = await reader.end_offsets(await reader.partitions(made))
        assert sum(ends.values()) == 4
        assert sum((await after_last_records(kafka_bootstrap, [made])).values()) == 3
        await tracker.reached(f"{group}-reader", ends, timeout_s=30)
        assert {where: runner.end_offset(where) for where in ends} == ends
        stop.set()
    await writing.close()
    found = await committed_offsets(kafka_bootstrap, f"{group}-reader")
    assert found == {where: end for where, end in ends.items() if end}

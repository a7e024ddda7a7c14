"""The runner's promises where a real broker is needed to break them."""

import asyncio
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from itertools import islice
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from bus.dead_letters import read_dead_letters
from bus.events import Event, to_headers
from bus.kafka.admin import committed_offsets
from bus.positions import Position, TopicPartition
from bus.producer import KafkaPublisher
from bus.progress import targets_of
from bus.received import Received, Rejection
from bus.records import OutgoingRecord
from bus.runner import Batching, ConsumerRunner, Membership, Unavailable
from bus.testing import IMPATIENT, NotingHandler
from bus.topics import PROGRESSED, Topic, ensure_topics
from bus.tracker import ProgressTracker

TIME_US = 1_357_017_300_000_000
PARTITIONS = 4
QUICK = Membership(session_timeout_ms=6_000, heartbeat_ms=100, rebalance_timeout_ms=20_000)


def event(number: int, data: bytes = b"data") -> Event:
    key = f"k{number % 9}"
    return Event(str(number), "T", "s", key, TIME_US + number, TIME_US + number, key.encode(), data)


class Rig:
    """A topic and a group of their own on a shared broker."""

    def __init__(self, bootstrap: str, publisher: KafkaPublisher) -> None:
        self.bootstrap = bootstrap
        self.publisher = publisher
        self.topic = f"runner-{uuid.uuid4().hex}"
        self.group = f"group-{uuid.uuid4().hex}"
        self.effects = NotingHandler()

    async def create(self) -> None:
        await ensure_topics(
            self.bootstrap, [Topic(self.topic, None, "k", PARTITIONS, timedelta(hours=1)), PROGRESSED]
        )

    async def publish(self, numbers: Iterable[int]) -> list[Position]:
        return await self.publisher.publish_all(self.topic, [event(number) for number in numbers])

    async def committed(self) -> dict[TopicPartition, int]:
        return await committed_offsets(self.bootstrap, self.group)

    def running(
        self, handler: NotingHandler | None = None, **options: Any
    ) -> AbstractAsyncContextManager[ConsumerRunner]:
        plain = {"bootstrap": self.bootstrap, "group": self.group, "topics": [self.topic], "service": "svc"}
        given = {
            "handler": handler or self.effects,
            "publisher": self.publisher,
            "retry": IMPATIENT,
            "membership": QUICK,
        }
        return _running(ConsumerRunner(**{**plain, **given, **options}))


@asynccontextmanager
async def _running(runner: ConsumerRunner) -> AsyncIterator[ConsumerRunner]:
    stop = asyncio.Event()
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(runner.run(stop))
        yield runner
        stop.set()
        await task


@pytest.fixture
async def rig(kafka_bootstrap: str) -> AsyncIterator[Rig]:
    async with KafkaPublisher(kafka_bootstrap, client_id="rig") as publisher:
        rig = Rig(kafka_bootstrap, publisher)
        await rig.create()
        yield rig


async def test_every_event_has_its_effect_in_order_of_its_key_and_is_committed(rig: Rig) -> None:
    positions = await rig.publish(range(500))
    async with rig.running(batching=Batching(max_records=37)):
        await rig.effects.until(lambda: len(rig.effects.ids) == 500)
    by_key = defaultdict(list)
    for number in map(int, rig.effects.ids):
        by_key[number % 9].append(number)
    assert all(numbers == sorted(numbers) for numbers in by_key.values())
    assert len(set(rig.effects.ids)) == 500
    assert await rig.committed() == targets_of(positions)


async def test_a_second_life_reads_on_where_the_first_stopped(rig: Rig) -> None:
    await rig.publish(range(20))
    async with rig.running():
        await rig.effects.until(lambda: len(rig.effects.ids) == 20)
    await rig.publish(range(20, 30))
    async with rig.running():
        await rig.effects.until(lambda: len(rig.effects.ids) >= 30)
    assert sorted(map(int, rig.effects.ids)) == list(range(30))


async def test_poison_goes_to_the_dead_letters_and_the_rest_is_processed(rig: Rig) -> None:
    positions = await rig.publish(range(50))
    broken = [OutgoingRecord(b"k", b"\x00" * 1_000_000, [("ce_id", b"\xff")])]
    (malformed,) = await rig.publisher.publish_records(rig.topic, broken)

    async def choke(batch: Sequence[Received]) -> list[Rejection]:
        if any(one.event.id == "31" for one in batch):
            raise ValueError("indigestible")
        return [Rejection(one, "TOO_LATE", "it is late") for one in batch if one.event.id == "7"]

    rig.effects.behave = choke
    async with rig.running():
        await rig.effects.until(lambda: len(rig.effects.ids) == 49)
    letters = {letter.reason: letter for letter in await read_dead_letters(rig.bootstrap, rig.topic)}
    assert {reason: letter.original for reason, letter in letters.items()} == {
        "TOO_LATE": positions[7],
        "HANDLER_FAILED": positions[31],
        "MALFORMED_ENVELOPE": malformed,
    }
    assert letters["HANDLER_FAILED"].detail == "ValueError: indigestible"
    assert letters["MALFORMED_ENVELOPE"].value == broken[0].value
    assert await rig.committed() == targets_of([*positions, malformed])


async def test_waiting_for_a_dependency_keeps_the_membership_however_long(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await rig.publish(range(10))
    back = asyncio.Event()

    async def away(_batch: Sequence[Received]) -> None:
        if not back.is_set():
            raise Unavailable("Redis is away")

    rig.effects.behave = away
    # A member that does not poll for a second is out; this one waits for three.
    impatient_group = Membership(session_timeout_ms=6_000, heartbeat_ms=100, max_poll_interval_ms=1_000)
    async with rig.running(
        membership=impatient_group, batching=Batching(max_records=10, max_wait_ms=50)
    ) as runner:
        await rig.effects.until(lambda: len(rig.effects.calls) == 2)
        assert not runner.ready
        asyncio.get_running_loop().call_later(3, back.set)
        await rig.effects.until(lambda: len(rig.effects.ids) == 10)
    assert sum("was assigned" in message for message in caplog.messages) == 1
    assert sum((await rig.committed()).values()) == 10


async def test_members_that_come_and_go_lose_nothing_and_share_the_work(rig: Rig) -> None:
    done: set[str] = set()
    numbers = iter(range(100_000))

    async def note(batch: Sequence[Received]) -> None:
        done.update(one.event.id for one in batch)

    async def share_with(other: NotingHandler) -> None:
        """Keep publishing until the other member has had its part."""
        async with rig.running(other, batching=Batching(max_records=10)):
            while not other.ids:
                await rig.publish(islice(numbers, 50))

    rig.effects.behave = note
    async with rig.running(batching=Batching(max_records=10)):
        await rig.publish(islice(numbers, 200))
        await share_with(NotingHandler(note))
        await share_with(NotingHandler(note))
        positions = await rig.publish(islice(numbers, 200))
        async with ProgressTracker(rig.bootstrap) as tracker:
            await tracker.reached(rig.group, targets_of(positions), timeout_s=20)
    assert done == {str(number) for number in range(next(numbers))}


async def test_it_resumes_where_its_own_store_says(rig: Rig) -> None:
    positions = await rig.publish(range(90))
    async with rig.running():
        await rig.effects.until(lambda: len(rig.effects.ids) == 90)
    rig.effects.ids.clear()
    second = TopicPartition(rig.topic, positions[0].partition)

    async def stored(partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        assert len(partitions) == PARTITIONS
        # Beyond the end of another, as when a topic was created anew: it begins at the beginning.
        return {second: 5, **{where: 1_000 for where in partitions if where != second}}

    wanted = {
        str(number) for number, at in enumerate(positions) if at.topic_partition != second or at.offset >= 5
    }
    async with rig.running(positions=stored):
        await rig.effects.until(lambda: len(rig.effects.ids) >= len(wanted))
    assert set(rig.effects.ids) == wanted


async def test_progress_says_how_far_the_effects_reach(rig: Rig) -> None:
    async with ProgressTracker(rig.bootstrap) as tracker, rig.running():
        for begin in range(0, 50, 10):
            positions = await rig.publish(range(begin, begin + 10))
            await tracker.reached(rig.group, targets_of(positions), timeout_s=20)
            assert len(rig.effects.ids) == begin + 10
        newest = max(mark.recorded_us for mark in tracker.marks(rig.group).values())
    assert newest == TIME_US + 49


async def test_a_topic_that_comes_later_is_waited_for(rig: Rig) -> None:
    existing, rig.topic = rig.topic, f"late-{uuid.uuid4().hex}"
    async with rig.running(topics=[existing, rig.topic]) as runner:
        while "do not exist yet" not in str(runner.not_ready_because):  # noqa: ASYNC110 - there is nothing to wait on
            await asyncio.sleep(0.01)
        await rig.create()
        await rig.publish(range(5))
        await rig.effects.until(lambda: len(rig.effects.ids) == 5)
        assert runner.ready


async def test_what_a_transaction_took_back_is_not_seen_and_does_not_stop_progress(rig: Rig) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=rig.bootstrap, transactional_id=uuid.uuid4().hex)
    async with rig.running(), ProgressTracker(rig.bootstrap) as tracker, producer:
        for number, keep in enumerate([False, True, False, True]):
            await producer.begin_transaction()
            one = event(number)
            sent = await producer.send_and_wait(
                rig.topic, one.data, key=one.key, headers=to_headers(one), partition=0
            )
            await (producer.commit_transaction() if keep else producer.abort_transaction())
        await tracker.reached(rig.group, {(rig.topic, 0): sent.offset + 1}, timeout_s=20)
    assert rig.effects.ids == ["1", "3"]

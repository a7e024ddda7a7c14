"""The runner's promises about effects, failures and progress, on a log in memory."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from bus.dead_letters import DeadLetter, NotADeadLetter, exhume, revive
from bus.errors import EventTooLarge
from bus.events import Event
from bus.memory import MemoryPublisher
from bus.positions import Position, TopicPartition
from bus.received import Received, Rejection
from bus.records import OutgoingRecord
from bus.runner import Batching, ConsumerRunner, Unavailable
from bus.testing import MemoryBus, NotingHandler
from bus.topics import PROGRESSED, dead_letter_of
from bus.watermarks import Watermark
from tidemark.pipelines.v1.progress_pb2 import ProgressMade

TIME_US = 1_357_017_300_000_000
TOPIC = "flights"
HERE, THERE = TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 1)


def event(number: int) -> Event:
    key, time_us = f"k{number % 5}", TIME_US + number
    return Event(str(number), "T", "s", key, time_us, time_us + 7, key.encode(), b"%d" % number)


class Rig:
    def __init__(self) -> None:
        self.bus = MemoryBus(partitions=2)
        self.feed = self.bus.feed(TOPIC)
        self.effects = NotingHandler()

    async def publish(self, numbers: Iterable[int]) -> list[Position]:
        return await self.bus.publisher.publish_all(TOPIC, [event(number) for number in numbers])

    def running(self, **options: Any) -> AbstractAsyncContextManager[ConsumerRunner]:
        return self.bus.consuming(self.feed, self.effects, **{"clock": lambda: TIME_US, **options})

    def buried(self) -> list[tuple[str, Position, bytes | None]]:
        return [(letter.reason, letter.original, letter.value) for letter in self.letters()]

    def letters(self) -> list[DeadLetter]:
        log = self.bus.log
        return [
            exhume(record) for where in log.partitions_in(dead_letter_of(TOPIC)) for record in log.read(where)
        ]


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_every_event_has_its_effect_and_then_its_commit(rig: Rig) -> None:
    positions = await rig.publish(range(20))

    async def nothing_committed_yet(batch: Sequence[Received]) -> None:
        for one in batch:
            assert rig.feed.committed.get(TopicPartition(TOPIC, one.partition), 0) <= one.offset

    rig.effects.behave = nothing_committed_yet
    async with rig.running(batching=Batching(max_records=3)):
        await rig.effects.until(lambda: len(rig.effects.ids) == 20)
    assert sorted(rig.effects.ids, key=int) == [str(number) for number in range(20)]
    assert rig.feed.committed == {
        HERE: sum(at.partition == 0 for at in positions),
        THERE: sum(at.partition for at in positions),
    }


async def test_events_of_one_key_come_in_order(rig: Rig) -> None:
    await rig.publish(range(40))
    async with rig.running(batching=Batching(max_records=7)):
        await rig.effects.until(lambda: len(rig.effects.ids) == 40)
    by_key = defaultdict(list)
    for number in map(int, rig.effects.ids):
        by_key[number % 5].append(number)
    assert all(numbers == sorted(numbers) for numbers in by_key.values())


async def test_a_rejected_event_becomes_a_dead_letter_before_the_commit(rig: Rig) -> None:
    positions = await rig.publish(range(4))

    async def reject_the_third(batch: Sequence[Received]) -> list[Rejection]:
        return [Rejection(one, "TOO_LATE", "it is late") for one in batch if one.event.id == "2"]

    rig.effects.behave = reject_the_third
    async with rig.running(stack="blue"):
        await rig.effects.until(lambda: len(rig.effects.ids) == 4)
    assert rig.buried() == [("TOO_LATE", positions[2], b"2")]
    letter = exhume(rig.bus.log.read(TopicPartition(dead_letter_of(TOPIC), positions[2].partition))[0])
    assert (letter.detail, letter.service, letter.stack) == ("it is late", "service", "blue")
    assert letter.time_us == TIME_US
    assert letter.event() == event(2)


async def test_a_dead_letter_of_a_topic_with_sensitive_fields_tells_why_and_nothing_of_the_original(
    rig: Rig,
) -> None:
    malformed = OutgoingRecord(b"secret", b"secret", [("ce_id", b"secret\xff")])
    [broken] = await rig.bus.publisher.publish_records(TOPIC, [malformed])
    positions = await rig.publish(range(3))

    async def reject_and_fail(batch: Sequence[Received]) -> list[Rejection]:
        if any(one.event.id == "1" for one in batch):
            raise ValueError("secret")
        return [Rejection(one, "TOO_LATE", "it is late") for one in batch if one.event.id == "2"]

    rig.effects.behave = reject_and_fail
    async with rig.running(concealed=[TOPIC]):
        await rig.effects.until(lambda: len(rig.letters()) == 3)
    letters = {letter.reason: letter for letter in rig.letters()}
    assert letters["TOO_LATE"].original == positions[2]
    assert letters["TOO_LATE"].detail == "it is late"
    assert letters["MALFORMED_ENVELOPE"].original == broken
    for letter in letters.values():
        assert (letter.key, letter.value, letter.headers, letter.missing_bytes > 0) == (None, b"", [], True)
        assert "secret" not in letter.detail
    with pytest.raises(NotADeadLetter, match="cannot be replayed"):
        revive(letters["TOO_LATE"])


async def test_a_record_without_an_envelope_becomes_a_dead_letter_and_the_rest_goes_on(rig: Rig) -> None:
    broken = (
        await rig.bus.publisher.publish_records(TOPIC, [OutgoingRecord(b"k", b"\x00", [("ce_id", b"\xff")])])
    )[0]
    await rig.publish(range(3))
    async with rig.running():
        await rig.effects.until(lambda: len(rig.effects.ids) == 3)
    assert rig.buried() == [("MALFORMED_ENVELOPE", broken, b"\x00")]


async def test_a_malformed_record_that_another_group_dead_letters_is_counted_and_passed_over(
    rig: Rig,
) -> None:
    malformed = OutgoingRecord(b"k", b"\x00", [])
    await rig.bus.publisher.publish_records(TOPIC, [malformed])
    positions = await rig.publish(range(3))

    async def reject_the_last(batch: Sequence[Received]) -> list[Rejection]:
        return [Rejection(one, "TOO_LATE", "it is late") for one in batch if one.event.id == "2"]

    rig.effects.behave = reject_the_last
    async with rig.running(buried_elsewhere=[TOPIC]):
        await rig.effects.until(lambda: len(rig.effects.ids) == 3)
    assert rig.buried() == [("TOO_LATE", positions[2], b"2")]
    labels = {"group": "group", "topic": TOPIC, "reason": "MALFORMED_ENVELOPE"}
    assert rig.bus.registry.get_sample_value("tidemark_consumer_passed_over_records_total", labels) == 1


async def test_what_is_too_large_for_the_dead_letters_is_named_there_without_its_value(rig: Rig) -> None:
    class Narrow(MemoryPublisher):
        async def publish_records(self, topic: str, records: Sequence[OutgoingRecord]) -> list[Position]:
            if any(len(record.value or b"") > 1_000 for record in records):
                raise EventTooLarge(topic, "over 1000 bytes")
            return await super().publish_records(topic, records)

    small, large = OutgoingRecord(b"k", b"\x00", []), OutgoingRecord(b"k", b"\x00" * 2_000, [])
    positions = await rig.bus.publisher.publish_records(TOPIC, [small, large, small])
    async with rig.running(publisher=Narrow(rig.bus.log)):
        await rig.feed.committed_to(positions[-1])
    letters = {letter.original: letter for letter in rig.letters()}
    assert {at: letter.missing_bytes for at, letter in letters.items()} == dict(
        zip(positions, (0, 2_000, 0), strict=True)
    )
    with pytest.raises(NotADeadLetter, match="2000 bytes"):
        revive(letters[positions[1]])


async def test_a_failing_handler_is_tried_again_before_anything_is_given_up(rig: Rig) -> None:
    await rig.publish(range(3))

    async def fail_twice(_batch: Sequence[Received]) -> None:
        if len(rig.effects.calls) < 3:
            raise ValueError("not yet")

    rig.effects.behave = fail_twice
    async with rig.running():
        await rig.effects.until(lambda: len(rig.effects.ids) == 3)
    assert rig.effects.calls == [rig.effects.calls[0]] * 3
    assert rig.buried() == []


async def test_of_a_batch_that_keeps_failing_only_the_poisonous_records_are_given_up(rig: Rig) -> None:
    positions = await rig.publish(range(64))

    async def choke(batch: Sequence[Received]) -> None:
        if any(one.event.id in {"11", "12"} for one in batch):
            raise ValueError("indigestible")

    rig.effects.behave = choke
    async with rig.running():
        await rig.effects.until(lambda: len(rig.effects.ids) == 62)
    assert sorted(map(int, rig.effects.ids)) == [number for number in range(64) if number not in {11, 12}]
    assert {at for _, at, _ in rig.buried()} == {positions[11], positions[12]}
    assert {reason for reason, _, _ in rig.buried()} == {"HANDLER_FAILED"}
    # Halving finds two in 64 with some calls each, not one call a record.
    assert len(rig.effects.calls) < 64


async def test_what_is_unavailable_is_waited_for_as_long_as_it_takes_in_order_and_not_ready(rig: Rig) -> None:
    await rig.publish(range(3))
    back = asyncio.Event()

    async def away(_batch: Sequence[Received]) -> None:
        if not back.is_set():
            raise Unavailable("Redis is away")

    rig.effects.behave = away
    async with rig.running() as runner:
        await rig.effects.until(lambda: len(rig.effects.calls) == 10)
        assert not runner.ready
        assert "Redis is away" in str(runner.not_ready_because)
        assert rig.feed.committed == {}
        back.set()
        await rig.effects.until(lambda: len(rig.effects.ids) == 3)
    assert rig.effects.calls == [rig.effects.calls[0]] * len(rig.effects.calls)
    assert rig.buried() == []


async def test_a_fault_of_the_bus_itself_ends_the_run_as_one_exception(rig: Rig) -> None:
    await rig.publish(range(1))

    def broken_clock() -> int:
        raise RuntimeError("no clock")

    with pytest.raises(ExceptionGroup) as caught:
        async with rig.running(clock=broken_clock):
            await asyncio.Event().wait()
    assert caught.group_contains(RuntimeError, match="no clock", depth=1)


async def test_a_batch_of_nothing_but_rejections_is_progress_too(rig: Rig) -> None:
    await rig.bus.publisher.publish_records(TOPIC, [OutgoingRecord(b"k", b"", [])])
    await rig.publish(range(1))

    async def reject(batch: Sequence[Received]) -> list[Rejection]:
        return [Rejection(one, "NO", "no") for one in batch]

    rig.effects.behave = reject
    async with rig.running():
        await rig.effects.until(lambda: len(rig.effects.ids) == 1)
    told = [ProgressMade.FromString(event.data) for event in rig.bus.log.events(PROGRESSED.name)]
    assert sum(one.next_offset for one in told[-1].partitions) >= 1
    assert sum(rig.feed.committed.values()) == 2


async def test_progress_is_not_published_unless_wanted(rig: Rig) -> None:
    await rig.publish(range(1))
    async with rig.running(publish_progress=False):
        await rig.effects.until(lambda: len(rig.effects.ids) == 1)
    assert rig.bus.log.events(PROGRESSED.name) == []


async def test_the_watermarks_say_what_had_its_effect(rig: Rig) -> None:
    positions = await rig.publish(range(9))
    async with rig.running() as runner:
        await rig.effects.until(lambda: len(rig.effects.ids) == 9)
        await rig.feed.rebalance([HERE])
        kept = runner.watermarks
    newest = max(number for number, at in enumerate(positions) if at.partition == 0)
    ends = sum(at.partition == 0 for at in positions)
    assert kept == {HERE: Watermark(ends, TIME_US + newest + 7, TIME_US + newest)}
    assert runner.low_watermark == (TIME_US + newest + 7, TIME_US + newest)


async def test_what_happened_is_counted(rig: Rig) -> None:
    await rig.publish(range(9))

    async def reject(batch: Sequence[Received]) -> list[Rejection]:
        return [Rejection(one, "NO", "no") for one in batch[:2]]

    rig.effects.behave = reject
    async with rig.running():
        await rig.effects.until(lambda: len(rig.effects.ids) == 9)

    def count(name: str, **labels: str) -> float | None:
        return rig.bus.registry.get_sample_value(f"tidemark_consumer_{name}", {"group": "group", **labels})

    assert count("records_total", topic=TOPIC) == 9
    assert count("rejections_total", topic=TOPIC, reason="NO") == 2
    assert count("handler_seconds_count") == count("batches_total")
    assert count("lag_records", topic=TOPIC, partition="0") == 0
    assert count("event_watermark_seconds", topic=TOPIC, partition="0") == pytest.approx(TIME_US / 1e6, abs=1)

"""The runner's promises when it starts, stops, gathers and when partitions move, on a log in memory."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from bus.events import Event
from bus.positions import Position, TopicPartition
from bus.received import Received
from bus.runner import Batching, ConsumerRunner, DrainTimeoutError, Unavailable
from bus.testing import MemoryBus, NotingHandler
from bus.topics import PROGRESSED
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


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_a_runner_is_ready_once_it_has_its_partitions(rig: Rig) -> None:
    async with rig.running() as runner:
        assert "has not joined" in str(runner.not_ready_because)
        await rig.publish(range(1))
        await rig.effects.until(lambda: len(rig.effects.ids) == 1)
        assert runner.ready


async def test_a_stop_while_a_dependency_is_away_ends_at_once_and_commits_nothing(rig: Rig) -> None:
    await rig.publish(range(3))

    async def away(_batch: Sequence[Received]) -> None:
        raise Unavailable("Redis is away")

    rig.effects.behave = away
    async with rig.running():
        await rig.effects.until(lambda: len(rig.effects.calls) == 2)
    assert rig.feed.committed == {}


async def test_a_stop_lets_the_batch_in_hand_finish_and_commits_it(rig: Rig) -> None:
    await rig.publish(range(3))
    go_on = asyncio.Event()

    async def take_time(_batch: Sequence[Received]) -> None:
        await go_on.wait()

    rig.effects.behave = take_time
    async with rig.running():
        await rig.effects.until(lambda: len(rig.effects.calls) == 1)
        asyncio.get_running_loop().call_soon(go_on.set)
    assert len(rig.effects.ids) == 3
    assert sum(rig.feed.committed.values()) == 3


async def test_a_batch_that_does_not_finish_in_time_is_given_up_by_name(rig: Rig) -> None:
    await rig.publish(range(3))

    async def hang(_batch: Sequence[Received]) -> None:
        await asyncio.Event().wait()

    rig.effects.behave = hang
    with pytest.raises(ExceptionGroup) as caught:
        async with rig.running(drain_seconds=0.01):
            await rig.effects.until(lambda: len(rig.effects.calls) == 1)
    assert caught.group_contains(DrainTimeoutError, match="group did not drain in 0.01 s")
    assert rig.feed.committed == {}


async def test_progress_is_published_before_the_commit_and_names_only_what_moved(rig: Rig) -> None:
    (position,) = await rig.bus.publisher.publish_all(TOPIC, [event(3)])
    async with rig.running():
        await rig.effects.until(lambda: len(rig.effects.ids) == 1)
    (told,) = [ProgressMade.FromString(event.data) for event in rig.bus.log.events(PROGRESSED.name)]
    (partition,) = told.partitions
    assert (told.group, partition.topic, partition.partition) == ("group", TOPIC, position.partition)
    assert partition.next_offset == 1
    assert (partition.event_watermark_us, partition.recorded_watermark_us) == (TIME_US + 3, TIME_US + 10)
    assert rig.feed.commits == [{position.topic_partition: 1}]


async def test_it_resumes_where_its_own_store_says_and_not_at_the_commits(rig: Rig) -> None:
    positions = await rig.publish(range(20))
    rig.feed.committed = {HERE: 1, THERE: 1}
    asked = []

    async def stored(partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        asked.append(list(partitions))
        return {THERE: 4}

    wanted = {str(number) for number, at in enumerate(positions) if at.partition == 0 or at.offset >= 4}
    async with rig.running(positions=stored):
        await rig.effects.until(lambda: len(rig.effects.ids) == len(wanted))
        await rig.feed.rebalance([THERE])
        await rig.effects.until(lambda: len(rig.effects.ids) > len(wanted))
    assert set(rig.effects.ids[: len(wanted)]) == wanted
    assert asked == [[HERE, THERE], [THERE]]


async def test_what_its_own_store_has_reached_is_told_where_nothing_is_left_to_read(rig: Rig) -> None:
    positions = await rig.publish(range(20))
    ends = {where: sum(at.partition == where.partition for at in positions) for where in (HERE, THERE)}

    async def stored(partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        # Whoever had it before died after the effects, before it had told of them.
        return {where: ends[where] for where in partitions}

    async with rig.running(positions=stored, publish_progress=True):
        while not rig.bus.log.events(PROGRESSED.name):
            await rig.bus.log.appended()
    assert rig.effects.ids == []
    assert rig.feed.committed == ends
    (told,) = [ProgressMade.FromString(event.data) for event in rig.bus.log.events(PROGRESSED.name)]
    assert {(HERE if one.partition == 0 else THERE): one.next_offset for one in told.partitions} == ends


async def test_a_store_of_positions_that_is_away_is_waited_for(rig: Rig) -> None:
    await rig.publish(range(2))
    asked = []

    async def stored(_partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        asked.append(1)
        if len(asked) < 3:
            raise Unavailable("the lake is away")
        return {}

    async with rig.running(positions=stored):
        await rig.effects.until(lambda: len(rig.effects.ids) == 2)
    assert len(asked) == 3


async def test_when_partitions_move_the_batch_in_hand_is_finished_and_committed_first(rig: Rig) -> None:
    positions = await rig.publish(range(30))
    go_on = asyncio.Event()

    async def take_time(_batch: Sequence[Received]) -> None:
        await go_on.wait()

    rig.effects.behave = take_time
    async with rig.running(batching=Batching(max_records=4)):
        await rig.effects.until(lambda: len(rig.effects.calls) == 1)
        asyncio.get_running_loop().call_soon(go_on.set)
        await rig.feed.rebalance([])
        assert rig.effects.ids == rig.effects.calls[0]
        assert sum(rig.feed.committed.values()) == 4
        await rig.feed.rebalance([THERE])
        there = [str(number) for number, at in enumerate(positions) if at.partition == 1]
        await rig.effects.until(lambda: set(there) <= set(rig.effects.ids))
    # What was fetched of the partition that went away was forgotten, and nothing was done twice.
    assert sorted(rig.effects.ids) == sorted({*rig.effects.calls[0], *there})


async def test_partitions_move_at_once_while_a_dependency_is_away(rig: Rig) -> None:
    await rig.publish(range(30))
    back = asyncio.Event()

    async def away(_batch: Sequence[Received]) -> None:
        if not back.is_set():
            raise Unavailable("Redis is away")

    rig.effects.behave = away
    async with rig.running(batching=Batching(max_records=4)) as runner:
        await rig.effects.until(lambda: len(rig.effects.calls) == 2)
        await rig.feed.rebalance([HERE, THERE])
        assert rig.feed.committed == {}
        back.set()
        await rig.effects.until(lambda: len(rig.effects.ids) == 30)
        assert runner.ready
    assert sorted(rig.effects.ids, key=int) == [str(number) for number in range(30)]


async def test_nothing_overtakes_a_batch_that_was_abandoned(rig: Rig) -> None:
    await rig.publish(range(4, 40, 5))
    back = asyncio.Event()

    async def away(_batch: Sequence[Received]) -> None:
        if not back.is_set():
            raise Unavailable("Redis is away")

    rig.effects.behave = away
    async with rig.running(batching=Batching(max_records=2, max_wait_ms=1)):
        await rig.effects.until(lambda: len(rig.effects.calls) == 2)
        back.set()
        await rig.feed.rebalance([HERE, THERE])
        await rig.effects.until(lambda: len(rig.effects.ids) >= 8)
    assert rig.effects.ids == [str(number) for number in range(4, 40, 5)]


async def test_a_member_that_was_expelled_loses_its_commit_and_not_its_life(rig: Rig) -> None:
    await rig.publish(range(2))
    rig.feed.expel()
    async with rig.running():
        await rig.effects.until(lambda: len(rig.effects.ids) == 2)
        await rig.publish(range(2, 4))
        await rig.effects.until(lambda: len(rig.effects.ids) == 4)
    assert rig.feed.committed == {}


async def test_records_are_gathered_until_the_batch_is_full(rig: Rig) -> None:
    async with rig.running(batching=Batching(max_records=10, max_wait_ms=60_000)):
        await rig.publish(range(6))
        await rig.publish(range(6, 10))
        await rig.effects.until(lambda: len(rig.effects.ids) == 10)
    assert len(rig.effects.calls) == 1


async def test_records_are_gathered_no_longer_than_asked(rig: Rig) -> None:
    async with rig.running(batching=Batching(max_records=10, max_wait_ms=30)):
        await rig.publish(range(6))
        await rig.effects.until(lambda: len(rig.effects.ids) == 6)


@pytest.mark.parametrize("how", ["stop", "move"])
async def test_what_was_gathered_is_handed_over_at_once_on_a_stop_or_a_move(rig: Rig, how: str) -> None:
    async with rig.running(batching=Batching(max_records=100, max_wait_ms=60_000)):
        await rig.publish(range(6))
        await rig.feed.caught_up()
        if how == "move":
            await rig.feed.rebalance([HERE, THERE])
            assert sum(rig.feed.committed.values()) == 6
    assert len(rig.effects.ids) == 6
    assert sum(rig.feed.committed.values()) == 6


async def test_a_second_life_knows_at_once_how_far_the_first_had_come(rig: Rig) -> None:
    positions = await rig.publish(range(9))
    async with rig.running():
        await rig.effects.until(lambda: len(rig.effects.ids) == 9)
    ends = {where: sum(at.partition == where.partition for at in positions) for where in (HERE, THERE)}
    async with rig.running() as runner:
        await rig.feed.caught_up()
        assert {where: mark.next_offset for where, mark in runner.watermarks.items()} == ends


async def test_a_partition_with_work_left_holds_the_low_watermark_before_its_first_batch(rig: Rig) -> None:
    await rig.publish(range(10))
    seen = []

    async def look(_batch: Sequence[Received]) -> None:
        seen.append(runner.low_watermark)

    rig.effects.behave = look
    async with rig.running(batching=Batching(max_records=2)) as runner:
        await rig.effects.until(lambda: len(rig.effects.ids) == 10)
        # One partition is being read, of the other nothing is known yet.
        assert seen[0] == seen[1] == (0, 0)
        await rig.feed.committed_to(rig.bus.log.received(TOPIC)[-1].position)
    assert runner.low_watermark == (TIME_US + 9 + 7, TIME_US + 9)

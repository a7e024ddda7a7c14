"""Waiting for progress, over a log in memory."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest
from bus.errors import Unavailable
from bus.follow import MemoryTail
from bus.memory import MemoryLog, MemoryPublisher
from bus.positions import TopicPartition
from bus.progress import progress_event
from bus.records import LogRecord, OutgoingRecord
from bus.testing import IMPATIENT
from bus.topics import PROGRESSED
from bus.tracker import ProgressTimeoutError, ProgressTracker
from bus.watermarks import Watermark

A, B = TopicPartition("t", 0), TopicPartition("t", 1)


class FaultyTail(MemoryTail):
    """A tail that is away as often as told."""

    def __init__(self, log: MemoryLog, topic: str) -> None:
        super().__init__(log, topic)
        self.away = 0

    async def poll(self, timeout_ms: int) -> Sequence[LogRecord]:
        if self.away:
            self.away -= 1
            raise Unavailable("no broker")
        return await super().poll(timeout_ms)


class Rig:
    def __init__(self) -> None:
        self.log = MemoryLog()
        self.publisher = MemoryPublisher(self.log)
        self.tail = FaultyTail(self.log, PROGRESSED.name)
        self.committed: dict[TopicPartition, int] = {}
        self.away = False

    async def commits(self, _group: str) -> Mapping[TopicPartition, int]:
        if self.away:
            raise Unavailable("no broker")
        return self.committed

    @asynccontextmanager
    async def tracking(self) -> AsyncIterator[ProgressTracker]:
        tracking = ProgressTracker("memory", tail=self.tail, commits=self.commits, retry=IMPATIENT)
        async with asyncio.timeout(10), tracking as tracker:
            yield tracker

    async def tell(self, marks: Mapping[TopicPartition, Watermark]) -> None:
        await self.publisher.publish(PROGRESSED.name, progress_event("g", "svc", marks, 1))


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_it_waits_until_all_targets_are_reached(rig: Rig) -> None:
    async with rig.tracking() as tracker:
        waiting = asyncio.ensure_future(tracker.reached("g", {("t", 0): 3, ("t", 1): 1}, timeout_s=5))
        await rig.tell({A: Watermark(3, 9, 8)})
        await rig.tell({B: Watermark(1)})
        await waiting
        assert tracker.marks("g") == {A: Watermark(3, 9, 8), B: Watermark(1)}


async def test_what_was_reached_already_is_not_waited_for(rig: Rig) -> None:
    async with rig.tracking() as tracker:
        await rig.tell({A: Watermark(3)})
        await tracker.reached("g", {A: 3}, timeout_s=5)
        await tracker.reached("g", {A: 2}, timeout_s=0)


async def test_what_was_reached_before_it_began_is_known_from_the_commits(rig: Rig) -> None:
    await rig.tell({A: Watermark(3)})
    rig.committed = {A: 3}
    async with rig.tracking() as tracker:
        await tracker.reached("g", {A: 3}, timeout_s=0)


async def test_progress_that_was_lost_with_its_process_is_known_from_the_commits(rig: Rig) -> None:
    async with rig.tracking() as tracker:
        await rig.tell({A: Watermark(1)})
        await tracker.reached("g", {A: 1}, timeout_s=5)
        rig.committed = {A: 3}
        await tracker.reached("g", {A: 3}, timeout_s=0)


@pytest.mark.parametrize("away", [False, True])
async def test_a_timeout_says_which_partitions_are_behind_and_by_how_much(rig: Rig, *, away: bool) -> None:
    rig.away = away
    async with rig.tracking() as tracker:
        await rig.tell({A: Watermark(1)})
        await tracker.reached("g", {A: 1}, timeout_s=5)
        with pytest.raises(
            ProgressTimeoutError, match=r"t\[0\] at 1, 2 short of 3; t\[1\] at 0, 7 short of 7"
        ):
            await tracker.reached("g", {A: 3, B: 7}, timeout_s=0)


async def test_a_broker_that_is_away_for_a_while_costs_no_progress(rig: Rig) -> None:
    async with rig.tracking() as tracker:
        await rig.tell({A: Watermark(1)})
        await tracker.reached("g", {A: 1}, timeout_s=5)
        rig.tail.away = 3
        await rig.tell({A: Watermark(2)})
        await tracker.reached("g", {A: 2}, timeout_s=5)


async def test_unreadable_progress_is_passed_over(rig: Rig) -> None:
    async with rig.tracking() as tracker:
        await rig.publisher.publish_records(PROGRESSED.name, [OutgoingRecord(b"g", b"\xff\xff", [])])
        await rig.tell({A: Watermark(3)})
        await tracker.reached("g", {A: 3}, timeout_s=5)


async def test_several_may_wait_at_once(rig: Rig) -> None:
    async with rig.tracking() as tracker, asyncio.TaskGroup() as tasks:
        for target in range(1, 6):
            tasks.create_task(tracker.reached("g", {A: target}, timeout_s=5))
        for reached in range(1, 6):
            await rig.tell({A: Watermark(reached)})

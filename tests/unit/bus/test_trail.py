"""What follows the work."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from bus.feeds import PartitionsLost
from bus.positions import TopicPartition
from bus.trail import Trail
from bus.watermarks import Watermark

A, B = TopicPartition("t", 0), TopicPartition("t", 1)


class Group:
    """Takes commits, one at a time, when told to go on."""

    def __init__(self) -> None:
        self.commits: list[Mapping[TopicPartition, int]] = []
        self.asked = asyncio.Semaphore(0)
        self.go_on = asyncio.Semaphore(0)
        self.lost = False

    async def commit(self, marks: Mapping[TopicPartition, Watermark]) -> None:
        self.asked.release()
        await self.go_on.acquire()
        if self.lost:
            raise PartitionsLost("moved on")
        self.commits.append({where: mark.next_offset for where, mark in marks.items()})


@asynccontextmanager
async def committing(group: Group) -> AsyncIterator[Trail]:
    commits = Trail(group.commit)
    task = asyncio.ensure_future(commits.run())
    async with asyncio.timeout(10):
        yield commits
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_while_one_commit_is_on_its_way_the_next_gathers_the_newest_offsets() -> None:
    group = Group()
    async with committing(group) as commits:
        commits.add({A: Watermark(1)})
        await group.asked.acquire()
        commits.add({A: Watermark(2), B: Watermark(1)})
        commits.add({A: Watermark(3)})
        group.go_on.release()
        group.go_on.release()
        await commits.flush()
    assert group.commits == [{A: 1}, {A: 3, B: 1}]


async def test_a_flush_waits_for_the_commit_on_its_way() -> None:
    group = Group()
    async with committing(group) as commits:
        commits.add({A: Watermark(1)})
        await group.asked.acquire()
        flushing = asyncio.ensure_future(commits.flush())
        await asyncio.sleep(0)
        assert not flushing.done()
        group.go_on.release()
        await flushing


async def test_nothing_to_commit_is_nothing_to_wait_for() -> None:
    async with committing(Group()) as commits:
        await commits.flush()


async def test_offsets_that_are_ours_no_longer_are_dropped_and_later_ones_committed() -> None:
    group = Group()
    group.lost = True
    async with committing(group) as commits:
        commits.add({A: Watermark(1)})
        group.go_on.release()
        await commits.flush()
        group.lost = False
        commits.add({A: Watermark(2)})
        group.go_on.release()
        await commits.flush()
    assert group.commits == [{A: 2}]


async def test_what_was_added_during_a_failing_commit_goes_with_it_and_nothing_empty_is_committed() -> None:
    group = Group()
    group.lost = True
    async with committing(group) as commits:
        commits.add({A: Watermark(1)})
        await group.asked.acquire()
        commits.add({A: Watermark(2)})
        group.go_on.release()
        await commits.flush()
        group.lost = False
        commits.add({A: Watermark(3)})
        for _ in range(2):
            group.go_on.release()
        await commits.flush()
    assert group.commits == [{A: 3}]

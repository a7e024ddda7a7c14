"""Whatever the order, the batches, the repeats, the processes and the crashes: the same facts come out."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from bus.errors import Unavailable
from bus.memory import MemoryLog
from bus.positions import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st
from shadow_comparator.adapters.memory import MemoryLedger
from shadow_comparator.testing import TOPICS, World, outcome, prediction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bus.positions import Position
    from bus.received import Received
    from bus.records import OutgoingRecord
    from shadow_comparator.adapters.ledger import Page, Write
    from shadow_comparator.testing import Process

_LATER_US = 60_000_000
_PARTITIONS = [TopicPartition(topic, 0) for topic in TOPICS.inputs]


def _story() -> list[Received]:
    """Three days of requests: a champion, two shadows, labels, corrections, and a request asked twice."""
    facts: list[Received] = []
    for number, key in enumerate("abcdefghijkl"):
        hours = 6.0 * number
        facts.append(prediction(key, hours=hours, score=0.05 + 0.07 * number))
        facts.append(prediction(key, hours=hours, score=0.9 - 0.07 * number, shadow=True))
        if number % 3:
            facts.append(prediction(key, hours=hours, score=0.5, shadow=True, version="c"))
        if key != "l":
            facts.append(outcome(key, float(number % 2), hours=hours + 5))
        if number % 4 == 1:
            facts.append(outcome(key, float((number + 1) % 2), revision=1, hours=hours + 30))
    facts.append(prediction("a", hours=3.0, score=0.7, prediction_id="id-a-again"))
    facts.append(outcome("nobody-asked", 1.0))
    # What moves the watermark past the last window and its maturity; nobody shadows it.
    facts.append(prediction("end", hours=24.0 * 9))
    return facts


def _numbered(facts: Sequence[Received]) -> list[Received]:
    """Put facts on partitions of their topics, in the order given."""
    offsets = {topic: itertools.count() for topic in TOPICS.inputs}
    return [replace(fact, offset=next(offsets[fact.topic])) for fact in facts]


async def _settle(world: World, log: Sequence[Received]) -> None:
    """Let a process that has everything look until nothing is left to say."""
    for topic, partition in _PARTITIONS:
        world.ends[TopicPartition(topic, partition)] = sum(fact.topic == topic for fact in log)
    owner = world.process()
    await owner.joining.resume_from(_PARTITIONS)
    for _ in range(3):
        await owner.watching.look()
        world.now_us += _LATER_US


_told: list[World] = []


async def _expected() -> World:
    """What one process tells that is given everything at once; worked out once."""
    if not _told:
        world, log = World(), _numbered(_story())
        await world.process().take(*log)
        await _settle(world, log)
        _told.append(world)
    return _told[0]


@given(data=st.data())
@settings(max_examples=40, deadline=None)
async def test_any_order_repeats_batches_and_processes_give_the_same(data: st.DataObject) -> None:
    facts = data.draw(st.permutations(_story()))
    repeated = [fact for fact in facts for _ in range(data.draw(st.integers(1, 2)))]
    log = _numbered(data.draw(st.permutations(repeated)) if data.draw(st.booleans()) else repeated)
    world = World()
    processes = [world.process() for _ in range(3)]
    looks = data.draw(st.booleans())
    start = 0
    while start < len(log):
        stop = start + data.draw(st.integers(1, 12))
        process = data.draw(st.sampled_from(processes))
        await process.take(*log[start:stop])
        if looks:
            await data.draw(st.sampled_from(processes)).comparer.look(world.now_us)
        start = stop
    await _settle(world, log)
    expected = await _expected()
    assert world.resolved == expected.resolved
    assert _figures(world) == _figures(expected)


def _figures(world: World) -> dict[Any, Any]:
    """What stands in the end; reason and evidence may be of an earlier look at the windows before."""
    final = world.final
    for message in final.values():
        message.ClearField("reason")
        message.ClearField("evidence")
    return final


@dataclass
class Outage:
    """Something goes away once, at the n-th thing that is asked of it, before or after it did it."""

    at: int
    is_after: bool
    asked: int = 0

    def before(self) -> None:
        self.asked += 1
        if self.asked == self.at and not self.is_after:
            raise Unavailable("before")

    def after(self) -> None:
        if self.asked == self.at and self.is_after:
            raise Unavailable("after")


class FailingLedger(MemoryLedger):
    def __init__(self, outage: Outage) -> None:
        super().__init__()
        self._outage = outage

    async def write(self, writes: Sequence[Write], counters: Sequence[bytes] = ()) -> list[list[int]]:
        return [await self._one(write, counters) for write in writes]

    async def _one(self, write: Write, counters: Sequence[bytes]) -> list[int]:
        self._outage.before()
        (reply,) = await super().write([write], counters)
        self._outage.after()
        return reply

    async def exchange(self, writes: Sequence[Write]) -> list[Page]:
        pages = []
        for write in writes:
            self._outage.before()
            pages.extend(await super().exchange([write]))
            self._outage.after()
        return pages


@dataclass
class FailingLog(MemoryLog):
    outage: Outage = field(default_factory=lambda: Outage(-1, is_after=False))

    def append(self, topic: str, record: OutgoingRecord) -> Position:
        self.outage.before()
        position = super().append(topic, record)
        self.outage.after()
        return position


async def _consume(world: World, log: Sequence[Received]) -> None:
    """Live like a service: a process that meets an outage dies, and the next resumes from the marks."""
    process: Process | None = None
    done = False
    while not done:
        try:
            if process is None:
                process = world.process()
                resume = await process.joining.resume_from(_PARTITIONS)
            for start in range(0, len(log), 9):
                where = [fact for fact in log[start : start + 9] if fact.offset >= _next(resume, fact)]
                if where:
                    await process.take(*where)
                    await process.comparer.look(world.now_us)
            await _settle(world, log)
            done = True
        except Unavailable:
            process = None


def _next(resume: Any, fact: Received) -> int:
    offset: int = resume[TopicPartition(fact.topic, fact.partition)]
    return offset


@pytest.mark.parametrize("is_after", [False, True])
async def test_a_crash_at_any_step_changes_nothing_in_the_end(*, is_after: bool) -> None:
    expected = await _expected()
    steps = itertools.count(1)
    for at in steps:
        outage = Outage(at, is_after=is_after)
        world = World(ledger=FailingLedger(outage), log=FailingLog(outage=outage))
        await _consume(world, _numbered(_story()))
        assert world.resolved == expected.resolved
        assert _figures(world) == _figures(expected)
        if outage.asked < at:
            break
    assert at > 100


async def test_the_story_is_worth_telling() -> None:
    """So that "the same" is not the same nothing."""
    expected = await _expected()
    assert len(expected.resolved) == 38
    assert set(expected.final) == {("a", version, day) for version in "bc" for day in range(3)}
    assert not any(message.provisional for message in expected.final.values())
    assert {message.champion.labelled for message in expected.final.values()} > {2}

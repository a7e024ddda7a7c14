from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from bus.events import from_record
from bus.positions import TopicPartition
from bus.producer import MemoryLog, MemoryPublisher

from examples.flights.pacing import Pace, SystemClock
from examples.flights.replay import Lived, Replay, Tick, exact_ends, regular_ends, ticks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from examples.flights.facts import ScoringRequest
    from examples.flights.streams import Streams

_TICK_US = 15 * 60_000_000


@dataclass
class World:
    """Consumers that have taken in what the barrier was asked for, and what was asked of them when."""

    publisher: MemoryPublisher = field(default_factory=lambda: MemoryPublisher(MemoryLog(partitions=3)))
    next_offsets: dict[tuple[str, int], int] = field(default_factory=dict)
    newest_us: int = 0
    asked: list[tuple[ScoringRequest, int, int]] = field(default_factory=list)

    async def reached(self, group: str, targets: Mapping[tuple[str, int], int], timeout_s: float) -> None:
        assert (group, timeout_s) == ("keepers", 60.0)
        for where, next_offset in targets.items():
            known = self.publisher.log.read(TopicPartition(*where))
            assert len(known) == next_offset
            newest = from_record(known[-1].key, known[-1].value, known[-1].headers)
            self.newest_us = max(self.newest_us, newest.recorded_time_us)
            self.next_offsets[where] = next_offset

    @property
    def taken_in(self) -> int:
        return sum(self.next_offsets.values())

    async def ask(self, requests: Sequence[ScoringRequest]) -> None:
        self.asked.extend((request, self.taken_in, self.newest_us) for request in requests)


async def _live(world: World, streams: Streams, ends: NDArray[np.int64]) -> list[Lived]:
    clock = SystemClock()
    replay = Replay(world.publisher, world, world.ask, Pace(None, clock), clock, "keepers")
    return [lived async for lived in replay.live(streams, ends)]


def _known(streams: Streams, until_us: int) -> int:
    return sum(int((source.recorded_time_us <= until_us).sum()) for source in streams.sources)


async def test_a_question_sees_what_was_known_by_the_last_tick_and_nothing_later(
    one_evening: Streams,
) -> None:
    world = World()
    await _live(world, one_evening, regular_ends(one_evening))
    assert [request for request, *_ in world.asked] == one_evening.requests.requests(slice(None))
    for request, taken_in, newest_us in world.asked:
        last_tick_us = max(one_evening.from_us, request.request_time_us // _TICK_US * _TICK_US)
        assert newest_us <= request.request_time_us
        assert taken_in == _known(one_evening, last_tick_us)


async def test_exact_ticks_see_everything_known_when_the_question_is_asked(one_evening: Streams) -> None:
    world = World()
    await _live(world, one_evening, exact_ends(one_evening))
    assert len(world.asked) == len(one_evening.requests)
    for request, taken_in, newest_us in world.asked:
        assert newest_us <= request.request_time_us
        assert taken_in == _known(one_evening, request.request_time_us)


async def test_everything_is_published_and_asked_once(one_evening: Streams) -> None:
    world = World()
    lived = await _live(world, one_evening, regular_ends(one_evening))
    assert sum(tick.events for tick in lived) == world.taken_in == one_evening.event_count
    assert sum(tick.requests for tick in lived) == len(world.asked) == len(one_evening.requests)


async def test_a_barrier_that_fails_ends_the_replay_before_anything_is_asked(one_evening: Streams) -> None:
    class Behind(World):
        async def reached(self, group: str, targets: Mapping[tuple[str, int], int], timeout_s: float) -> None:
            raise TimeoutError(f"{group} is behind at {next(iter(targets))} after {timeout_s:g} s")

    world = Behind()
    with pytest.raises(TimeoutError, match="keepers is behind at"):
        await _live(world, one_evening, exact_ends(one_evening)[5:])
    assert world.asked == []


@pytest.mark.parametrize("skip_unasked", [True, False])
@pytest.mark.parametrize("cut", [regular_ends, exact_ends])
def test_ticks_cover_the_period_without_gap_or_overlap(
    two_days: Streams, cut: Callable[[Streams], NDArray[np.int64]], *, skip_unasked: bool
) -> None:
    found = list(ticks(two_days, cut(two_days), skip_unasked=skip_unasked))
    assert found[0].known_after_us == two_days.from_us - 1
    assert found[-1] == Tick(found[-1].known_after_us, two_days.to_us - 1, two_days.to_us - 1)
    for before, after in itertools.pairwise(found):
        assert before.known_until_us == after.known_after_us
        # The last tick publishes up to the last microsecond of the period and asks nothing.
        assert before.asked_until_us <= after.known_until_us + (after is found[-1])


def test_skipping_ticks_without_questions_leaves_every_question_what_it_sees(two_days: Streams) -> None:
    ends = regular_ends(two_days)
    seen = [
        {
            row: tick.known_until_us
            for tick in ticks(two_days, ends, skip_unasked=skip)
            for row in range(
                *two_days.requests.asked_in(tick.known_until_us, tick.asked_until_us).indices(10**9)
            )
        }
        for skip in (True, False)
    ]
    assert seen[0] == seen[1]
    assert len(seen[0]) == len(two_days.requests)


def test_a_quiet_night_costs_no_ticks(two_days: Streams) -> None:
    ends = regular_ends(two_days)
    busy = list(ticks(two_days, ends, skip_unasked=True))
    assert len(busy) < len(list(ticks(two_days, ends, skip_unasked=False))) <= ends.size + 2

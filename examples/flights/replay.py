"""Lives a period again: events become known, questions are asked, and no answer knows what was not known yet.

Event time moves in ticks. At the end of a tick, what became known in it is published; when the features
have taken it in, the questions of the time up to the end of the *next* tick are asked. So a question sees
everything known by the end of the last tick before it, and nothing later: it is behind by less than a tick,
and never ahead. A tick that ends at each question's own time makes it exact, at the cost of a barrier for
each.

Windows of a day close when the first fact of the next is seen, and what closes them may change who answers.
So that it never depends on who was quicker, the last tick of a day is settled before the next day begins,
and the first question of a day is asked alone and settled before the second is asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from examples.flights.publishing import DAY_US, publish_known

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence

    from bus.positions import Position
    from bus.producer import Publisher
    from numpy.typing import NDArray

    from examples.flights.facts import ScoringRequest
    from examples.flights.pacing import Clock, Pace
    from examples.flights.streams import Streams

    Ask = Callable[[Sequence[ScoringRequest]], Awaitable[None]]
    Settle = Callable[[int], Awaitable[None]]

DEFAULT_TICK_US: Final = 15 * 60 * 1_000_000


class Barrier(Protocol):
    """Knows how far consumers have come; `bus.tracker.ProgressTracker` on Kafka."""

    async def reached(self, group: str, targets: Mapping[tuple[str, int], int], timeout_s: float) -> None:
        """Return once every record before the target offsets has had its durable effect.

        Raises:
            TimeoutError: It took longer; the message says who is behind.
        """


@dataclass(frozen=True, slots=True)
class Tick:
    """A step of event time.

    What became known in (`known_after_us`, `known_until_us`] is published, then what is asked in
    [`known_until_us`, `asked_until_us`) is asked.
    """

    known_after_us: int
    known_until_us: int
    asked_until_us: int


@dataclass(frozen=True, slots=True)
class Lived:
    """What a tick came to."""

    tick: Tick
    events: int
    requests: int
    barrier_seconds: float


async def _never(_: int) -> None:
    """Settle nothing."""


@dataclass(frozen=True, slots=True)
class Replay:
    """Lives periods.

    Attributes:
        ask: Is given the questions of a tick, in order; returns when they are answered.
        settle: Is given the event time that has come; returns when everything said so far has had its last
            effect. Use ends from `with_midnights`.
        group: The consumer group whose effects a question must see.
        timeout_seconds: How long a tick may take the group before the replay gives up.
    """

    publisher: Publisher
    barrier: Barrier
    ask: Ask
    pace: Pace
    clock: Clock
    group: str
    timeout_seconds: float = 60.0
    settle: Settle = _never

    async def live(self, streams: Streams, ends: NDArray[np.int64]) -> AsyncIterator[Lived]:
        """Live the period, tick by tick; what is published and asked has happened when its tick is yielded.

        Args:
            streams: What becomes known and what is asked.
            ends: Where ticks end: `regular_ends` or `exact_ends`.

        Raises:
            TimeoutError: The group did not take in a tick in time; the message says where it is behind.
            Unavailable: The broker refused.
        """
        day = streams.from_us // DAY_US
        for tick in ticks(streams, ends, skip_unasked=self.pace.is_free):
            await self.pace.until(tick.known_until_us)
            positions = await publish_known(streams, self.publisher, tick.known_after_us, tick.known_until_us)
            barrier_seconds = await self._wait_for(positions)
            is_settled = is_midnight(tick.known_until_us)
            if is_settled:
                await self.settle(tick.known_until_us)
            which = streams.requests.asked_in(tick.known_until_us, tick.asked_until_us)
            if which.stop > which.start:
                asked = streams.requests.requests(which)
                day = await self._ask(asked, day, is_settled=is_settled)
            yield Lived(tick, len(positions), which.stop - which.start, barrier_seconds)

    async def _ask(self, asked: Sequence[ScoringRequest], day: int, *, is_settled: bool) -> int:
        """Ask the questions of a tick; returns the day of the last."""
        days = [request.request_time_us // DAY_US for request in asked]
        start = 0
        for row in [row for row, its in enumerate(days) if its > (days[row - 1] if row else day)]:
            if row > start:
                await self.ask(asked[start:row])
            if row or not is_settled:
                await self.settle(asked[row].request_time_us)
            await self.ask(asked[row : row + 1])
            await self.settle(asked[row].request_time_us)
            start = row + 1
        if start < len(asked):
            await self.ask(asked[start:])
        return days[-1]

    async def _wait_for(self, positions: Sequence[Position]) -> float:
        started_seconds = self.clock.monotonic_seconds()
        if positions:
            # Positions of a partition ascend, so the last one counts.
            targets = {(topic, partition): offset + 1 for topic, partition, offset in positions}
            await self.barrier.reached(self.group, targets, self.timeout_seconds)
        return self.clock.monotonic_seconds() - started_seconds


def regular_ends(streams: Streams, tick_us: int = DEFAULT_TICK_US) -> NDArray[np.int64]:
    """End a tick at every multiple of `tick_us` since the epoch."""
    first = streams.from_us // tick_us + 1
    return np.arange(first * tick_us, streams.to_us, tick_us, dtype=np.int64)


def exact_ends(streams: Streams) -> NDArray[np.int64]:
    """End a tick whenever something is asked."""
    return np.unique(streams.requests.time_us)


def with_midnights(ends: NDArray[np.int64], streams: Streams) -> NDArray[np.int64]:
    """End a tick with every day's last microsecond instead of with the next day's first."""
    kept = ends[ends % DAY_US != 0]
    first = streams.from_us // DAY_US + 1
    midnights = np.arange(first * DAY_US, streams.to_us, DAY_US, dtype=np.int64)
    return np.union1d(kept, midnights - 1)


def is_midnight(time_us: int) -> bool:
    """Whether that is the last microsecond of a day, UTC."""
    return (time_us + 1) % DAY_US == 0


def ticks(streams: Streams, ends: NDArray[np.int64], *, skip_unasked: bool) -> Iterator[Tick]:
    """Cut the period into ticks that end at `ends`, leaving out those in which nothing happens.

    Args:
        streams: What becomes known and what is asked.
        ends: Ascending, within the period.
        skip_unasked: Join a tick after which nothing is asked to the one that follows, but not those that end
            a day: the same answers with fewer barriers, for whoever is in a hurry.
    """
    bounds = [streams.from_us, *ends.tolist(), streams.to_us]
    after_us = streams.from_us - 1
    for until_us, next_us in pairwise(bounds):
        asked = streams.requests.asked_in(until_us, next_us)
        is_known = any(
            known.stop > known.start
            for known in (source.known_in(after_us, until_us) for source in streams.sources)
        )
        if asked.stop > asked.start or (is_known and not skip_unasked) or is_midnight(until_us):
            yield Tick(after_us, until_us, next_us)
            after_us = until_us
    yield Tick(after_us, streams.to_us - 1, streams.to_us - 1)

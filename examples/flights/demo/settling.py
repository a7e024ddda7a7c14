"""Waits until everything said so far has had its last effect, so that what follows depends on nobody's speed.

One after the other along the flow, every group has to reach the ends its topics have by then; then whoever
plays the humans looks at what came of it; and again, until nothing new is said.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from bus import topics
from bus.errors import Unavailable
from bus.kafka.reading import topic_reader

from examples.flights.demo.chronicle import AWAY_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence

    from bus.positions import TopicPartition
    from bus.topics import Topic
    from bus.tracker import ProgressTracker

    from examples.flights.demo.chronicle import Chronicle, Entry

    Ends = Mapping[TopicPartition, int]
    Tell = Callable[[Sequence[Entry]], None]

_SECONDS: Final = 240.0
_LOGGED_POLL_SECONDS: Final = 0.005


@dataclass(frozen=True, slots=True)
class Reads:
    """A group and the topics it has to have read to their ends."""

    group: str
    topics: tuple[Topic, ...]


_JOINED = (topics.PREDICTIONS_MADE, topics.SHADOW_MADE, topics.OUTCOMES_OBSERVED)
_GOVERNED = (
    topics.MODELS_REGISTERED,
    topics.RETRAIN_REQUESTED,
    topics.VARIANTS_COMPARED,
    topics.MONITORS_MEASURED,
)
_WATCHED = (topics.PREDICTIONS_MADE, topics.PREDICTIONS_RESOLVED)
_TRIGGERING = (
    topics.MONITORS_MEASURED,
    topics.MODELS_REGISTERED,
    topics.ROUTES_CHANGED,
    topics.APPROVALS_DECIDED,
)
FLOW: Final = (
    (Reads("inference-shadow", (topics.PREDICTIONS_MADE,)),),
    (Reads("shadow-comparator", _JOINED),),
    (Reads("shadow-comparator.compared", _JOINED), Reads("drift-detector", _WATCHED)),
    (Reads("drift-detector.measured", _WATCHED),),
    (
        Reads("drift-detector-alerts", (topics.MONITORS_MEASURED,)),
        Reads("retrain-trigger", _TRIGGERING),
        Reads("control-plane", _GOVERNED),
    ),
    (Reads("trainer", (topics.RETRAIN_APPROVED,)),),
)
"""Groups side by side have nothing to say to each other."""


class Onlookers(Protocol):
    """The people of the story; `people.People`."""

    async def act(self, now_us: int) -> bool:
        """Do what is due; say whether anything was."""

    async def followed(self) -> None:
        """Return when every replica answers by the newest route."""


class Settler:
    """Settles, again and again.

    Args:
        answers: How many questions were answered; a reply does not wait for its prediction to be logged.
        ends: Says where the platform's topics end now; see `ends_of_topics`.
        people: Whoever looks when all is quiet.
        tell: Is given what was said since the last time.
        flow: Who reads what, in the order in which effects flow.
    """

    def __init__(
        self,
        *,
        ends: AsyncIterator[Ends],
        tracker: ProgressTracker,
        chronicle: Chronicle,
        answers: Callable[[], int],
        people: Onlookers,
        tell: Tell,
        flow: Sequence[Sequence[Reads]] = FLOW,
    ) -> None:
        self._ends = ends
        self._tracker = tracker
        self._chronicle = chronicle
        self._answers = answers
        self._people = people
        self._tell = tell
        self._flow = flow
        self.seconds = 0.0
        self.times = 0

    async def settle(self, now_us: int) -> None:
        """Returns when nothing is under way any more and the humans have nothing left to do.

        Args:
            now_us: The event time that has come.

        Raises:
            bus.tracker.ProgressTimeoutError: A group does not come along; the message says which.
        """
        started = time.monotonic()
        while True:
            ends = await self._drain()
            news = await self._chronicle.news(ends)
            self._tell(news)
            if any(entry.topic == topics.ROUTES_CHANGED.name for entry in news):
                await self._people.followed()
            if not await self._people.act(now_us) and await anext(self._ends) == ends:
                break
        self.seconds += time.monotonic() - started
        self.times += 1

    async def _drain(self) -> Ends:
        ends = await self._logged()
        for wave in self._flow:
            await asyncio.gather(*(self._reached(reads, ends) for reads in wave))
            ends = await anext(self._ends)
        return ends

    async def _logged(self) -> Ends:
        """The ends, once every answer is in the log; what a crash had logged twice counts as two."""
        async with asyncio.timeout(_SECONDS):
            while True:
                ends = await anext(self._ends)
                made = sum(end for where, end in ends.items() if where.topic == topics.PREDICTIONS_MADE.name)
                if made >= self._answers():
                    return ends
                await asyncio.sleep(_LOGGED_POLL_SECONDS)

    async def _reached(self, reads: Reads, ends: Ends) -> None:
        names = {topic.name for topic in reads.topics}
        targets = {where: end for where, end in ends.items() if where.topic in names and end}
        if targets:
            await self._tracker.reached(reads.group, targets, _SECONDS)


async def ends_of_topics(bootstrap: str) -> AsyncGenerator[Ends]:
    """Yields where the platform's topics end, but for those that tick by themselves, whenever it is asked."""
    ticking = {topics.PROGRESSED.name, topics.ROUTES_FOLLOWED.name}
    names = sorted({topic.name for topic in topics.CATALOGUE} - ticking)
    while True:
        try:
            async with topic_reader(bootstrap) as reader:
                found = await reader.topics()
                partitions = [where for name in names for where in found[name]]
                while True:
                    yield await reader.end_offsets(partitions)
        except Unavailable:
            await asyncio.sleep(AWAY_SECONDS)

"""Waits until everything said so far has had its last effect, so that what follows depends on nobody's speed.

One after the other along the flow, every group has to reach the ends its topics have by then; then whoever
plays the humans looks at what came of it; and again, until nothing new is said.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bus import topics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from bus.kafka.reading import TopicReader
    from bus.positions import TopicPartition
    from bus.topics import Topic
    from bus.tracker import ProgressTracker

    from examples.flights.demo.chronicle import Chronicle, Entry

    Act = Callable[[int], Awaitable[bool]]
    Tell = Callable[[Sequence[Entry]], None]

_SECONDS: Final = 240.0
_LOGGED_POLL_SECONDS: Final = 0.005


@dataclass(frozen=True, slots=True)
class Reads:
    """A group and the topics it has to have read to their ends."""

    group: str
    topics: tuple[Topic, ...]


_JOINED = (topics.PREDICTIONS_MADE, topics.SHADOW_MADE, topics.OUTCOMES_OBSERVED)
_WATCHED = (topics.PREDICTIONS_MADE, topics.PREDICTIONS_RESOLVED)
FLOW: Final = (
    (Reads("inference-shadow", (topics.PREDICTIONS_MADE,)),),
    (Reads("shadow-comparator", _JOINED),),
)
"""Groups side by side have nothing to say to each other."""


class Settler:
    """Settles, again and again.

    Args:
        answers: How many questions were answered; a reply does not wait for its prediction to be logged.
        act: Lets the humans look; says whether they did anything.
        tell: Is given what was said since the last time.
        flow: Who reads what, in the order in which effects flow.
    """

    def __init__(
        self,
        *,
        reader: TopicReader,
        tracker: ProgressTracker,
        chronicle: Chronicle,
        answers: Callable[[], int],
        act: Act,
        tell: Tell,
        flow: Sequence[Sequence[Reads]] = FLOW,
    ) -> None:
        self._reader = reader
        self._tracker = tracker
        self._chronicle = chronicle
        self._answers = answers
        self._act = act
        self._tell = tell
        self._flow = flow
        self._partitions: list[TopicPartition] = []
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
            self._tell(await self._chronicle.read(self._reader, ends))
            if not await self._act(now_us) and await self._ends() == ends:
                break
        self.seconds += time.monotonic() - started
        self.times += 1

    async def _drain(self) -> Mapping[TopicPartition, int]:
        ends = await self._logged()
        for wave in self._flow:
            await asyncio.gather(*(self._reached(reads, ends) for reads in wave))
            ends = await self._ends()
        return ends

    async def _logged(self) -> Mapping[TopicPartition, int]:
        """The ends, once every answer is in the log; what a crash had logged twice counts as two."""
        async with asyncio.timeout(_SECONDS):
            while True:
                ends = await self._ends()
                made = sum(end for where, end in ends.items() if where.topic == topics.PREDICTIONS_MADE.name)
                if made >= self._answers():
                    return ends
                await asyncio.sleep(_LOGGED_POLL_SECONDS)

    async def _reached(self, reads: Reads, ends: Mapping[TopicPartition, int]) -> None:
        names = {topic.name for topic in reads.topics}
        targets = {where: end for where, end in ends.items() if where.topic in names and end}
        if targets:
            await self._tracker.reached(reads.group, targets, _SECONDS)

    async def _ends(self) -> Mapping[TopicPartition, int]:
        """Where the platform's topics end, but for those that tick by themselves."""
        if not self._partitions:
            ticking = {topics.PROGRESSED.name, topics.ROUTES_FOLLOWED.name}
            names = {topic.name for topic in topics.CATALOGUE} - ticking
            found = await self._reader.topics()
            self._partitions = [where for name in sorted(names) for where in found[name]]
        return await self._reader.end_offsets(self._partitions)

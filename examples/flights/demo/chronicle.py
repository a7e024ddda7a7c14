"""What the platform said about itself, read from its topics: measurements, alerts, requests, releases."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from bus import topics
from bus.errors import Unavailable
from bus.inspect import see
from bus.kafka.reading import topic_reader
from bus.positions import TopicPartition

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from bus.records import LogRecord
    from bus.topics import Topic
    from google.protobuf.message import Message

    Said = TypeVar("Said", bound=Message)

TOLD: Final = (
    topics.MODELS_REGISTERED,
    topics.ROUTES_CHANGED,
    topics.ROLLOUTS_CHANGED,
    topics.VARIANTS_COMPARED,
    topics.MONITORS_MEASURED,
    topics.ALERTS_CHANGED,
    topics.RETRAIN_REQUESTED,
    topics.RETRAIN_APPROVED,
    topics.RETRAIN_REFUSED,
    topics.APPROVALS_DECIDED,
)
AWAY_SECONDS: Final = 0.5
_BY_NAME: Final = {topic.name: topic for topic in TOLD}


@dataclass(frozen=True, slots=True)
class Entry:
    """A fact and its event time."""

    topic: str
    time_us: int
    message: Any


class Chronicle:
    """Facts in the order in which they were read, each once however often it was delivered."""

    def __init__(self) -> None:
        self._entries: dict[str, list[Entry]] = defaultdict(list)
        self._seen: set[tuple[str, str]] = set()
        self._next: dict[TopicPartition, int] = {}
        self._unread: list[Entry] = []
        self._moved = asyncio.Event()

    def of(self, topic: Topic) -> list[Entry]:
        """What a topic holds."""
        return self._entries[topic.name]

    def messages(self, topic: Topic, kind: type[Said]) -> list[Said]:
        """What a topic says, without the times."""
        return [entry.message for entry in self.of(topic) if isinstance(entry.message, kind)]

    @asynccontextmanager
    async def following(self, bootstrap: str) -> AsyncIterator[None]:
        """Reads on and on, until the block ends."""
        task = asyncio.ensure_future(self._follow(bootstrap))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def news(self, ends: Mapping[TopicPartition, int]) -> list[Entry]:
        """What was said up to `ends` and was not given before, by event time."""
        while any(self._next.get(where, 0) < end for where, end in ends.items() if where.topic in _BY_NAME):
            self._moved.clear()
            await self._moved.wait()
        new, self._unread = self._unread, []
        return sorted(new, key=lambda entry: (entry.time_us, entry.topic))

    async def _follow(self, bootstrap: str) -> None:
        while True:
            try:
                async with topic_reader(bootstrap) as reader:
                    found = await reader.topics()
                    partitions = [where for name in _BY_NAME for where in found[name]]
                    async for record in reader.read(
                        {where: self._next.get(where, 0) for where in partitions}
                    ):
                        self._take(record)
            except Unavailable:
                await asyncio.sleep(AWAY_SECONDS)

    def _take(self, record: LogRecord) -> None:
        seen = see(record, _BY_NAME[record.topic].message)
        self._next[TopicPartition(record.topic, record.partition)] = record.offset + 1
        self._moved.set()
        if seen.event is None or seen.message is None or (record.topic, seen.event.id) in self._seen:
            return
        self._seen.add((record.topic, seen.event.id))
        entry = Entry(record.topic, seen.event.time_us, seen.message)
        self._entries[record.topic].append(entry)
        self._unread.append(entry)

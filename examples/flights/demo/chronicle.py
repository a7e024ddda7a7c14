"""What the platform said about itself, read from its topics: measurements, alerts, requests, releases."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from bus import topics
from bus.inspect import see

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bus.kafka.reading import TopicReader
    from bus.positions import TopicPartition
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

    def of(self, topic: Topic) -> list[Entry]:
        """What a topic holds."""
        return self._entries[topic.name]

    def messages(self, topic: Topic, kind: type[Said]) -> list[Said]:
        """What a topic says, without the times."""
        return [entry.message for entry in self.of(topic) if isinstance(entry.message, kind)]

    async def read(self, reader: TopicReader, ends: Mapping[TopicPartition, int]) -> list[Entry]:
        """Takes in what was said up to `ends` and not read yet; returns it by event time."""
        starts = {
            where: self._next.get(where, 0)
            for where, end in ends.items()
            if where.topic in _BY_NAME and end > self._next.get(where, 0)
        }
        new: list[Entry] = []
        if starts:
            async for record in reader.read(starts, {where: ends[where] for where in starts}):
                seen = see(record, _BY_NAME[record.topic].message)
                if seen.event is not None and seen.message is not None:
                    new += self._take(record.topic, seen.event.id, seen.event.time_us, seen.message)
        self._next |= {where: ends[where] for where in starts}
        return sorted(new, key=lambda entry: (entry.time_us, entry.topic))

    def _take(self, topic: str, identity: str, time_us: int, message: Message) -> list[Entry]:
        if (topic, identity) in self._seen:
            return []
        self._seen.add((topic, identity))
        entry = Entry(topic, time_us, message)
        self._entries[topic].append(entry)
        return [entry]

"""How records become batches: pure arithmetic over what was fetched."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from bus.positions import TopicPartition
    from bus.records import LogRecord

    MostOf = Callable[[str], int | None]

DEFAULT_MAX_RECORDS: Final = 2000
_QUIET_SHARE: Final = 0.25
_BITES: Final = 20
_MOSTLY: Final = 0.5


@dataclass(frozen=True, slots=True)
class Batching:
    """When a batch is handed over.

    Attributes:
        max_records: At most so many records.
        max_wait_ms: Wait so long, from the first record on, for a full batch, and a quarter of it for the
            next record: bursts are gathered, and the last of them is not kept waiting. 0 hands over whatever
            has come.
    """

    max_records: int = DEFAULT_MAX_RECORDS
    max_wait_ms: int = 0

    def __post_init__(self) -> None:
        if self.max_records < 1 or self.max_wait_ms < 0:
            raise ValueError(f"{self}: max_records must be at least 1 and max_wait_ms at least 0")

    @property
    def quiet_ms(self) -> float:
        """How long nothing may come before a batch is handed over that is not full."""
        return self.max_wait_ms * _QUIET_SHARE


class Gathering:
    """Until when one batch is gathered, by a clock in milliseconds."""

    def __init__(self, batching: Batching) -> None:
        self._batching = batching
        self._count = 0
        self._latest_ms = math.inf
        self._quiet_ms = math.inf

    def left_ms(self, count: int, now_ms: float) -> float:
        """How long to wait on, with so many records in hand; without any for ever."""
        if count > self._count:
            self._count = count
            self._latest_ms = min(self._latest_ms, now_ms + self._batching.max_wait_ms)
            self._quiet_ms = now_ms + self._batching.quiet_ms
        return min(self._latest_ms, self._quiet_ms) - now_ms


def _no_limit(_topic: str) -> None:
    """Limit no topic."""


class Bites:
    """How much of a topic a batch may hold while other topics could be waiting: little of what is refused.

    A refused record costs a dead letter, many times what a good one costs, and helps nobody: a topic of which
    most was refused in its last batch is taken a twentieth of a batch at a time, until it is better.

    Args:
        max_records: Of a batch.
        topics: How many there are: the only one keeps nobody waiting.
    """

    def __init__(self, max_records: int, topics: int) -> None:
        self._small = max(1, max_records // _BITES) if topics > 1 else max_records
        self._bad: set[str] = set()

    def most_of(self, topic: str) -> int | None:
        """Say how many records of a topic a batch may hold; None where nothing limits it."""
        return self._small if topic in self._bad else None

    def swallowed(self, records: Mapping[str, int], refused: Mapping[str, int]) -> None:
        """Take in, by topic, how many records a batch held and how many of them were refused."""
        for topic, count in records.items():
            if refused.get(topic, 0) > count * _MOSTLY:
                self._bad.add(topic)
            else:
                self._bad.discard(topic)


class Backlog:
    """Fetched records that no batch has taken yet, by partition, each in order.

    Topics take turns: each has an equal share of a batch for as long as it has records waiting, so that a
    topic that is flooded fills the others' batches only where they leave room.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[tuple[TopicPartition, Sequence[LogRecord]]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, fetched: Mapping[TopicPartition, Sequence[LogRecord]]) -> None:
        """Append what was fetched."""
        for where, records in fetched.items():
            self._waiting.setdefault(where.topic, deque()).append((where, records))
            self._count += len(records)

    def take(self, max_records: int, most_of: MostOf = _no_limit) -> list[LogRecord]:
        """Take up to `max_records`, of each topic its oldest fetch first; partitions keep their order.

        Args:
            max_records: In all.
            most_of: Of each topic; None where nothing limits it.
        """
        taken: list[LogRecord] = []
        hungry = {topic: most_of(topic) or max_records for topic in self._waiting}
        while hungry and len(taken) < max_records:
            share = max(1, (max_records - len(taken)) // len(hungry))
            for topic, left in list(hungry.items())[: max_records - len(taken)]:
                found = self._take_of(topic, min(share, left))
                taken.extend(found)
                hungry[topic] = left - len(found)
                if not hungry[topic] or topic not in self._waiting:
                    del hungry[topic]
        return taken

    @property
    def topics(self) -> Collection[str]:
        """The topics of which records wait."""
        return self._waiting.keys()

    def clear(self) -> None:
        """Forget everything: whoever owns the partitions next reads the records again."""
        self._waiting.clear()
        self._count = 0

    def _take_of(self, topic: str, most: int) -> list[LogRecord]:
        taken: list[LogRecord] = []
        waiting = self._waiting.pop(topic)
        while waiting and len(taken) < most:
            where, records = waiting.popleft()
            room = most - len(taken)
            taken.extend(records[:room])
            if len(records) > room:
                waiting.appendleft((where, records[room:]))
        self._count -= len(taken)
        if waiting:
            self._waiting[topic] = waiting  # behind the others, who are first where a share is small
        return taken

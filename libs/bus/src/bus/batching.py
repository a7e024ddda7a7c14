"""How records become batches: pure arithmetic over what was fetched."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bus.positions import TopicPartition
    from bus.records import LogRecord

DEFAULT_MAX_RECORDS: Final = 2000
_QUIET_SHARE: Final = 0.25


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


class Backlog:
    """Fetched records that no batch has taken yet, by partition, each in order."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[TopicPartition, Sequence[LogRecord]]] = deque()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, fetched: Mapping[TopicPartition, Sequence[LogRecord]]) -> None:
        """Append what was fetched."""
        for where, records in fetched.items():
            self._waiting.append((where, records))
            self._count += len(records)

    def take(self, max_records: int) -> list[LogRecord]:
        """Take up to `max_records`, oldest fetch first; a partition's records keep their order."""
        taken: list[LogRecord] = []
        while self._waiting and len(taken) < max_records:
            where, records = self._waiting.popleft()
            room = max_records - len(taken)
            taken.extend(records[:room])
            if len(records) > room:
                self._waiting.appendleft((where, records[room:]))
        self._count -= len(taken)
        return taken

    def clear(self) -> None:
        """Forget everything: whoever owns the partitions next reads the records again."""
        self._waiting.clear()
        self._count = 0

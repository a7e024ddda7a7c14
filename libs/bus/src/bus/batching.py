"""How records become batches: pure arithmetic over what was fetched."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bus.positions import TopicPartition
    from bus.records import LogRecord

DEFAULT_MAX_RECORDS: Final = 2000


@dataclass(frozen=True, slots=True)
class Batching:
    """When a batch is handed over.

    Attributes:
        max_records: At most so many records.
        max_wait_ms: Wait so long, from the first record on, for a full batch; 0 hands over whatever has come.
    """

    max_records: int = DEFAULT_MAX_RECORDS
    max_wait_ms: int = 0

    def __post_init__(self) -> None:
        if self.max_records < 1 or self.max_wait_ms < 0:
            raise ValueError(f"{self}: max_records must be at least 1 and max_wait_ms at least 0")


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

"""Notices when Faust passes records over.

While Faust recovers a table it lets go of what it has fetched, and yet goes on behind it: after a kill -9 a
hundred records were not handed over, and later counted as read. A record that does not follow on the one
before it is therefore refused, unacknowledged, and the worker begins anew at the group's commits.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from bus.inspect import list_topics
from bus.kafka.admin import committed_offsets
from bus.positions import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bus.records import LogRecord

_TRIES: Final = 3


class RecordsPassedOver(Exception):
    """Records between two others were not handed over."""


class Holes:
    """Counts how often a hole was seen: one that is there whenever the log is read is the log's own."""

    def __init__(self) -> None:
        self._seen: Counter[tuple[TopicPartition, int, int]] = Counter()

    def is_in_log(self, where: TopicPartition, expected: int, found: int) -> bool:
        """Count it; tell whether reading again is no use."""
        hole = where, expected, found
        self._seen[hole] += 1
        return self._seen[hole] > _TRIES


class Unbroken:
    """Follows the offsets of one worker's life.

    Args:
        expected: The first offset of each partition that has to follow on itself; others are not looked at.
    """

    def __init__(self, expected: Mapping[TopicPartition, int], holes: Holes) -> None:
        self._expected = dict(expected)
        self._holes = holes

    def check(self, record: LogRecord) -> None:
        """Take note of a record, at its first delivery or a later one.

        Raises:
            RecordsPassedOver: It does not follow on the one before.
        """
        where = TopicPartition(record.topic, record.partition)
        expected = self._expected.get(where)
        if expected is None:
            return
        if record.offset > expected and not self._holes.is_in_log(where, expected, record.offset):
            raise RecordsPassedOver(
                f"{record.topic}[{record.partition}]: {record.offset} was handed over after {expected - 1}"
            )
        self._expected[where] = max(expected, record.offset + 1)


async def beginnings(bootstrap: str, group: str, topics: Sequence[str]) -> dict[TopicPartition, int]:
    """Ask where the group goes on in each partition; compacted topics have holes and are left out.

    Raises:
        Unavailable: the broker is away.
    """
    committed = await committed_offsets(bootstrap, group)
    return {
        where: max(committed.get(where, 0), part.begin)
        for topic in await list_topics(bootstrap)
        if topic.name in topics and not topic.compacted
        for part in topic.partitions
        for where in (TopicPartition(topic.name, part.partition),)
    }

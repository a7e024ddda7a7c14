"""Progress: how far groups' effects reach, as events and as what they add up to; see `bus.tracker`."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from tidemark.pipelines.v1.progress_pb2 import PartitionProgress, ProgressMade

from bus.events import Event
from bus.positions import TopicPartition
from bus.watermarks import Watermark

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bus.positions import Position

    Targets = Mapping[TopicPartition, int] | Mapping[tuple[str, int], int]
    """The offset that each partition must reach; plain pairs do for partitions."""

_NOWHERE = Watermark(0)


def progress_event(group: str, service: str, marks: Mapping[TopicPartition, Watermark], now_us: int) -> Event:
    """Say how far the given partitions have come; the same progress has the same id."""
    message = ProgressMade(
        group=group,
        partitions=[
            PartitionProgress(
                topic=where.topic,
                partition=where.partition,
                next_offset=mark.next_offset,
                recorded_watermark_us=mark.recorded_us,
                event_watermark_us=mark.event_us,
            )
            for where, mark in sorted(marks.items())
        ],
    )
    identity = hashlib.blake2b(message.SerializeToString(deterministic=True), digest_size=16).hexdigest()
    return Event.of(
        message, id=f"{group}:{identity}", source=service, key=group, time_us=now_us, recorded_time_us=now_us
    )


def targets_of(positions: Iterable[Position]) -> dict[TopicPartition, int]:
    """Say which offsets a group must reach for the records at these positions to have had their effect."""
    targets: dict[TopicPartition, int] = {}
    for position in positions:
        where = position.topic_partition
        targets[where] = max(targets.get(where, 0), position.offset + 1)
    return targets


class Behind(NamedTuple):
    """A partition whose records have not all had their effect."""

    where: TopicPartition
    reached: int
    target: int

    def __str__(self) -> str:
        return f"{self.where} at {self.reached}, {self.target - self.reached} short of {self.target}"


class ProgressMarks:
    """What all progress seen so far adds up to, by group and partition; order and repeats do not matter."""

    def __init__(self) -> None:
        self._marks: dict[str, dict[TopicPartition, Watermark]] = defaultdict(dict)

    def merge(self, message: ProgressMade) -> None:
        """Take a progress event in."""
        for one in message.partitions:
            mark = Watermark(one.next_offset, one.recorded_watermark_us, one.event_watermark_us)
            self.merge_mark(message.group, TopicPartition(one.topic, one.partition), mark)

    def merge_mark(self, group: str, where: TopicPartition, mark: Watermark) -> None:
        """Take one partition's progress in."""
        known = self._marks[group].get(where, _NOWHERE)
        self._marks[group][where] = known.advanced(mark.next_offset, mark.recorded_us, mark.event_us)

    def of(self, group: str) -> Mapping[TopicPartition, Watermark]:
        """Give what is known of a group."""
        return self._marks.get(group, {})

    def behind(self, group: str, targets: Targets) -> list[Behind]:
        """List the partitions where a group has not reached its target."""
        marks = self.of(group)
        reached = {TopicPartition(*where): target for where, target in targets.items()}
        return [
            Behind(where, marks.get(where, _NOWHERE).next_offset, target)
            for where, target in sorted(reached.items())
            if marks.get(where, _NOWHERE).next_offset < target
        ]

"""Progress: how far a group's durable effects reach, as events."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from tidemark.pipelines.v1.progress_pb2 import PartitionProgress, ProgressMade

from bus.events import Event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bus.positions import TopicPartition
    from bus.watermarks import Watermark


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

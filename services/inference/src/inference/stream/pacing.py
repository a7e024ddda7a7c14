"""Saying how fast a stream is answered, how much waits, and how many processes that takes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from inference.domain.scaling import Pace, Sample, pace_between, wanted_replicas

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bus.positions import TopicPartition
    from bus.watermarks import Watermark

    from inference.clocks import Stopwatch
    from inference.metrics import Metrics


class Consumer(Protocol):
    """What is paced: a `bus.runner.ConsumerRunner`."""

    @property
    def watermarks(self) -> Mapping[TopicPartition, Watermark]:
        """What of each assigned partition has had its effect."""

    def end_offset(self, where: TopicPartition) -> int | None:
        """Give the last known end of an assigned partition."""


class Pacer:
    """Looks at a consumer now and then.

    Args:
        batch: How many events are answered together.
        capacity_per_second: What one process is thought to do, until a backlog shows what it does.
        drain_seconds: In what time a backlog must be gone.
    """

    def __init__(
        self,
        consumer: Consumer,
        metrics: Metrics,
        now_s: Stopwatch,
        *,
        batch: int,
        capacity_per_second: float,
        drain_seconds: float,
    ) -> None:
        self._consumer = consumer
        self._metrics = metrics
        self._now_s = now_s
        self._batch = batch
        self._capacity_per_second = capacity_per_second
        self._drain_seconds = drain_seconds
        self._before: Sample | None = None

    async def run(self, every_seconds: float) -> None:
        """Look until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(every_seconds)

    def look(self) -> None:
        """Take a sample, and say what happened since the last one."""
        reached = {where: mark.next_offset for where, mark in self._consumer.watermarks.items()}
        ends = {where: self._consumer.end_offset(where) for where in reached}
        known = {where: end for where, end in ends.items() if end is not None}
        after = Sample(self._now_s(), reached, known)
        pace = None if self._before is None else pace_between(self._before, after, self._batch)
        self._before = after
        self._say(pace or Pace(0.0, 0.0, after.lag_events, is_saturated=False))

    def _say(self, pace: Pace) -> None:
        if pace.is_saturated and pace.handled_per_second > 0:
            self._capacity_per_second = pace.handled_per_second
        wanted = wanted_replicas(pace, self._capacity_per_second, self._drain_seconds)
        self._metrics.paced(pace, self._capacity_per_second, wanted)

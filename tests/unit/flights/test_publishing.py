from __future__ import annotations

from typing import TYPE_CHECKING

from bus.producer import MemoryLog, MemoryPublisher

from examples.flights.pacing import Pace, SystemClock
from examples.flights.publishing import Published, publish, topics

if TYPE_CHECKING:
    from examples.flights.streams import Streams

_HOUR_US = 3_600_000_000


class StoppedClock:
    """A clock that moves only when somebody sleeps, or when told."""

    def __init__(self) -> None:
        self.seconds = 100.0
        self.slept: list[float] = []

    def monotonic_seconds(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


async def test_everything_is_published_once_and_in_order(two_days: Streams) -> None:
    publisher = MemoryPublisher(MemoryLog(partitions=1))
    steps: list[Published] = []
    count = await publish(two_days, publisher, pace=Pace(None, SystemClock()), on_step=steps.append)
    assert count == two_days.event_count == sum(len(step.positions) for step in steps)
    for source in two_days.sources:
        assert publisher.log.events(source.topic) == source.events(slice(None))


async def test_the_steps_do_not_change_what_is_published(two_days: Streams) -> None:
    logs = MemoryLog(partitions=4), MemoryLog(partitions=4)
    for log, step_us in zip(logs, (_HOUR_US // 7, 50 * _HOUR_US), strict=True):
        await publish(two_days, MemoryPublisher(log), pace=Pace(None, SystemClock()), step_us=step_us)
    for source in two_days.sources:
        assert logs[0].received(source.topic) == logs[1].received(source.topic)


async def test_event_time_passes_at_the_speed_asked_for(two_days: Streams) -> None:
    clock = StoppedClock()
    await publish(two_days, MemoryPublisher(), pace=Pace(3600, clock), step_us=_HOUR_US)
    assert len(clock.slept) == 47
    assert sum(clock.slept) == 47.0


async def test_nothing_is_published_before_its_time(two_days: Streams) -> None:
    clock = StoppedClock()

    def check(step: Published) -> None:
        passed_us = (clock.seconds - 100.0) * 3600 * 1_000_000
        assert step.until_us - two_days.from_us - _HOUR_US <= passed_us

    await publish(two_days, MemoryPublisher(), pace=Pace(3600, clock), step_us=_HOUR_US, on_step=check)


async def test_whoever_is_late_does_not_wait() -> None:
    clock = StoppedClock()
    pace = Pace(2.0, clock)
    await pace.until(0)
    clock.seconds += 10
    await pace.until(20_000_000)
    assert clock.slept == []
    await pace.until(22_000_000)
    assert clock.slept == [1.0]


def test_the_topics_are_the_streams(two_days: Streams) -> None:
    assert [topic.name for topic in topics()] == [source.topic for source in two_days.sources]
    assert [topic.partitions for topic in topics()] == [4, 4, 1]
    assert [topic.partitions for topic in topics(7)] == [7, 7, 7]

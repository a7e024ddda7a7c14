"""Publishes streams, step by step of event time.

Publishing again repeats the same events with the same ids, which every reader recognises.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from bus.topics import Topic

from examples.flights.features import arrivals, departures, weather

if TYPE_CHECKING:
    from collections.abc import Callable

    from bus.positions import Position
    from bus.producer import Publisher

    from examples.flights.pacing import Pace
    from examples.flights.streams import EventStream, Streams

_RETENTION: Final = timedelta(days=30)
HOUR_US: Final = 3_600_000_000
DAY_US: Final = 24 * HOUR_US


@dataclass(frozen=True, slots=True)
class Published:
    """What one step published.

    Attributes:
        until_us: Everything known by then is published.
        positions: Where the events are in the log.
    """

    until_us: int
    positions: list[Position]


def topics(partitions: int | None = None) -> tuple[Topic, ...]:
    """Declare the topics of the three streams; partitions are as their sources say unless told otherwise."""
    keys = {departures: "flight_id", arrivals: "flight_id", weather: "origin"}
    return tuple(
        Topic(source.topic, None, key, partitions or source.partitions, _RETENTION)
        for source, key in keys.items()
    )


async def publish_known(
    streams: Streams, publisher: Publisher, after_us: int, until_us: int
) -> list[Position]:
    """Publish what became known in (after, until]; return where it is in the log.

    Raises:
        Unavailable: The broker refused; some of the events may have been published.
    """
    published = await asyncio.gather(
        *(
            _publish_stream(source, publisher, source.known_in(after_us, until_us))
            for source in streams.sources
        )
    )
    return [position for positions in published for position in positions]


async def publish(
    streams: Streams,
    publisher: Publisher,
    *,
    pace: Pace,
    step_us: int = DAY_US,
    on_step: Callable[[Published], None] = lambda _: None,
) -> int:
    """Publish everything, step by step of event time; return how many events that was.

    An event is published by the end of the step in which it became known, never before that at the pace
    given.
    """
    count, after_us = 0, streams.from_us - 1
    while after_us < streams.to_us - 1:
        until_us = min(after_us + step_us, streams.to_us - 1)
        await pace.until(until_us)
        positions = await publish_known(streams, publisher, after_us, until_us)
        count += len(positions)
        on_step(Published(until_us, positions))
        after_us = until_us
    return count


async def _publish_stream(source: EventStream, publisher: Publisher, which: slice) -> list[Position]:
    return await publisher.publish_all(source.topic, source.events(which)) if which.stop > which.start else []

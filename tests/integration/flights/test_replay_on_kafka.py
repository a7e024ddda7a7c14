from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from bus.producer import KafkaPublisher
from bus.runner import ConsumerRunner
from bus.topics import PROGRESSED, ensure_topics
from bus.tracker import ProgressTimeoutError, ProgressTracker

from examples.flights.pacing import Pace, SystemClock
from examples.flights.publishing import publish, topics
from examples.flights.replay import Replay, regular_ends
from examples.flights.streams import Streams, load_streams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bus.runner import Received

    from examples.flights.facts import ScoringRequest

pytestmark = pytest.mark.stack

_TICK_US = 15 * 60_000_000


@pytest.fixture
async def evening(kafka_bootstrap: str) -> Streams:
    """Three hours of flights on topics of the test's own."""
    prefix = uuid.uuid4().hex[:8]
    await ensure_topics(
        kafka_bootstrap, [PROGRESSED, *(replace(topic, name=f"{prefix}.{topic.name}") for topic in topics(3))]
    )
    streams = load_streams(datetime(2013, 2, 12, 22, tzinfo=UTC), datetime(2013, 2, 13, 1, tzinfo=UTC))
    return replace(
        streams,
        departed=replace(streams.departed, topic=f"{prefix}.{streams.departed.topic}"),
        arrived=replace(streams.arrived, topic=f"{prefix}.{streams.arrived.topic}"),
        weather=replace(streams.weather, topic=f"{prefix}.{streams.weather.topic}"),
    )


class Features:
    """A group that takes events in, and what it knew at each question."""

    def __init__(self) -> None:
        self.known_us: dict[str, int] = {}
        self.seen: list[tuple[ScoringRequest, int, int]] = []

    async def handle(self, batch: Sequence[Received]) -> None:
        self.known_us.update({received.event.id: received.event.recorded_time_us for received in batch})

    async def ask(self, requests: Sequence[ScoringRequest]) -> None:
        newest_us = max(self.known_us.values(), default=0)
        self.seen.extend((request, len(self.known_us), newest_us) for request in requests)


async def test_consumers_know_what_they_must_and_no_more_when_asked(
    kafka_bootstrap: str, evening: Streams
) -> None:
    features, stop, group = Features(), asyncio.Event(), f"features-{uuid.uuid4().hex[:8]}"
    async with (
        KafkaPublisher(kafka_bootstrap, client_id="flights-test") as publisher,
        ProgressTracker(kafka_bootstrap) as tracker,
        asyncio.TaskGroup() as tasks,
    ):
        runner = ConsumerRunner(
            bootstrap=kafka_bootstrap,
            group=group,
            topics=[source.topic for source in evening.sources],
            handler=features.handle,
            publisher=publisher,
            service="features",
        )
        tasks.create_task(runner.run(stop))
        clock = SystemClock()
        replay = Replay(publisher, tracker, features.ask, Pace(None, clock), clock, group=group)
        lived = [tick async for tick in replay.live(evening, regular_ends(evening))]
        stop.set()
    assert sum(tick.events for tick in lived) == len(features.known_us) == evening.event_count
    assert [request for request, *_ in features.seen] == evening.requests.requests(slice(None))
    for request, known, newest_us in features.seen:
        last_tick_us = max(evening.from_us, request.request_time_us // _TICK_US * _TICK_US)
        expected = sum(int((source.recorded_time_us <= last_tick_us).sum()) for source in evening.sources)
        assert known == expected
        assert newest_us <= request.request_time_us


async def test_a_group_that_does_not_follow_is_named(kafka_bootstrap: str, evening: Streams) -> None:
    features, clock = Features(), SystemClock()
    async with (
        KafkaPublisher(kafka_bootstrap, client_id="flights-test") as publisher,
        ProgressTracker(kafka_bootstrap) as tracker,
    ):
        replay = Replay(
            publisher, tracker, features.ask, Pace(None, clock), clock, group="nobody", timeout_seconds=0.5
        )
        with pytest.raises(ProgressTimeoutError, match=f"nobody .*{evening.departed.topic}"):
            _ = [tick async for tick in replay.live(evening, regular_ends(evening))]


async def test_publishing_twice_repeats_the_same_events(kafka_bootstrap: str, evening: Streams) -> None:
    features, stop = Features(), asyncio.Event()
    async with KafkaPublisher(kafka_bootstrap, client_id="flights-test") as publisher:
        counts = [await publish(evening, publisher, pace=Pace(None, SystemClock())) for _ in range(2)]

        async def handle(batch: Sequence[Received]) -> None:
            await features.handle(batch)
            handled.extend(batch)
            if len(handled) == sum(counts):
                stop.set()

        handled: list[Received] = []
        runner = ConsumerRunner(
            bootstrap=kafka_bootstrap,
            group=f"features-{uuid.uuid4().hex[:8]}",
            topics=[source.topic for source in evening.sources],
            handler=handle,
            publisher=publisher,
            service="features",
        )
        await runner.run(stop)
    assert counts == [evening.event_count] * 2
    assert len(features.known_us) == evening.event_count

"""Living the period: the replay with everything around it that looks, asks and settles."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack, aclosing
from datetime import timedelta
from typing import TYPE_CHECKING

from feature_store import load_project
from feature_store.online.keepers import feature_group

from examples.flights.demo import services
from examples.flights.demo.client import Backend
from examples.flights.demo.display import day
from examples.flights.demo.options import MODEL
from examples.flights.demo.settling import Settler, ends_of_topics
from examples.flights.pacing import Pace, SystemClock
from examples.flights.replay import Replay, exact_ends, regular_ends, with_midnights
from examples.flights.streams import load_streams

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from bus.producer import KafkaPublisher
    from bus.tracker import ProgressTracker
    from local_stack import LocalStack
    from numpy.typing import NDArray
    from tidemark_cli.platform import Platform

    from examples.flights.demo.chronicle import Chronicle, Entry
    from examples.flights.demo.display import Display
    from examples.flights.demo.journal import Journal
    from examples.flights.demo.options import DemoOptions
    from examples.flights.demo.people import People
    from examples.flights.demo.story import OnTick
    from examples.flights.replay import Lived
    from examples.flights.streams import Streams


class Living:
    """Lives the period of the options."""

    def __init__(
        self,
        options: DemoOptions,
        platform: Platform,
        local: LocalStack,
        journal: Journal,
        chronicle: Chronicle,
        display: Display,
        on_tick: OnTick | None,
    ) -> None:
        self._options = options
        self._platform = platform
        self._local = local
        self._journal = journal
        self._chronicle = chronicle
        self._display = display
        self._on_tick = on_tick

    async def live(
        self,
        publisher: KafkaPublisher,
        tracker: ProgressTracker,
        people: People,
        tell: Callable[[Sequence[Entry]], None],
    ) -> None:
        """Returns when the period is lived and the humans have nothing left to do."""
        streams = self._streams()
        async with AsyncExitStack() as stack:
            bootstrap = self._local.kafka_bootstrap
            await stack.enter_async_context(self._chronicle.following(bootstrap))
            ends = await stack.enter_async_context(aclosing(ends_of_topics(bootstrap)))
            address = f"127.0.0.1:{self._platform.processes[services.INFERENCE].ports['GRPC_PORT']}"
            backend = await stack.enter_async_context(Backend(address, MODEL, self._options.call_seconds))
            settler = Settler(
                ends=ends,
                tracker=tracker,
                chronicle=self._chronicle,
                answers=lambda: backend.answers,
                people=people,
                tell=tell,
            )
            clock = SystemClock()
            pace = Pace(self._options.speed, clock)
            group = feature_group(load_project(self._options.project))
            replay = Replay(publisher, tracker, backend.ask, pace, clock, group, settle=settler.settle)
            started = time.monotonic()
            await self._live(replay, streams, backend)
            await settler.settle(streams.to_us - 1)
            self._note(streams, backend, settler, time.monotonic() - started)

    def _streams(self) -> Streams:
        options = self._options
        streams = load_streams(options.live_from, options.live_to)
        self._display.step(
            f"living {options.live_from:%d %b} to {options.live_to:%d %b}: "
            f"{len(streams.requests):,} flights, {streams.event_count:,} events"
        )
        return streams if options.fault is None else options.fault.put_into(streams)

    async def _live(self, replay: Replay, streams: Streams, backend: Backend) -> None:
        with self._display.bar("living", streams.to_us - streams.from_us) as move:
            async for lived in replay.live(streams, _ends(streams, self._options.tick)):
                self._journal.mark(lived.events)
                done = lived.tick.known_until_us - streams.from_us
                move(done, _line(lived, backend, self._journal))
                if self._on_tick is not None:
                    await self._on_tick(lived, self._platform, self._local)

    def _note(self, streams: Streams, backend: Backend, settler: Settler, seconds: float) -> None:
        journal = self._journal
        journal.latencies_ms = backend.latencies_ms
        journal.answers = backend.answers
        for source in streams.sources:
            journal.published[source.topic] = journal.published.get(source.topic, 0) + len(source)
        journal.lived_events = streams.event_count
        journal.living_seconds = seconds
        journal.settling_seconds = settler.seconds
        each_ms = settler.seconds / max(settler.times, 1) * 1000
        self._display.step(
            f"lived in {seconds:.0f} s, {settler.seconds:.0f} s of it settling: "
            f"{settler.times} times, {each_ms:.0f} ms each"
        )


def _ends(streams: Streams, tick: timedelta) -> NDArray[np.int64]:
    ends = regular_ends(streams, tick // timedelta(microseconds=1)) if tick else exact_ends(streams)
    return with_midnights(ends, streams)


def _line(lived: Lived, backend: Backend, journal: Journal) -> str:
    return (
        f"{day(lived.tick.known_until_us)}  {backend.answers:,} scored  "
        f"{journal.rate():,.0f} events/s  barrier {lived.barrier_seconds * 1000:.0f} ms"
    )

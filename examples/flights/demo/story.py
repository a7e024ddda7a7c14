"""The demo from beginning to end: start, learn, train, route, live, verify, report, stop."""

from __future__ import annotations

import json
import time
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING

from bus.producer import KafkaPublisher
from bus.topics import ensure_topics
from bus.tracker import ProgressTracker
from local_stack import KafkaOptions, LocalStack, ValkeyOptions
from tidemark_cli.platform import Platform

from examples.flights import publishing
from examples.flights.demo import registry, services
from examples.flights.demo.client import Backend
from examples.flights.demo.display import Display, day
from examples.flights.demo.draining import Drain
from examples.flights.demo.journal import Journal
from examples.flights.demo.options import CHALLENGER, CHAMPION, MODEL
from examples.flights.pacing import Pace, SystemClock
from examples.flights.replay import Replay, exact_ends, regular_ends
from examples.flights.streams import load_streams

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

    from examples.flights.demo.options import DemoOptions
    from examples.flights.replay import Lived
    from examples.flights.streams import Streams

    OnTick = Callable[[Lived, Platform], Awaitable[None]]
    Conclude = Callable[[Journal, Mapping[str, str]], Awaitable[None]]


class Story:
    """Runs the parts in order.

    Args:
        options: What to live.
        console: Who watches.
        conclude: Awaited when everything is lived and still runs, with where everything is.
        on_tick: Called after every tick; chaos tests do their harm there.
    """

    def __init__(
        self, options: DemoOptions, console: Console, conclude: Conclude, on_tick: OnTick | None = None
    ) -> None:
        self._options = options
        self._conclude = conclude
        self._display = Display(console)
        self._on_tick = on_tick
        self._started = time.monotonic()
        self.journal = Journal()

    async def run(self) -> None:
        """Lives the whole story; when it returns, or raises, everything it started has ended."""
        async with AsyncExitStack() as stack:
            local = await self._start_stack(stack)
            platform = await stack.enter_async_context(
                Platform(
                    self._options.folder / "logs", services.environment(self._options, local.environment())
                )
            )
            async with platform.guarding():
                await self._play(stack, platform, local.kafka_bootstrap)
                self._display.step("holding the run to its promises: every served vector is recomputed")
                await self._conclude(self.journal, services.addresses(self._options, local, platform))

    async def _start_stack(self, stack: AsyncExitStack) -> LocalStack:
        self._display.step("starting a real Kafka and a real Valkey")
        local = LocalStack(
            self._options.folder / "stack", kafka=KafkaOptions(), valkey=ValkeyOptions(durable=False)
        )
        return await stack.enter_async_context(local)

    async def _play(self, stack: AsyncExitStack, platform: Platform, bootstrap: str) -> None:
        await ensure_topics(bootstrap, publishing.topics(self._options.partitions))
        publisher = await stack.enter_async_context(KafkaPublisher(bootstrap, client_id="flights"))
        self._display.step("starting feature, archiver and control-plane, each a process of its own")
        await platform.start_all(services.learning_services(self._options))
        tracker = await stack.enter_async_context(ProgressTracker(bootstrap))
        drain = Drain(bootstrap, tracker, [topic.name for topic in publishing.topics()])
        await self._learn(publisher, drain)
        await self._train(platform)
        await self._route(platform)
        await self._live_on(platform, publisher, tracker)
        self._display.step("waiting until every outcome is joined, compared and archived")
        await drain.lived()
        self.journal.rejected = await drain.rejected()

    async def _learn(self, publisher: KafkaPublisher, drain: Drain) -> None:
        options = self._options
        streams = load_streams(options.learn_from, options.live_from)
        title = f"publishing {options.learn_from:%d %b} to {options.live_from:%d %b}"
        self._display.step(f"{title}: {streams.event_count:,} events")
        with self._display.bar(title, streams.event_count) as move:

            def on_step(published: publishing.Published) -> None:
                self.journal.count(published.positions, self._elapsed())
                move(self.journal.events[-1], day(published.until_us))

            pace = Pace(None, SystemClock())
            await publishing.publish(
                streams, publisher, pace=pace, step_us=24 * 3_600_000_000, on_step=on_step
            )
        self._display.step("waiting until features and lake hold them")
        await drain.learned()

    async def _train(self, platform: Platform) -> None:
        for algorithm, part in ((CHAMPION, "champion"), (CHALLENGER, "challenger")):
            self._display.step(f"training {algorithm} from the lake, to be {part}")
            answer = json.loads(await platform.run(services.training(self._options, MODEL, algorithm)))
            self.journal.versions.append({**answer, "role": part})

    async def _route(self, platform: Platform) -> None:
        champion, challenger = (version["version"] for version in self.journal.versions)
        url = f"http://127.0.0.1:{platform.processes[services.CONTROL_PLANE].ports['HTTP_PORT']}"
        await registry.route(url, MODEL, champion, [challenger])
        self._display.step(
            f"{champion} serves, {challenger} shadows; starting inference and shadow-comparator"
        )
        await platform.start_all(services.living_services())

    async def _live_on(self, platform: Platform, publisher: KafkaPublisher, tracker: ProgressTracker) -> None:
        options = self._options
        streams = load_streams(options.live_from, options.live_to)
        address = f"127.0.0.1:{platform.processes[services.INFERENCE].ports['GRPC_PORT']}"
        clock = SystemClock()
        pace = Pace(options.speed, clock)
        self._display.step(
            f"living {options.live_from:%d %b} to {options.live_to:%d %b}: "
            f"{len(streams.requests):,} flights, {streams.event_count:,} events"
        )
        started = time.monotonic()
        async with Backend(address, MODEL) as backend:
            replay = Replay(publisher, tracker, backend.ask, pace, clock)
            with self._display.bar("living", streams.to_us - streams.from_us) as move:
                async for lived in replay.live(streams, _ends(streams, options.tick)):
                    self.journal.mark(lived.events, self._elapsed())
                    done = lived.tick.known_until_us - streams.from_us
                    move(done, _line(lived, backend, self.journal))
                    if self._on_tick is not None:
                        await self._on_tick(lived, platform)
            self.journal.latencies_ms = backend.latencies_ms
            self.journal.answers = backend.answers
        for source in streams.sources:
            self.journal.published[source.topic] = self.journal.published.get(source.topic, 0) + len(source)
        self.journal.lived_events = streams.event_count
        self.journal.living_seconds = time.monotonic() - started

    def _elapsed(self) -> float:
        return time.monotonic() - self._started


def _ends(streams: Streams, tick: timedelta) -> NDArray[np.int64]:
    return regular_ends(streams, tick // timedelta(microseconds=1)) if tick else exact_ends(streams)


def _line(lived: Lived, backend: Backend, journal: Journal) -> str:
    rate = journal.events[-1] - journal.events[max(-200, -len(journal.events))]
    span = journal.seconds[-1] - journal.seconds[max(-200, -len(journal.seconds))]
    return (
        f"{day(lived.tick.known_until_us)}  {backend.answers:,} scored  "
        f"{rate / max(span, 1e-9):,.0f} events/s  barrier {lived.barrier_seconds * 1000:.0f} ms"
    )

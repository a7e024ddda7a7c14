"""The demo from beginning to end: start, learn, train, route, live, roll back, verify, report, stop."""

from __future__ import annotations

import json
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from bus.producer import KafkaPublisher
from bus.topics import CATALOGUE, ensure_topics
from bus.tracker import ProgressTracker
from feature_store import load_project
from feature_store.online.keepers import feature_group
from local_stack import KafkaOptions, LocalStack, ValkeyOptions
from tidemark_cli.platform import Platform

from examples.flights import publishing
from examples.flights.demo import services
from examples.flights.demo.chronicle import Chronicle
from examples.flights.demo.display import Display, day
from examples.flights.demo.draining import Drain
from examples.flights.demo.governance import Governance
from examples.flights.demo.journal import Journal
from examples.flights.demo.living import Living
from examples.flights.demo.options import MODEL
from examples.flights.demo.people import People
from examples.flights.demo.rollback import RATE, roll_back
from examples.flights.demo.telling import PERSON, Happening, happenings
from examples.flights.pacing import Pace, SystemClock
from examples.flights.streams import load_streams, microseconds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from rich.console import Console

    from examples.flights.demo.chronicle import Entry
    from examples.flights.demo.options import DemoOptions
    from examples.flights.replay import Lived

    OnTick = Callable[[Lived, Platform, LocalStack], Awaitable[None]]
    Conclude = Callable[[Journal, Chronicle, Mapping[str, str]], Awaitable[None]]


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
        self.chronicle = Chronicle()

    async def run(self) -> None:
        """Lives the whole story; when it returns, or raises, everything it started has ended."""
        async with AsyncExitStack() as stack:
            local = await self._start_stack(stack)
            environment = services.environment(self._options, local.environment())
            platform = await stack.enter_async_context(Platform(self._options.folder / "logs", environment))
            async with platform.guarding():
                await self._play(stack, platform, local)
                self.journal.cpu_seconds = services.cpu_seconds(platform, local)
                self._display.step("holding the run to its promises: every served vector is recomputed")
                addresses = services.addresses(self._options, local, platform)
                await self._conclude(self.journal, self.chronicle, addresses)

    async def _start_stack(self, stack: AsyncExitStack) -> LocalStack:
        self._display.step("starting a real Kafka and a real Valkey")
        local = LocalStack(
            self._options.folder / "stack", kafka=KafkaOptions(), valkey=ValkeyOptions(durable=False)
        )
        return await stack.enter_async_context(local)

    async def _play(self, stack: AsyncExitStack, platform: Platform, local: LocalStack) -> None:
        bootstrap = local.kafka_bootstrap
        await ensure_topics(bootstrap, (*publishing.topics(self._options.partitions), *CATALOGUE))
        publisher = await stack.enter_async_context(KafkaPublisher(bootstrap, client_id="flights"))
        self._display.step("starting feature, archiver and control-plane, each a process of its own")
        await platform.start_all(services.learning_services(self._options))
        tracker = await stack.enter_async_context(ProgressTracker(bootstrap))
        group = feature_group(load_project(self._options.project))
        drain = Drain(bootstrap, tracker, group, [topic.name for topic in publishing.topics()])
        await self._learn(publisher, drain)
        url = platform.processes[services.CONTROL_PLANE].url("HTTP_PORT")
        governance = await stack.enter_async_context(Governance.at(url, MODEL))
        people = self._people(platform, governance, drain)
        await people.begin(microseconds(self._options.live_from) - 1)
        self._display.step("starting what serves, shadows, compares and watches")
        await platform.start_all(services.living_services())
        living = Living(
            self._options, platform, local, self.journal, self.chronicle, self._display, self._on_tick
        )
        await living.live(publisher, tracker, people, self._tell)
        await self._go_back(platform, governance)
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
                self.journal.count(published.positions)
                move(self.journal.events[-1], day(published.until_us))

            pace = Pace(None, SystemClock())
            await publishing.publish(
                streams, publisher, pace=pace, step_us=publishing.DAY_US, on_step=on_step
            )
        self._display.step("waiting until features and lake hold them")
        await drain.learned()

    async def _go_back(self, platform: Platform, governance: Governance) -> None:
        """The last act: three replicas under load, and one call that brings the champion before back."""
        self._display.step(f"starting two more replicas: a rollback under {RATE} requests a second")
        await platform.start_all(services.more_replicas())
        streams = load_streams(self._options.live_to - timedelta(days=1), self._options.live_to)
        asked = streams.requests.requests(slice(None))
        self.journal.rollback = await roll_back(services.serving_addresses(platform), governance, asked)
        self.journal.audit_verified = (await governance.verified())["verified"]
        self._display.step(str(self.journal.rollback))

    def _people(self, platform: Platform, governance: Governance, drain: Drain) -> People:
        async def train(algorithm: str, until_us: int, seed: int) -> dict[str, Any]:
            await drain.archived()
            self._display.step(f"training {algorithm} from the lake, on what is known by {day(until_us)}")
            job = services.training(self._options, algorithm, until_us, seed)
            answer: dict[str, Any] = json.loads(await platform.run(job))
            return answer

        def say(now_us: int, text: str) -> None:
            self._show([Happening(now_us, PERSON, text)])

        return People(
            governance=governance,
            chronicle=self.chronicle,
            journal=self.journal,
            options=self._options,
            train=train,
            say=say,
        )

    def _tell(self, entries: Sequence[Entry]) -> None:
        self._show(happenings(entries))

    def _show(self, told: Sequence[Happening]) -> None:
        latest_us, first_us = microseconds(self._options.live_to), microseconds(self._options.live_from)
        for one in told:
            # Where no event time is known yet, a service says the clock's.
            happening = replace(one, time_us=first_us) if one.time_us > latest_us else one
            self.journal.happenings.append(happening)
            self._display.happened(happening)

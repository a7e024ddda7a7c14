"""A year of flights, reordered, repeated and with its writer killed: every vector, served and recomputed.

Every event becomes known up to two hours after it really did, each by another delay, so that they come in
another order; one in twenty comes twice. `python -m feature` takes them from Kafka into Valkey, and is killed
three times. Every six hours the vectors of all flights that were asked about are read, as serving reads them.
At the end each is computed again from the log, from exactly what its rows say they had applied.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import uvloop
from bus.producer import KafkaPublisher
from bus.topics import ensure_topics
from bus.tracker import ProgressTracker
from feature.__main__ import topics_of
from feature_store import (
    Contract,
    EventBatch,
    Incoming,
    Project,
    Requests,
    VectorAssembler,
    decode_events,
    load_project,
)
from feature_store.offline import Applied, point_in_time
from feature_store.online.keepers import feature_group
from feature_store.online.redis import RedisRowReader, connect
from local_stack import LocalStack
from rich.progress import Progress

from bench.store_events import MODEL, PROJECT, Row
from examples.flights.model import flight_delay
from examples.flights.streams import ARRIVED_TOPIC, load_streams

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bus.events import Event
    from bus.positions import Position
    from feature_store.vectors import Vectors
    from numpy.typing import NDArray

FROM, TO = datetime(2013, 1, 1, tzinfo=UTC), datetime(2014, 1, 1, tzinfo=UTC)
HOUR_US = 3_600_000_000
MOST_DELAYED_US, TICK_US = 2 * HOUR_US, 6 * HOUR_US
REPEATED_SHARE = 0.05
KILLED_AT = (0.2, 0.5, 0.8)
AT_ONCE = 1_000


def run() -> list[Row]:
    """Measure on a stack of its own."""
    return uvloop.run(measure())


async def measure() -> list[Row]:
    project = load_project(PROJECT)
    contract = project.contract(MODEL)
    with Progress() as progress:
        come = reordered()
        asked = requests_of(project, come)
        with tempfile.TemporaryDirectory() as folder:
            async with LocalStack(Path(folder)) as stack:
                year = Year(project, contract, stack, come, asked)
                await year.live(progress)
    mismatches = year.mismatches()
    values = len(year.asked) * len(contract.features)
    unmet = {"unit": "values", "reference": None, "reference_value": None, "ratio": None, "must": None}
    return [
        {**unmet, "name": "exact.values_compared", "value": float(values), "met": None},
        {
            **unmet,
            "name": "exact.mismatches",
            "value": float(mismatches),
            "must": "value = 0",
            "met": mismatches == 0,
        },
    ]


def reordered() -> dict[str, list[Event]]:
    """Return every source's events, and some of them again, in the order in which they become known."""
    random = np.random.default_rng(11)
    come = {}
    for stream in load_streams(FROM, TO).sources:
        events = stream.events(slice(0, len(stream)))
        repeated = random.choice(len(events), int(len(events) * REPEATED_SHARE), replace=False)
        events += [events[index] for index in repeated]
        delays_us = random.integers(0, MOST_DELAYED_US, len(events)).tolist()
        known = [
            replace(event, recorded_time_us=event.recorded_time_us + delay_us)
            for event, delay_us in zip(events, delays_us, strict=True)
        ]
        come[stream.topic] = sorted(known, key=lambda event: event.recorded_time_us)
    return come


def requests_of(project: Project, come: Mapping[str, Sequence[Event]]) -> Requests:
    """Return the question about each flight, in the order in which they are asked."""
    events = come[ARRIVED_TOPIC]
    ends, _ = decoded(project, ARRIVED_TOPIC, events, [(0, number) for number in range(len(events))])
    _, first = np.unique(ends.ids.astype(str), return_index=True)
    requests = flight_delay.examples.of(ends.take(first), flight_delay.request_key).requests
    return requests.take(np.argsort(requests.time_us, kind="stable"))


def decoded(
    project: Project, topic: str, events: Sequence[Event], places: Sequence[tuple[int, int]]
) -> tuple[EventBatch, int]:
    """Return the events that pass their checks, and how many do not."""
    incoming = Incoming.of(events, [partition for partition, _ in places], [offset for _, offset in places])
    batch, rejects = decode_events(project.sources[topic], incoming)
    return batch, len(rejects)


class Year:
    """The year as it is lived."""

    def __init__(
        self,
        project: Project,
        contract: Contract,
        stack: LocalStack,
        come: Mapping[str, Sequence[Event]],
        asked: Requests,
    ) -> None:
        self.project, self.contract, self.asked = project, contract, asked
        self._stack, self._come = stack, come
        self._places: dict[str, list[Position]] = {topic: [] for topic in come}
        self._served: list[Vectors] = []

    async def live(self, progress: Progress) -> None:
        """Publish everything and read every vector."""
        await ensure_topics(self._stack.kafka_bootstrap, topics_of(self.project))
        ends = range(int(self.asked.time_us[0]), int(self.asked.time_us[-1]) + TICK_US, TICK_US)
        killed = {int(len(ends) * share) for share in KILLED_AT}
        client = await connect(self._stack.redis_url)
        reader = RedisRowReader(client, deadline_s=10.0, on_failure=print)
        assembler = VectorAssembler(self.contract)
        process = await self._start()
        asked = 0
        bootstrap = self._stack.kafka_bootstrap
        async with (
            KafkaPublisher(bootstrap, client_id="year", linger_ms=5) as publisher,
            ProgressTracker(bootstrap) as tracker,
        ):
            for number, end_us in enumerate(progress.track(ends, description="a year of flights")):
                targets = await self._publish(publisher, end_us)
                if number in killed:
                    process.kill()
                    await process.wait()
                    process = await self._start()
                await tracker.reached(feature_group(self.project), targets, timeout_s=120)
                until = int(np.searchsorted(self.asked.time_us, end_us, "right"))
                for start in range(asked, until, AT_ONCE):
                    some = self.asked.take(np.arange(start, min(start + AT_ONCE, until)))
                    read = await reader.read(assembler.row_keys(some))
                    self._served.append(assembler.assemble(some, read.rows, readable=read.readable))
                asked = until
        process.kill()
        await process.wait()
        await client.aclose()

    async def _start(self) -> asyncio.subprocess.Process:
        environment = {**self._stack.environment(), "TIDEMARK_PROJECT": PROJECT}
        environment["PYTHONPATH"] = str(Path(__file__).parents[1])
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "feature", env=environment, stderr=asyncio.subprocess.DEVNULL
        )

    async def _publish(self, publisher: KafkaPublisher, end_us: int) -> dict[tuple[str, int], int]:
        """Publish what becomes known by then; return where each partition ends that got something."""
        targets: dict[tuple[str, int], int] = {}
        for topic, events in self._come.items():
            places = self._places[topic]
            until = len(places)
            while until < len(events) and events[until].recorded_time_us <= end_us:
                until += 1
            for place in await publisher.publish_all(topic, events[len(places) : until]):
                places.append(place)
                targets[topic, place.partition] = place.offset + 1
        return targets

    def mismatches(self) -> int:
        """Compute every vector again, and return how many values or statuses differ in any bit."""
        log = {
            topic: decoded(
                self.project, topic, self._come[topic][: len(places)], [place[1:] for place in places]
            )[0]
            for topic, places in self._places.items()
        }
        again = point_in_time(self.contract, log, self.asked, Applied(self._applied()))
        values = np.concatenate([one.values for one in self._served])
        statuses = np.concatenate([one.statuses for one in self._served])
        assert len(values) == len(self.asked), "not every flight was asked about"
        different = (values.view("<u4") != again.values.view("<u4")) | (statuses != again.statuses)
        return int(different.sum())

    def _applied(self) -> Mapping[str, NDArray[np.int64]]:
        return {
            view.name: np.concatenate([one.positions[number].applied for one in self._served])
            for number, view in enumerate(self.contract.views)
        }

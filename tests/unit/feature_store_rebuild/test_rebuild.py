"""A store that lost rows and was rebuilt holds what one holds that lost none, whenever anything dies."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest
from feature_store import Count, Entity, FeatureView, Incoming, Json, Last, Source, Sum, decode_events
from feature_store.events import concat, empty
from feature_store.online import Applier, MemoryClaims, MemoryFeatureRows
from feature_store.online.epochs import Condition, MemoryEpochs
from feature_store.online.memory_rebuild import MemoryRebuildStore
from feature_store.online.rebuild import Outside, Rebuild, RebuildBroken, Report
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from feature_store import EventBatch

HOUR_US = 3_600_000_000
AT_US = 400_000 * HOUR_US
rides = Source("rides", format=Json({"driver": "text", "fare": "number"}), event_time=None, partitions=2)


class DriverRides(FeatureView):
    source, entity = rides, Entity("driver")
    rides_1h = Count(window="1h")
    fares_24h = Sum("fare", window="24h")
    last_fare_24h = Last("fare", window="24h")


class Died(Exception):
    """The process was killed here."""


def events_of(log: Sequence[tuple[int, str, int]]) -> EventBatch:
    """A log: (partition, id, minutes) of each record, of one of three drivers."""
    offsets = [sum(one[0] == record[0] for one in log[:index]) for index, record in enumerate(log)]
    at_us = [AT_US + minutes * 60_000_000 for _, _, minutes in log]
    batch, rejects = decode_events(
        rides,
        Incoming(
            values=[
                b'{"driver": "d%d", "fare": %d}' % (sum(ride.encode()) % 3, sum(ride.encode()))
                for _, ride, _ in log
            ],
            ids=[ride for _, ride, _ in log],
            keys=[b""] * len(log),
            event_time_us=at_us,
            recorded_time_us=at_us,
            partitions=[partition for partition, _, _ in log],
            offsets=offsets,
        ),
    )
    assert not rejects
    return batch


@dataclass
class World:
    """A log of which the writer and the lake have each had so much."""

    events: EventBatch
    applied: int = 0
    produced: int = 0
    archived: int = 0
    rows: MemoryFeatureRows = field(default_factory=MemoryFeatureRows)
    claims: MemoryClaims = field(default_factory=MemoryClaims)
    live: MemoryEpochs = field(default_factory=MemoryEpochs)
    staging: MemoryEpochs = field(default_factory=MemoryEpochs)
    dies_at: int = -1
    seen: list[Report] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = MemoryRebuildStore(self.rows, self.claims)
        self.writer = Applier([DriverRides.view], self.rows, self.claims)

    async def write(self, until: int) -> None:
        if until > self.applied:
            await self.writer.apply(self.events.take(np.arange(self.applied, until)))
            self.applied = until

    def flush(self) -> None:
        self.rows.stored.clear()
        self.claims.owners.clear()
        self.live.markers = [None, None]

    def ends(self, count: int) -> dict[int, int]:
        partitions = self.events.partition[:count].tolist()
        return {partition: partitions.count(partition) for partition in set(partitions)}

    async def reached(self, source: Source) -> Mapping[int, int]:
        assert source is rides
        return self.ends(self.archived)

    async def read(self, source: Source, ranges: Mapping[int, tuple[int, int]]) -> EventBatch:
        events = self.events.take(np.arange(self.archived))
        parts = [
            events.take((events.partition == partition) & (events.offset >= first) & (events.offset < end))
            for partition, (first, end) in ranges.items()
        ]
        # The lake is in no order.
        return concat([*reversed(parts), empty(source)])

    async def pause(self) -> None:
        self.archived = min(len(self.events), self.archived + 1)

    def watch(self, report: Report) -> None:
        self.seen.append(report)
        if len(self.seen) == self.dies_at:
            raise Died

    async def topic_ends(self) -> Mapping[str, Mapping[int, int]]:
        return {"rides": self.ends(self.produced)}

    def rebuild(self, now_us: int = 1_000_000_000) -> Rebuild:
        outside = Outside(
            history=self,
            rows=self.rows,
            claims=self.claims,
            live=self.live,
            staging=self.staging,
            store=self.store,
            ends=self.topic_ends,
            pause=self.pause,
            watch=self.watch,
        )
        return Rebuild([DriverRides.view], outside, run=f"run-{now_us}", now_us=now_us)

    def held(self) -> dict[bytes, bytes]:
        """All but the revisions, which count writes."""
        return {key: row[:16] + row[24:] for key, row in self.rows.stored.items()}


logs = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from("abcdefgh"), st.integers(0, 3_000)),
    min_size=1,
    max_size=40,
)


@settings(deadline=None, max_examples=150)
@given(logs, st.data())
def test_rebuilt_rows_and_those_after_them_are_as_if_nothing_was_lost(
    log: list[tuple[int, str, int]], data: st.DataObject
) -> None:
    asyncio.run(lose_and_rebuild(log, data))


async def lose_and_rebuild(log: list[tuple[int, str, int]], data: st.DataObject) -> None:
    def moment(least: int) -> int:
        return data.draw(st.integers(least, len(log)))

    events = events_of(log)
    quiet, world = World(events), World(events)
    await quiet.write(len(log))
    await world.write(moment(0))
    world.flush()
    # What was in hand when it happened, by a writer that had looked just before.
    await world.write(moment(world.applied))
    world.produced = moment(world.applied)
    world.archived = data.draw(st.integers(0, world.applied))
    world.dies_at = data.draw(st.integers(-1, 6))
    for attempt in range(3):
        try:
            await world.rebuild(now_us=1_000_000_000 + attempt).run()
            break
        except Died:
            continue
    assert (await world.live.read()).condition is Condition.WHOLE
    # The old writer, with what it had cached. What it had in hand it may have committed after the hold; or it
    # did not, and reads some of it again.
    world.applied = data.draw(st.integers(0, world.applied))
    await world.write(len(log))
    assert world.held() == quiet.held()


async def test_writers_are_held_while_rows_are_handed_over_and_released_after() -> None:
    world = World(events_of([(0, "a", 0), (1, "b", 1), (0, "c", 2)]))
    await world.live.begin()
    await world.write(3)
    world.produced = 3
    conditions: list[Condition] = []

    async def looked() -> Mapping[str, Mapping[int, int]]:
        conditions.append((await world.live.read()).condition)
        return await World.topic_ends(world)

    world.topic_ends = looked  # type: ignore[method-assign] # a look at the moment after the hold
    await world.rebuild().run()
    assert conditions == [Condition.HELD]
    assert (await world.live.read()).condition is Condition.WHOLE
    assert world.seen[-1] == Report("handing over", 3, 3)
    assert any(report.doing == "waiting for the lake" for report in world.seen)


async def test_a_rebuild_that_lost_what_it_staged_says_so_and_begins_anew() -> None:
    world = World(events_of([(0, "a", 0), (1, "b", 1)]))
    await world.write(2)
    world.archived = 2

    async def flushed() -> Mapping[str, Mapping[int, int]]:
        world.staging.markers = [None, None]
        return {}

    world.topic_ends = flushed  # type: ignore[method-assign] # a flush in the middle
    with pytest.raises(RebuildBroken, match="begins anew"):
        await world.rebuild().run()
    assert await world.store.note() is None
    assert (await world.live.read()).condition is Condition.HELD


async def test_rows_of_another_definition_are_not_gone_on_with() -> None:
    world = World(events_of([(0, "a", 0)]))
    world.archived, world.dies_at = 1, 1
    with pytest.raises(Died):
        await world.rebuild().run()
    note = await world.store.note()
    assert note is not None
    changed = type(note)(note.run, note.revision, {"driver_rides": "0" * 64}, note.positions)
    await world.store.take_note(changed)
    world.dies_at = -1
    await world.rebuild(now_us=2_000_000_000).run()
    assert (await world.live.read()).detail == "run-2000000000@2000000000"

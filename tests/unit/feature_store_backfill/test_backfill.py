"""Rows that were backfilled are those that were kept from the first event, whenever anything dies."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from feature_store import Count, Entity, FeatureView, Incoming, Json, Last, Source, Sum, decode_events
from feature_store.events import concat, empty
from feature_store.online import Applier, MemoryClaims, MemoryFeatureRows
from feature_store.online.backfill import Backfill
from feature_store.online.backfill_plan import BackfillRefused, Plan
from feature_store.online.backfill_ports import BackfillBroken, Note, Outside, Report
from feature_store.online.epochs import Condition, MemoryEpochs
from feature_store.online.keepers import Keeper, MemoryKeepers, group_of, versions_of
from feature_store.online.memory_backfill import MemoryBackfillStore
from feature_store.online.staging import OwnClaims
from feature_store.rows import key_prefix
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from feature_store import EventBatch
    from feature_store.definitions import View

HOUR_US = 3_600_000_000
AT_US = 400_000 * HOUR_US
rides = Source("rides", format=Json({"driver": "text", "fare": "number"}), event_time=None, partitions=2)
driver = Entity("driver")


class DriverRides(FeatureView):
    source, entity = rides, driver
    rides_1h = Count(window="1h")
    fares_24h = Sum("fare", window="24h")
    last_fare_24h = Last("fare", window="24h")


class DriverFares(FeatureView):
    source, entity = rides, driver
    fares_1h = Sum("fare", window="1h")


OLD = [DriverRides.view, DriverFares.view]


class Changed:
    """The project after a change: one view as it was, one with another window, and a new one."""

    class DriverFares(FeatureView):
        source, entity = rides, driver
        fares_1h = Sum("fare", window="3h")

    class FirstRides(FeatureView):
        source, entity = rides, driver
        rides_all = Count(window="all")


NEW = [DriverRides.view, Changed.DriverFares.view, Changed.FirstRides.view]


def group_name(views: Sequence[View]) -> str:
    return group_of("rides", views)


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
    """A topic, and what the lake and each group have had of it.

    Attributes:
        events: All that will ever be in the topic.
        produced: How many are.
        archived: How many the lake has.
        dropped: How many the topic has dropped again.
        committed: What each group has committed, by partition.
    """

    events: EventBatch
    produced: int = 0
    archived: int = 0
    dropped: int = 0
    rows: MemoryFeatureRows = field(default_factory=MemoryFeatureRows)
    claims: MemoryClaims = field(default_factory=MemoryClaims)
    markers: dict[str, MemoryEpochs] = field(default_factory=lambda: defaultdict(MemoryEpochs))
    keepers: MemoryKeepers = field(default_factory=MemoryKeepers)
    committed: dict[str, dict[int, int]] = field(default_factory=dict)
    dies_at: int = -1
    seen: list[Report] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stores = {
            group: MemoryBackfillStore(self.rows, self.claims, group) for group in map(group_name, (OLD, NEW))
        }

    def ends_of(self, count: int) -> dict[int, int]:
        partitions = self.events.partition[:count].tolist()
        return {partition: partitions.count(partition) for partition in (0, 1)}

    async def begins(self) -> Mapping[str, Mapping[int, int]]:
        return {"rides": self.ends_of(self.dropped)}

    async def ends(self) -> Mapping[str, Mapping[int, int]]:
        return {"rides": self.ends_of(self.produced)}

    async def commits(self, group: str) -> Mapping[str, Mapping[int, int]]:
        return {"rides": self.committed[group]} if group in self.committed else {}

    async def commit(self, group: str, positions: Mapping[str, Mapping[int, int]]) -> None:
        self.committed[group] = dict(positions["rides"])

    async def reached(self, source: Source) -> Mapping[int, int]:
        assert source is rides
        return self.ends_of(self.archived)

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

    def flush(self) -> None:
        self.rows.stored.clear()
        self.claims.owners.clear()
        self.markers.clear()
        self.keepers = MemoryKeepers()

    def backfill(self, views: Sequence[View], now_us: int = 1_000_000_000, **options: Any) -> Backfill:
        outside = Outside(
            history=self,
            log=self,
            rows=self.rows,
            claims=self.claims,
            markers=self.markers.__getitem__,
            keepers=self.keepers,
            store=self.stores[group_name(views)],
            pause=self.pause,
            watch=self.watch,
        )
        return Backfill("rides", views, outside, run=f"run-{now_us}", now_us=now_us, **options)

    async def backfill_though_killed(self, views: Sequence[View]) -> None:
        for attempt in range(3):
            try:
                await self.backfill(views, now_us=1_000_000_000 + attempt).run()
                break
            except Died:
                continue
        assert (await self.markers[group_name(views)].read()).condition is Condition.WHOLE

    def held(self, views: Sequence[View]) -> dict[bytes, bytes]:
        """The rows of some views; all but the revisions, which count writes."""
        prefixes = tuple(key_prefix(view.name, view.digest) for view in views)
        return {key: row[:16] + row[24:] for key, row in self.rows.stored.items() if key.startswith(prefixes)}


class Writer:
    """A `feature` process that is its whole group."""

    def __init__(self, world: World, views: Sequence[View]) -> None:
        self.world = world
        self.views = views
        self.group = group_name(views)
        self.applier = Applier(views, world.rows, OwnClaims(world.claims, self.group))
        self.applied = dict.fromkeys((0, 1), 0)

    async def begin(self) -> None:
        """Begin with the topic."""
        await self.world.markers[self.group].begin()
        await self.world.keepers.put(
            Keeper(self.group, "rides", versions_of(self.views), {}, {}, complete=True, began_us=0)
        )

    def resume(self) -> None:
        """Go on from the commits."""
        self.applied = {0: 0, 1: 0, **self.world.committed.get(self.group, {})}

    async def write(self, until: int, *, commits: bool = True) -> None:
        """Apply what is left of the topic's first `until` records."""
        events = self.world.events.take(np.arange(until))
        lacking = [self.applied[partition] for partition in events.partition.tolist()]
        await self.applier.apply(events.take(events.offset >= np.array(lacking, np.int64)))
        ends = self.world.ends_of(until)
        self.applied = {partition: max(end, self.applied[partition]) for partition, end in ends.items()}
        if commits and until:
            self.world.committed[self.group] = dict(self.applied)


async def quiet(events: EventBatch, views: Sequence[View]) -> dict[bytes, bytes]:
    """What one undisturbed writer makes of a log."""
    world = World(events)
    await Writer(world, views).write(len(events))
    return world.held(views)


logs = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from("abcdefgh"), st.integers(0, 3_000)),
    min_size=1,
    max_size=40,
)


@settings(deadline=None, max_examples=100)
@given(logs, st.data())
def test_lost_rows_that_are_made_again_are_as_if_nothing_was_lost(
    log: list[tuple[int, str, int]], data: st.DataObject
) -> None:
    asyncio.run(lose_and_backfill(log, data))


async def lose_and_backfill(log: list[tuple[int, str, int]], data: st.DataObject) -> None:
    def moment(least: int) -> int:
        return data.draw(st.integers(least, len(log)))

    events = events_of(log)
    world = World(events)
    writer = Writer(world, OLD)
    first = moment(0)
    await writer.write(first)
    world.flush()
    # What was in hand when it happened, by a writer that had looked just before.
    second = moment(first)
    await writer.write(second, commits=False)
    world.produced = moment(second)
    world.archived = data.draw(st.integers(0, second))
    world.dies_at = data.draw(st.integers(-1, 6))
    # A group that never committed is told from a new one by what it has written: it registered.
    await world.keepers.put(
        Keeper(writer.group, "rides", versions_of(OLD), {}, {}, complete=True, began_us=0)
    )
    await world.backfill_though_killed(OLD)
    # The old writer, with what it had cached; it reads some of it again, from any place at or before.
    writer.applied = world.ends_of(data.draw(st.integers(0, second)))
    await writer.write(len(log))
    assert world.held(OLD) == await quiet(events, OLD)


@settings(deadline=None, max_examples=200)
@given(logs, st.data())
def test_versions_side_by_side_each_hold_every_event_once(
    log: list[tuple[int, str, int]], data: st.DataObject
) -> None:
    asyncio.run(change_and_backfill(log, data))


async def change_and_backfill(log: list[tuple[int, str, int]], data: st.DataObject) -> None:
    events = events_of(log)
    world = World(events)
    old, new = Writer(world, OLD), Writer(world, NEW)
    await old.begin()
    await old.write(moved := data.draw(st.integers(0, len(log))))
    world.produced = data.draw(st.integers(moved, len(log)))
    world.archived = data.draw(st.integers(0, world.produced))
    # The topic still has what the group of the shared view lacks.
    world.dropped = data.draw(st.integers(0, moved))
    world.dies_at = data.draw(st.integers(-1, 8))
    await world.backfill_though_killed(NEW)
    new.resume()
    begun = world.ends_of(world.dropped)
    assert all(new.applied[partition] >= begun[partition] for partition in begun)
    # From here on they go on in turns, as far behind each other as may be, and the new one dies once.
    for writer in data.draw(st.permutations([old, new, old, new])):
        reached = data.draw(st.integers(0, len(log)))
        await writer.write(reached, commits=data.draw(st.booleans()))
    new.resume()
    await old.write(len(log))
    await new.write(len(log))
    assert world.held(OLD) == await quiet(events, OLD)
    assert world.held(NEW) == await quiet(events, NEW)


async def test_a_new_version_waits_for_nobody_and_nobody_waits_for_it() -> None:
    world = World(events_of([(0, "a", 0), (1, "b", 1), (0, "c", 2), (0, "d", 3)]))
    old = Writer(world, OLD)
    await old.begin()
    await old.write(3)
    world.produced = world.archived = 4
    filled = await world.backfill(NEW).run()
    assert sorted(filled.views) == ["driver_fares", "first_rides"]
    assert filled.positions == {"rides": {0: 2, 1: 1}}, "no further than who keeps the view that is shared"
    assert world.committed[group_name(NEW)] == {0: 2, 1: 1}
    assert (await world.markers[old.group].read()).detail == "fresh"
    assert [one.group for one in await world.keepers.all()] == sorted([old.group, group_name(NEW)])


async def test_writers_are_held_while_rows_are_handed_over_and_released_after() -> None:
    world = World(events_of([(0, "a", 0), (1, "b", 1), (0, "c", 2)]))
    old, new = Writer(world, OLD), Writer(world, NEW)
    for writer in (old, new):
        await writer.begin()
        await writer.write(3)
    world.produced = 3
    conditions: list[Condition] = []

    async def looked() -> Mapping[str, Mapping[int, int]]:
        conditions.extend([(await world.markers[one.group].read()).condition for one in (old, new)])
        return await World.ends(world)

    world.ends = looked  # type: ignore[method-assign] # a look at the moment after the hold
    await world.backfill(OLD).run()
    assert conditions[:2] == [Condition.HELD, Condition.HELD], "both write rows of the view that they share"
    assert [(await world.markers[one.group].read()).condition for one in (old, new)] == [Condition.WHOLE] * 2
    assert world.seen[-1] == Report("handing over", 6, 6)
    assert any(report.doing == "waiting for the lake" for report in world.seen)


async def test_chosen_views_of_a_group_that_began_are_made_again_alone() -> None:
    world = World(events_of([(0, "a", 0), (1, "b", 1)]))
    old = Writer(world, OLD)
    await old.begin()
    await old.write(2)
    world.produced = world.archived = 2
    assert [*(await world.backfill(OLD, chosen=["driver_fares"]).run()).views] == ["driver_fares"]


async def test_a_group_that_has_not_begun_begins_with_all_of_its_views() -> None:
    world = World(events_of([(0, "a", 0)]))
    with pytest.raises(BackfillRefused, match="begins with all of them: driver_rides, driver_fares"):
        await world.backfill(OLD, chosen=["driver_fares"]).run()


async def test_a_backfill_that_lost_what_it_staged_says_so_and_begins_anew() -> None:
    world = World(events_of([(0, "a", 0), (1, "b", 1)]))
    world.archived = 2

    async def flushed() -> Mapping[str, Mapping[int, int]]:
        world.markers[f"backfill/{group_name(OLD)}"].markers = [None, None]
        return {}

    backfill = world.backfill(OLD)
    begins, world.begins = world.begins, flushed  # type: ignore[method-assign] # a flush in the middle
    with pytest.raises(BackfillBroken, match="begins anew"):
        await backfill.run()
    assert await world.stores[group_name(OLD)].note() is None
    assert (await world.markers[group_name(OLD)].read()).condition is Condition.HELD
    world.begins = begins  # type: ignore[method-assign]
    await world.backfill(OLD, now_us=2_000_000_000).run()
    assert (await world.markers[group_name(OLD)].read()).condition is Condition.WHOLE


async def test_rows_of_another_definition_are_not_gone_on_with() -> None:
    world = World(events_of([(0, "a", 0)]))
    world.archived, world.dies_at = 1, 1
    with pytest.raises(Died):
        await world.backfill(OLD).run()
    store = world.stores[group_name(OLD)]
    note = await store.note()
    assert note is not None
    other = Plan({"driver_rides": "0" * 64}, again=False, holds=(), limits={}, begins=True)
    await store.take_note(Note(note.run, note.revision, other, note.positions))
    world.dies_at = -1
    await world.backfill(OLD, now_us=2_000_000_000).run()
    assert (await world.markers[group_name(OLD)].read()).detail == "run-2000000000@2000000000"

"""One engine: what is served, what is recomputed, and a plain reading of the definitions are the same bits.

The oracle below is written from docs/architecture.md's words, event by event in plain Python, with fractions
and no numpy arithmetic; it shares no code with the engine.
"""

from __future__ import annotations

import asyncio
import math
import struct
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
from feature_store import (
    Count,
    DistinctCount,
    Entity,
    EventBatch,
    FeatureView,
    First,
    Json,
    Label,
    Last,
    Max,
    Mean,
    Min,
    ModelSpec,
    Quantile,
    Requests,
    RequestTime,
    Share,
    Source,
    Std,
    Sum,
    TimeSince,
    TrainingExamples,
    field,
    request,
)
from feature_store.contract import Contract
from feature_store.offline import Applied, AsOf, freshness_gap_us, point_in_time
from feature_store.online import Applier, MemoryClaims, MemoryFeatureRows, VectorAssembler
from feature_store.plans import plan_of
from feature_store.rows import REVISION, key_prefix
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from feature_store.vectors import Vectors

MINUTE_US = 60_000_000
unhurried = settings(deadline=None)

rides = Source(
    "rides",
    format=Json({"driver": "text", "city": "text", "fare": "number", "shared": "flag", "at": "time"}),
    event_time="at",
    partitions=2,
)
driver, city = Entity("driver"), Entity("city")


class DriverRides(FeatureView):
    source, entity = rides, driver
    ttl = timedelta(minutes=40)
    rides_12m = Count(window="12m")
    dear_12m = Count(where=field("fare") >= 10.0, window="12m")
    fares_12m = Sum("fare", window="12m")
    mean_fare_10m = Mean("fare", window="10m", tiles=4, default=-1.0)
    last_fare_30m = Last("fare", window="30m", tiles=5, default=7.5)


class CityRides(FeatureView):
    source, entity = rides, city
    ttl = timedelta(minutes=90)
    shared_60m = Share(where=field("shared"), window="1h")
    dear_share_12m = Share(where=field("fare") > 20.0, among=field("shared"), window="12m", tiles=3)
    last_dear_60m = Last("fare", where=field("fare") > 20.0, window="1h")
    mean_60m = Mean("fare", window="1h")


class CityRecords(FeatureView):
    """What no question below asks, for the rows' own sake."""

    source, entity = rides, city
    least_12m = Min("fare", window="12m")
    greatest_all = Max("fare", window="all")
    first_30m = First("fare", window="30m", tiles=5)
    first_all = First("fare", window="all")
    since_dear_1h = TimeSince(where=field("fare") > 20.0, window="1h")
    drivers_30m = DistinctCount("driver", window="30m", tiles=5)
    drivers_all = DistinctCount("driver", window="all")
    spread_12m = Std("fare", window="12m", tiles=3)
    high_1h = Quantile("fare", q=0.9, low=1.0, high=100.0, window="1h", tiles=4)


VIEWS = [DriverRides.view, CityRides.view, CityRecords.view]

surge = RequestTime("surge", request("surge") * 2.0, default=1.0)
contract = Contract.of(
    ModelSpec(
        "fares",
        features=[
            CityRides.shared_60m,
            DriverRides.last_fare_30m,
            surge,
            DriverRides.rides_12m,
            DriverRides.dear_12m,
            DriverRides.fares_12m,
            CityRides.dear_share_12m,
            CityRides.last_dear_60m,
            CityRides.mean_60m,
            DriverRides.mean_fare_10m,
        ],
        label=Label("dear", source=rides, request_key="driver", value=field("fare") > 10.0),
        examples=TrainingExamples(
            source=rides,
            time=field("at"),
            entities={"driver": "driver", "city": "city"},
            context={"surge": "fare"},
        ),
        train=lambda *_: None,
    )
)


@dataclass(frozen=True)
class Ride:
    """An event as the oracle sees it, in its place in the log."""

    driver: str | None
    city: str
    fare: float | None
    shared: bool | None
    at_us: int
    recorded_us: int
    id: str
    partition: int
    offset: int = -1


# The oracle


def kept_once(log: list[Ride]) -> list[Ride]:
    """Of records of a partition with the same id, the first counts."""
    seen: set[tuple[int, str]] = set()
    kept = []
    for ride in sorted(log, key=lambda ride: ride.offset):
        if (ride.partition, ride.id) not in seen:
            seen.add((ride.partition, ride.id))
            kept.append(ride)
    return kept


def in_window(known: list[Ride], at_us: int, window_us: int, tiles: int) -> list[Ride]:
    width = window_us // tiles
    newest = max(ride.at_us for ride in known)
    last = at_us // width
    oldest = max(last, newest // width) - tiles + 1
    return [ride for ride in known if oldest <= ride.at_us // width <= last]


def exact(numbers: list[float]) -> Fraction:
    """The sum of the numbers, each rounded to the nearest 2**-20, half to even."""
    return sum((Fraction(round(Fraction(number) * 2**20), 2**20) for number in numbers), Fraction(0))


def fares(rides_: list[Ride]) -> list[float]:
    return [ride.fare for ride in rides_ if ride.fare is not None and abs(ride.fare) <= 2**32]


def mean(numbers: list[float]) -> float | None:
    return float(exact(numbers)) / len(numbers) if numbers else None


def last(rides_: list[Ride]) -> float | None:
    pairs = [(ride.at_us, ride.fare + 0.0) for ride in rides_ if ride.fare is not None]
    return max(pairs)[1] if pairs else None


def share(part: list[Ride], whole: list[Ride]) -> float | None:
    return len(part) / len(whole) if whole else None


def at_least(rides_: list[Ride], fare: float, *, above: bool = False) -> list[Ride]:
    return [
        ride
        for ride in rides_
        if ride.fare is not None and (ride.fare > fare if above else ride.fare >= fare)
    ]


def view_features(name: str, known: list[Ride], at_us: int) -> dict[str, float | None]:
    def window(minutes: int, tiles: int = 12) -> list[Ride]:
        return in_window(known, at_us, minutes * MINUTE_US, tiles)

    if name == "driver":
        return {
            "rides_12m": float(len(window(12))),
            "dear_12m": float(len(at_least(window(12), 10.0))),
            "fares_12m": float(exact(fares(window(12)))),
            "mean_fare_10m": mean(fares(window(10, 4))),
            "last_fare_30m": last(window(30, 5)),
        }
    hour, among = window(60), [ride for ride in window(12, 3) if ride.shared]
    return {
        "shared_60m": share([ride for ride in hour if ride.shared], hour),
        "dear_share_12m": share(at_least(among, 20.0, above=True), among),
        "last_dear_60m": last(at_least(hour, 20.0, above=True)),
        "mean_60m": mean(fares(hour)),
    }


def oracle(known: list[Ride], asked: Asked) -> tuple[bytes, list[int]]:
    """The bytes of the vector, and the statuses."""
    found: dict[str, tuple[float | None, int]] = {"surge": (asked.surge and asked.surge * 2.0, 1)}
    for name, key, ttl in (("driver", asked.driver, 40), ("city", asked.city, 90)):
        mine = [ride for ride in known if getattr(ride, name) == key and key]
        if not mine:
            row_status = 2
        else:
            row_status = 3 if max(ride.at_us for ride in mine) < asked.at_us - ttl * MINUTE_US else 1
        values = view_features(name, mine, asked.at_us) if mine else defaultdict(lambda: None)
        for feature in (DriverRides if name == "driver" else CityRides).view.aggregations:
            found[feature] = values[feature], row_status
    packed, statuses = b"", []
    for feature in contract.features:
        value, status = found[feature.name]
        if status == 1 and value is None:
            status = 2
        packed += struct.pack("<f", value if status == 1 else feature.default)
        statuses.append(status)
    return packed, statuses


# Logs and questions


@dataclass(frozen=True)
class Asked:
    driver: str | None
    city: str
    surge: float | None
    at_us: int


FARES = (None, 0.1, -0.0, 0.0, 9.999999, 10.0, 20.0, 20.000001, 33.3, 1e9 / 3, -7.25, 2.0**32, 2.0**33, 1e-7)
# Close together, so that windows are full and bounds are met, with a few far away.
minutes = st.one_of(st.integers(0, 14), st.integers(0, 14), st.integers(0, 130))
moments = st.builds(
    lambda minute, extra_us: minute * MINUTE_US - 3_000_000 + extra_us,
    minutes,
    st.sampled_from((0, 2_999_999, 3_000_000, 20_000_000)),
)
drivers = st.sampled_from(("ann", "ann", "bob", "", None))
cities = st.sampled_from(("rome", "rome", "oslo"))
a_ride = st.builds(
    Ride,
    driver=drivers,
    city=cities,
    fare=st.sampled_from(FARES),
    shared=st.sampled_from((True, False, None)),
    at_us=moments,
    recorded_us=st.sampled_from((-4, 0, 0, 0, 1, 9, 70)).map(lambda delay: delay * MINUTE_US),
    id=st.integers(0, 40).map(str),
    partition=st.integers(0, 2),
)
questions = st.lists(
    st.builds(Asked, driver=drivers, city=cities, surge=st.sampled_from((None, 0.0, 1.5)), at_us=moments),
    min_size=1,
    max_size=8,
)


@st.composite
def logs(draw: st.DrawFn) -> list[Ride]:
    """Rides in the order in which they reach the log: not that of their times, and some of them twice."""
    log: list[Ride] = []
    ends: dict[int, int] = defaultdict(int)
    first: dict[str, Ride] = {}
    for drawn in draw(st.lists(a_ride, max_size=40)):
        ride = replace(drawn, recorded_us=drawn.at_us + drawn.recorded_us)
        # The same id again is the same event again, in whatever partition; a repeat only in its own.
        ride = replace(first.setdefault(ride.id, ride), partition=ride.partition)
        log.append(replace(ride, offset=ends[ride.partition]))
        ends[ride.partition] += draw(st.integers(1, 3)) if len(log) % 5 == 0 else 1
    return log


def objects(values: list[Any]) -> np.ndarray[Any, Any]:
    array = np.empty(len(values), np.object_)
    array[:] = values
    return array


def batch_of(log: list[Ride]) -> EventBatch:
    nan = math.nan
    flags = {None: -1, False: 0, True: 1}
    return EventBatch(
        rides,
        {
            "driver": objects([ride.driver for ride in log]),
            "city": objects([ride.city for ride in log]),
            "fare": np.array([nan if ride.fare is None else ride.fare for ride in log], np.float64),
            "shared": np.array([flags[ride.shared] for ride in log], np.int8),
            "at": np.array([ride.at_us for ride in log], np.int64),
        },
        np.array([ride.at_us for ride in log], np.int64),
        np.array([ride.recorded_us for ride in log], np.int64),
        np.array([ride.partition for ride in log], np.int32),
        np.array([ride.offset for ride in log], np.int64),
        objects([ride.id for ride in log]),
        objects([b"" for _ in log]),
    )


def requests_of(asked: list[Asked]) -> Requests:
    return Requests(
        np.array([one.at_us for one in asked], np.int64),
        {"driver": objects([one.driver for one in asked]), "city": objects([one.city for one in asked])},
        {"surge": np.array([math.nan if one.surge is None else one.surge for one in asked])},
    )


def sliced(draw: st.DrawFn, log: list[Ride]) -> list[list[Ride]]:
    """Batches of the log as consumers take it: each partition in order, the partitions in any."""
    cuts = sorted(draw(st.lists(st.integers(0, len(log)), max_size=4)))
    batches = [log[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(log)], strict=True)]
    return [
        sorted(batch, key=lambda ride: ride.partition * draw(st.sampled_from((1, -1)))) for batch in batches
    ]


async def served(rows: MemoryFeatureRows, asked: list[Asked]) -> Vectors:
    assembler = VectorAssembler(contract)
    requests = requests_of(asked)
    return assembler.assemble(requests, await rows.read(assembler.row_keys(requests)))


def assert_same(left: Vectors, right: Vectors) -> None:
    assert left.statuses.tolist() == right.statuses.tolist()
    assert left.values.tobytes() == right.values.tobytes()


def assert_is(vectors: Vectors, knowns: list[list[Ride]], asked: list[Asked]) -> None:
    for index, (known, one) in enumerate(zip(knowns, asked, strict=True)):
        packed, statuses = oracle(known, one)
        assert vectors.statuses[index].tolist() == statuses
        assert vectors.values[index].tobytes() == packed


@unhurried
@given(st.data(), logs(), questions)
async def test_serving_gives_what_the_definitions_say_whatever_the_slicing(
    data: st.DataObject, log: list[Ride], asked: list[Asked]
) -> None:
    rows = MemoryFeatureRows()
    applier = Applier([DriverRides.view, CityRides.view], rows, MemoryClaims(), cached_rows=2)
    for batch in sliced(data.draw, log):
        await applier.apply(batch_of(batch))
    assert_is(await served(rows, asked), [kept_once(log)] * len(asked), asked)


@unhurried
@given(st.data(), logs(), questions)
async def test_what_was_served_is_recomputed_from_what_its_rows_had_applied(
    data: st.DataObject, log: list[Ride], asked: list[Asked]
) -> None:
    rows = MemoryFeatureRows()
    applier = Applier([DriverRides.view, CityRides.view], rows, MemoryClaims())
    for batch in sliced(data.draw, log):
        await applier.apply(batch_of(batch))
        vectors = await served(rows, asked)
        applied = Applied({position.view: position.applied for position in vectors.positions})
        again = point_in_time(contract, {"rides": batch_of(log)}, requests_of(asked), applied)
        assert_same(vectors, again)
        for served_rows, recomputed in zip(vectors.positions, again.positions, strict=True):
            assert served_rows.found.tolist() == recomputed.found.tolist()
            watermarks = served_rows.recorded_watermark_us, recomputed.recorded_watermark_us
            assert watermarks[0].tolist() == watermarks[1].tolist()


@unhurried
@given(st.randoms(use_true_random=False), logs(), questions)
async def test_training_sees_what_was_recorded_by_then_in_any_order_of_the_lake(
    random: Any, log: list[Ride], asked: list[Asked]
) -> None:
    shuffled = random.sample(log, len(log))
    vectors = point_in_time(contract, {"rides": batch_of(shuffled)}, requests_of(asked), AsOf())
    knowns = [[ride for ride in kept_once(log) if ride.recorded_us <= one.at_us] for one in asked]
    assert_is(vectors, knowns, asked)


async def test_writers_with_rows_in_their_caches_find_out_that_they_are_out_of_date() -> None:
    rows, claims = MemoryFeatureRows(), MemoryClaims()
    writers = [Applier([CityRides.view], rows, claims) for _ in range(2)]
    log = [Ride(None, "rome", 10.0, None, 0, 0, str(number), number % 2, number // 2) for number in range(8)]
    done = [await writers[ride.partition].apply(batch_of([ride])) for ride in log]
    assert [one.conflicts for one in done] == [0, 0, 1, 1, 1, 1, 1, 1]
    assert [one.cache_misses for one in done] == [1, 1, 0, 0, 0, 0, 0, 0]
    assert_is(await served(rows, [Asked(None, "rome", 1.0, 0)]), [log], [Asked(None, "rome", 1.0, 0)])
    _, words = plan_of(CityRides.view).layout.decode(list(rows.stored.values()))
    assert words[0, REVISION] == len(log)


def test_an_event_recorded_at_the_very_moment_of_the_request_is_known_and_a_moment_later_is_not() -> None:
    ride = Ride(
        "ann", "rome", 33.0, shared=True, at_us=0, recorded_us=MINUTE_US, id="1", partition=0, offset=0
    )
    asked = [Asked("ann", "rome", 1.0, MINUTE_US), Asked("ann", "rome", 1.0, MINUTE_US - 1)]
    vectors = point_in_time(contract, {"rides": batch_of([ride])}, requests_of(asked), AsOf())
    assert_is(vectors, [[ride], []], asked)
    assert vectors.statuses[0].tolist() == [1] * len(contract.features)


def test_without_events_or_requests_there_is_nothing_to_go_wrong() -> None:
    asked = [Asked("ann", "rome", None, 0), Asked(None, "", 1.0, 0)]
    vectors = point_in_time(contract, {"rides": batch_of([])}, requests_of(asked), AsOf())
    assert_is(vectors, [[], []], asked)
    assert len(point_in_time(contract, {"rides": batch_of([])}, requests_of([]), AsOf())) == 0
    assert len(VectorAssembler(contract).assemble(requests_of([]), [])) == 0


class Died(Exception):
    """The writer was killed."""


class PerilousRows(MemoryFeatureRows):
    """Rows between whose steps other writers get their turn, and whose callers may die in a write."""

    def __init__(self, perils: Iterator[int]) -> None:
        super().__init__()
        self.perils = perils

    async def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        await self._turns(next(self.perils))
        return await super().read(keys)

    async def replace(
        self, keys: Sequence[bytes], expected: Sequence[bytes], rows: Sequence[bytes]
    ) -> Mapping[int, bytes | None]:
        peril = next(self.perils)
        await self._turns(peril)
        if peril >= 5:
            done = peril - 5
            await super().replace(keys[:done], expected[:done], rows[:done])
            raise Died
        return await super().replace(keys, expected, rows)

    async def _turns(self, count: int) -> None:
        for _ in range(count):
            await asyncio.sleep(0)


@dataclass
class Writer:
    """A consumer process; when it dies, another with an empty cache takes its place."""

    rows: MemoryFeatureRows
    claims: MemoryClaims
    applier: Applier | None = None

    async def handle(self, batch: list[Ride]) -> bool:
        self.applier = self.applier or Applier(VIEWS, self.rows, self.claims)
        try:
            await self.applier.apply(batch_of(batch))
        except Died:
            self.applier = None
            return False
        return True


def by_partition(log: list[Ride]) -> dict[int, list[Ride]]:
    return {partition: [ride for ride in log if ride.partition == partition] for partition in range(3)}


def states(rows: MemoryFeatureRows) -> dict[bytes, list[int]]:
    """What the rows hold, apart from their revisions and from room for partitions without events."""
    found = {}
    for key, row in rows.stored.items():
        view = next(view for view in VIEWS if key.startswith(key_prefix(view.name, view.digest)))
        _, matrix = plan_of(view).layout.with_partitions(3).decode([row])
        matrix[:, REVISION] = 0
        found[key] = matrix[0].tolist()
    return found


@unhurried
@given(st.data(), logs())
async def test_two_writers_that_meet_die_and_repeat_leave_the_rows_of_one_quiet_writer(
    data: st.DataObject, log: list[Ride]
) -> None:
    perils = cycle([*data.draw(st.lists(st.integers(0, 9), max_size=30)), 0, 1])
    rows, claims = PerilousRows(perils), MemoryClaims()
    writers = Writer(rows, claims), Writer(rows, claims)
    partitions = by_partition(log)
    committed = dict.fromkeys(partitions, 0)
    for _ in range(data.draw(st.integers(0, 6))):
        # Both may hold the same partition: one of them then does not know yet that it lost it.
        ends = [
            {p: committed[p] + data.draw(st.integers(0, 5)) for p in data.draw(st.sets(st.integers(0, 2)))}
            for _ in writers
        ]
        batches = [
            [ride for p, end in held.items() for ride in partitions[p][committed[p] : end]] for held in ends
        ]
        handled = await asyncio.gather(*(w.handle(b) for w, b in zip(writers, batches, strict=True)))
        for held in (held for held, done in zip(ends, handled, strict=True) if done):
            for partition, end in held.items():
                committed[partition] = max(committed[partition], min(end, len(partitions[partition])))
    rest = [ride for partition, rides_ in partitions.items() for ride in rides_[committed[partition] :]]
    rows.perils = cycle([0])
    await writers[0].handle(rest)

    quiet = MemoryFeatureRows()
    await Applier(VIEWS, quiet, MemoryClaims()).apply(batch_of(log))
    assert states(rows) == states(quiet)


@unhurried
@given(st.data(), logs(), questions)
async def test_the_freshness_gap_is_the_age_of_the_oldest_recorded_event_that_was_not_applied(
    data: st.DataObject, log: list[Ride], asked: list[Asked]
) -> None:
    rows = MemoryFeatureRows()
    handled = log[: data.draw(st.integers(0, len(log)))]
    await Applier([DriverRides.view, CityRides.view], rows, MemoryClaims()).apply(batch_of(handled))
    vectors = await served(rows, asked)
    applied = Applied({position.view: position.applied for position in vectors.positions})
    gaps = freshness_gap_us(contract, {"rides": batch_of(log)}, requests_of(asked), applied)

    for one, gap in zip(asked, gaps.tolist(), strict=True):
        lacking = [
            one.at_us - ride.recorded_us
            for ride in kept_once(log)
            if ride not in handled
            and ride.recorded_us <= one.at_us
            and ((ride.driver == one.driver and one.driver) or ride.city == one.city)
        ]
        assert gap == max(lacking, default=0)

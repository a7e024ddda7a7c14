"""Every aggregation, in views drawn at random: what is served, recomputed and reckoned are the same bits.

The reckoning is written from docs/features.md, event by event, with Python's fractions and sets; it shares
with the engine only where a text's hash falls and what a bucket is read as.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from feature_store import (
    Contract,
    Count,
    DistinctCount,
    Entity,
    EventBatch,
    Ewma,
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
    Share,
    Source,
    Std,
    Sum,
    TimeSince,
    TrainingExamples,
    VectorAssembler,
    field,
)
from feature_store.offline import Applied, AsOf, point_in_time
from feature_store.online import Applier, MemoryClaims, MemoryFeatureRows
from feature_store.sketches import Buckets, Registers
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

    from feature_store.definitions import Aggregation
    from feature_store.vectors import Vectors

MINUTE_US = 60_000_000
unhurried = settings(deadline=None, max_examples=120)
FORMAT = Json({"card": "text", "shop": "text", "spent": "number", "back": "flag", "at": "time"})
plain = Source("plain", format=FORMAT, event_time="at", partitions=2)
retracting = Source("retracting", format=FORMAT, event_time="at", partitions=2, retracts=field("back"))
card = Entity("card")


@dataclass(frozen=True)
class Payment:
    """An event in its place in the log; `back` takes back an earlier one."""

    card: str
    shop: str | None
    spent: float | None
    back: bool
    at_us: int
    recorded_us: int
    id: str
    partition: int
    offset: int = -1


@dataclass(frozen=True)
class Window:
    """A window as the reckoning has it."""

    window: str
    minutes: int
    tiles: int

    @property
    def width_us(self) -> int:
        return self.minutes * MINUTE_US // self.tiles

    def ages(self, known: list[Payment], at_us: int) -> list[tuple[int, Payment]]:
        """The events that count, with the age of their tiles."""
        if self.window == "all":
            return [(0, payment) for payment in known]
        last, newest = at_us // self.width_us, max(payment.at_us for payment in known) // self.width_us
        aged = [(last - payment.at_us // self.width_us, payment) for payment in known]
        return [(age, one) for age, one in aged if age >= 0 and last - age > max(last, newest) - self.tiles]


WINDOWS = [
    Window("1m", 1, 1),
    Window("12m", 12, 12),
    Window("12m", 12, 3),
    Window("1h", 60, 4),
    Window("90d", 129_600, 12),
]
ALL_TIME = Window("all", 0, 1)
BUCKETS = Buckets(1.0, 50.0, 0.1)


def fixed(number: float) -> int:
    return round(Fraction(number) * 2**20)


def numbers(events: list[Payment]) -> list[tuple[int, float]]:
    """The numbers within bounds, with 1 or, where they are taken back, -1."""
    return [
        (-1 if one.back else 1, one.spent)
        for one in events
        if one.spent is not None and abs(one.spent) <= 2**32
    ]


def std(events: list[Payment]) -> float | None:
    whole = [(sign, fixed(number)) for sign, number in numbers(events)]
    n, summed = (sum(sign * x**power for sign, x in whole) for power in (0, 1))
    # The upper word of the squares wraps where they add up to 2^65: missing or wrong, but everywhere alike.
    high, low = (
        sum(sign * (x * x >> 42) for sign, x in whole),
        sum(sign * (x * x % 2**42) for sign, x in whole),
    )
    spread = n * ((((high + 2**63) % 2**64 - 2**63) << 42) + low) - summed * summed
    return math.sqrt(float(spread)) / n * 2.0**-20 if n > 0 and spread >= 0 else None


def mean(events: list[Payment]) -> float | None:
    whole = [(sign, fixed(number)) for sign, number in numbers(events)]
    n = sum(sign for sign, _ in whole)
    return float(sum(sign * x for sign, x in whole)) * 2.0**-20 / n if n else None


def ewma(window: Window) -> Callable[[list[tuple[int, Payment]]], float | None]:
    def value(aged: list[tuple[int, Payment]]) -> float | None:
        weights = [1.0]
        for _ in range(window.tiles):
            weights.append(weights[-1] * 0.5)
        weighted = weight = 0.0
        for age in range(window.tiles - 1, -1, -1):
            whole = [(sign, fixed(x)) for sign, x in numbers([one for old, one in aged if old == age])]
            weighted += float(sum(sign * x for sign, x in whole)) * weights[age]
            weight += float(sum(sign for sign, _ in whole)) * weights[age]
        return weighted * 2.0**-20 / weight if weight > 0 else None

    return value


def valued(events: list[Payment]) -> list[tuple[int, float]]:
    return [(one.at_us, one.spent + 0.0) for one in events if one.spent is not None]


def quantile(q: float) -> Callable[[list[Payment]], float | None]:
    def value(events: list[Payment]) -> float | None:
        counts = defaultdict[int, int](int)
        for one in events:
            if one.spent is not None:
                bucket = sum(one.spent > bound for bound in BUCKETS.bounds.tolist())
                counts[bucket] += -1 if one.back else 1
        total = sum(counts.values())
        running = 0
        for bucket in range(BUCKETS.count if total > 0 else 0):
            running += counts[bucket]
            if running > q * (total - 1):
                return float(BUCKETS.values[bucket])
        return float(BUCKETS.values[0]) if total > 0 else None

    return value


def distinct(events: list[Payment]) -> float:
    registers = Registers(6)
    shops = np.array(sorted({one.shop for one in events if one.shop is not None}), np.object_)
    held = [0] * registers.count
    for entry in registers.entries(shops).tolist():
        held[entry >> 6] = max(held[entry >> 6], entry & 63)
    return float(registers.estimates(np.array([held], np.uint8).view(np.int64))[0])


def dear(events: list[Payment]) -> list[Payment]:
    return [one for one in events if one.spent is not None and one.spent > 9.0]


def counted(events: list[Payment]) -> int:
    return sum(-1 if one.back else 1 for one in events)


def share(events: list[Payment]) -> float | None:
    return counted(dear(events)) / counted(events) if counted(events) else None


def of(value: Callable[[list[Payment]], float | None]) -> Any:
    return lambda aged, _: value([one for _, one in aged])


def kinds(window: Window) -> dict[str, tuple[Aggregation, Any]]:
    """Every aggregation over a window, with its reckoning."""
    over = {"window": window.window, "tiles": window.tiles, "default": -7.0}
    spent, far = field("spent"), field("spent") > 9.0
    found: dict[str, tuple[Aggregation, Any]] = {
        "count": (Count(where=far, **over), of(lambda some: float(counted(dear(some))))),
        "sum": (
            Sum("spent", **over),
            of(lambda some: sum(s * fixed(x) for s, x in numbers(some)) * 2.0**-20),
        ),
        "mean": (Mean("spent", **over), of(mean)),
        "std": (Std("spent", **over), of(std)),
        "dear_std": (Std(spent, where=far, **over), of(lambda some: std(dear(some)))),
        "share": (Share(where=far, **over), of(share)),
        "median": (Quantile("spent", q=0.5, low=1, high=50, accuracy=0.1, **over), of(quantile(0.5))),
        "high": (Quantile("spent", q=1.0, low=1, high=50, accuracy=0.1, **over), of(quantile(1.0))),
    }
    if window.window != "all":
        half_life = f"{window.width_us // 1_000_000}s"
        found["ewma"] = Ewma("spent", half_life=half_life, **over), lambda aged, _: ewma(window)(aged)
    return found


def ordered(window: Window) -> dict[str, tuple[Aggregation, Any]]:
    """Those from which nothing can be taken back."""
    over = {"window": window.window, "tiles": window.tiles, "default": -7.0}
    far = field("spent") > 9.0

    def since(aged: list[tuple[int, Payment]], at_us: int) -> float | None:
        times = [one.at_us for _, one in aged if one.spent is not None and one.spent > 9.0]
        return (at_us - max(times)) / MINUTE_US if times else None

    return {
        "min": (Min("spent", **over), of(lambda some: min((x for _, x in valued(some)), default=None))),
        "max": (Max("spent", **over), of(lambda some: max((x for _, x in valued(some)), default=None))),
        "first": (First("spent", **over), of(lambda some: min(valued(some), default=(0, None))[1])),
        "last": (Last("spent", **over), of(lambda some: max(valued(some), default=(0, None))[1])),
        "since": (TimeSince(where=far, unit="minutes", **over), since),
        "shops": (DistinctCount("shop", precision=6, **over), of(distinct)),
    }


@dataclass(frozen=True)
class Drawn:
    """A view drawn at random, with how each of its features is reckoned."""

    contract: Contract
    reckoned: list[tuple[Window, Any]]

    @property
    def source(self) -> Source:
        return self.contract.views[0].source


@st.composite
def views(draw: st.DrawFn) -> Drawn:
    source = draw(st.sampled_from((plain, plain, retracting)))
    body: dict[str, Any] = {"source": source, "entity": card}
    reckoned = []
    for number, window in enumerate(
        draw(st.lists(st.sampled_from([*WINDOWS, ALL_TIME]), min_size=1, max_size=3))
    ):
        choice = kinds(window) | (ordered(window) if source is plain else {})
        for name in draw(st.lists(st.sampled_from(sorted(choice)), min_size=1, max_size=12, unique=True)):
            aggregation, reckon = choice[name]
            body[f"{name}_{number}"] = aggregation
            reckoned.append((window, reckon))
    view = type("CardPayments", (FeatureView,), body)
    spec = ModelSpec(
        "m",
        features=[getattr(view, name) for name in view.view.aggregations],
        label=Label("l", source=source, request_key="card", value=field("spent")),
        examples=TrainingExamples(source=source, time=field("at"), entities={"card": "card"}),
        train=lambda *_: None,
    )
    return Drawn(Contract.of(spec), reckoned)


SPENT = (None, 0.1, -0.0, 0.0, 1.0, 9.0, 9.5, 20.0, 49.9, 50.0, 1e9 / 3, -7.25, 2.0**32, 2.0**33)
payments = st.builds(
    Payment,
    card=st.sampled_from(("a", "a", "a", "b")),
    shop=st.sampled_from((None, "", "x", "y", "zürich", "z", "q", "r")),
    spent=st.sampled_from(SPENT),
    back=st.booleans(),
    at_us=st.one_of(st.integers(-3, 20), st.integers(-200_000, 200_000)).map(
        lambda minute: minute * MINUTE_US // 2
    ),
    recorded_us=st.sampled_from((-1, 0, 0, 0, 1, 9, 70)).map(lambda delay: delay * MINUTE_US),
    id=st.integers(0, 40).map(str),
    partition=st.integers(0, 2),
)
moments = st.lists(
    st.tuples(
        st.sampled_from(("a", "a", "b", "c")), st.integers(-2, 60).map(lambda part: part * MINUTE_US // 3)
    ),
    min_size=1,
    max_size=6,
)


@st.composite
def logs(draw: st.DrawFn) -> list[Payment]:
    log: list[Payment] = []
    ends: dict[int, int] = defaultdict(int)
    first: dict[str, Payment] = {}
    for drawn in draw(st.lists(payments, max_size=45)):
        one = replace(drawn, recorded_us=drawn.at_us + drawn.recorded_us)
        one = replace(first.setdefault(one.id, one), partition=one.partition, offset=ends[one.partition])
        ends[one.partition] += 1
        log.append(one)
    return log


def kept_once(log: list[Payment]) -> list[Payment]:
    first: dict[tuple[int, str], Payment] = {}
    for one in sorted(log, key=lambda one: one.offset):
        first.setdefault((one.partition, one.id), one)
    return list(first.values())


def objects(values: list[Any]) -> np.ndarray[Any, Any]:
    array = np.empty(len(values), np.object_)
    array[:] = values
    return array


def batch_of(source: Source, log: list[Payment]) -> EventBatch:
    at_us = np.array([one.at_us for one in log], np.int64)
    return EventBatch(
        source,
        {
            "card": objects([one.card for one in log]),
            "shop": objects([one.shop for one in log]),
            "spent": np.array([math.nan if one.spent is None else one.spent for one in log], np.float64),
            "back": np.array([one.back for one in log], np.int8),
            "at": at_us,
        },
        at_us,
        np.array([one.recorded_us for one in log], np.int64),
        np.array([one.partition for one in log], np.int32),
        np.array([one.offset for one in log], np.int64),
        objects([one.id for one in log]),
        objects([b"" for _ in log]),
    )


def requests_of(asked: list[tuple[str, int]]) -> Requests:
    return Requests(
        np.array([at_us for _, at_us in asked], np.int64), {"card": objects([key for key, _ in asked])}, {}
    )


def reckon(drawn: Drawn, known: list[Payment], key: str, at_us: int) -> tuple[list[float], list[int]]:
    """Values as float32, and statuses: 1 present, 2 missing, 3 stale."""
    signed = [replace(one, back=one.back and drawn.source is retracting) for one in known if one.card == key]
    stale = signed and at_us - max(one.at_us for one in signed) > drawn.contract.views[0].ttl_us
    values, statuses = [], []
    for window, value_of in drawn.reckoned:
        value = value_of(window.ages(signed, at_us), at_us) if signed and not stale else None
        with np.errstate(over="ignore"):
            number = np.float32(math.nan if value is None else value)
        present = bool(np.isfinite(number))
        values.append(number if present else np.float32(-7.0))
        statuses.append(3 if stale else 1 if present else 2)
    return values, statuses


def assert_is(
    vectors: Vectors, drawn: Drawn, knowns: list[list[Payment]], asked: list[tuple[str, int]]
) -> None:
    for index, (known, (key, at_us)) in enumerate(zip(knowns, asked, strict=True)):
        values, statuses = reckon(drawn, known, key, at_us)
        assert vectors.statuses[index].tolist() == statuses
        assert vectors.values[index].tobytes() == (np.array(values, np.float32) + np.float32(0)).tobytes()


async def served(rows: MemoryFeatureRows, contract: Contract, requests: Requests) -> Vectors:
    assembler = VectorAssembler(contract)
    return assembler.assemble(requests, await rows.read(assembler.row_keys(requests)))


@unhurried
@given(views(), st.data(), logs(), moments)
async def test_what_is_served_is_what_is_reckoned_and_what_is_recomputed(
    drawn: Drawn, data: st.DataObject, log: list[Payment], asked: list[tuple[str, int]]
) -> None:
    rows, requests = MemoryFeatureRows(), requests_of(asked)
    applier = Applier(drawn.contract.views, rows, MemoryClaims(), cached_rows=1)
    cuts = sorted({*data.draw(st.lists(st.integers(0, len(log)), max_size=3)), len(log)})
    for start, stop in zip([0, *cuts], cuts, strict=False):
        # A batch that is handled twice, and one whose partitions come in another order, leave no trace.
        again = [one for one in log[:stop] if data.draw(st.integers(0, 9)) == 0] if stop < len(log) else []
        batch = sorted(log[start:stop], key=lambda one: -one.partition)
        for part in (batch, batch[: len(batch) // 2], sorted(again, key=lambda one: one.offset)):
            await applier.apply(batch_of(drawn.source, part))
        vectors = await served(rows, drawn.contract, requests)
        assert_is(vectors, drawn, [kept_once(log[:stop])] * len(asked), asked)
        applied = Applied({position.view: position.applied for position in vectors.positions})
        recomputed = point_in_time(
            drawn.contract, {drawn.source.topic: batch_of(drawn.source, log)}, requests, applied
        )
        assert recomputed.statuses.tolist() == vectors.statuses.tolist()
        assert recomputed.values.tobytes() == vectors.values.tobytes()


@unhurried
@given(views(), st.randoms(use_true_random=False), logs(), moments)
def test_training_sees_what_was_recorded_by_then(
    drawn: Drawn, random: Any, log: list[Payment], asked: list[tuple[str, int]]
) -> None:
    shuffled = random.sample(log, len(log))
    events = {drawn.source.topic: batch_of(drawn.source, shuffled)}
    vectors = point_in_time(drawn.contract, events, requests_of(asked), AsOf())
    knowns = [[one for one in kept_once(log) if one.recorded_us <= at_us] for _, at_us in asked]
    assert_is(vectors, drawn, knowns, asked)

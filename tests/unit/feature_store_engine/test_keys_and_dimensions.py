"""Keys of several parts and attributes of dimensions: what is served, recomputed and reckoned is the same.

The reckoning is Python over tuples and dicts: it joins no key and sorts no table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from feature_store import (
    Contract,
    Count,
    Derived,
    Dimension,
    Entity,
    EventBatch,
    FeatureView,
    Json,
    Requests,
    RequestTime,
    Source,
    Status,
    Sum,
    VectorAssembler,
    entity_key,
    feature_value,
    field,
)
from feature_store.offline import Applied, AsOf, freshness_gap_us, point_in_time
from feature_store.online import Applier, MemoryClaims, MemoryFeatureRows
from hypothesis import example, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from feature_store.vectors import Vectors

HOUR_US = 3_600_000_000
unhurried = settings(deadline=None, max_examples=100)
FLEET: list[tuple[str, int, str | None, float | None]] = [
    # (tail number, the hour from which on it is valid, model, seats)
    ("N2", 30, "Y", None),
    ("N1", 0, "X", 100.0),
    ("N1", 10, "Y", 120.0),
    ("N1", 20, None, 130.0),
    ("N2", 5, "X", 200.5),
]
aircraft = Dimension(
    "aircraft",
    key="tail",
    attributes={"model": "text", "seats": "number"},
    rows=[
        {"tail": tail, "from": f"1970-01-{1 + hour // 24:02}T{hour % 24:02}:00:00Z", "model": m, "seats": s}
        for tail, hour, m, s in FLEET
    ],
    valid_from="from",
)
carriers = Dimension(
    "carriers", key="code", attributes={"cheap": "flag"}, rows=[{"code": "C", "cheap": True}]
)

flights = Source(
    "flights",
    format=Json({"origin": "text", "destination": "text", "tail": "text", "carrier": "text", "at": "time"}),
    event_time="at",
    partitions=2,
)
model_then = aircraft["model"].of(field("tail"))
seats_then = aircraft["seats"].of(field("tail"))


class RouteFlights(FeatureView):
    source, entity = flights, Entity("route", keys=("origin", "destination"))
    flights = Count(window="all")
    cheap = Count(where=carriers["cheap"].of(field("carrier")), window="all")
    seats = Sum(aircraft["seats"].of(field("tail")), window="all")


class ModelFlights(FeatureView):
    source = flights
    entity = Entity("model", keys=(aircraft["model"].of(entity_key("tail")),))
    key = model_then
    flights = Count(window="all")


class ModelLegs(FeatureView):
    source = flights
    entity = Entity("model_leg", keys=("origin", aircraft["model"].of(entity_key("tail"))))
    key = ("origin", model_then)
    large = Count(where=seats_then > 110, window="all")


seats = RequestTime("seats", aircraft["seats"].of(entity_key("tail")), default=-1.0)
is_x = RequestTime("is_x", aircraft["model"].of(entity_key("tail")) == "X")
filled = Derived("filled", feature_value(RouteFlights.seats) / aircraft["seats"].of(entity_key("tail")))
CONTRACT = Contract.over(
    "",
    [
        *(RouteFlights.flights, RouteFlights.cheap, RouteFlights.seats),
        *(ModelFlights.flights, ModelLegs.large),
        *(seats, is_x, filled),
    ],
    {},
)


@dataclass(frozen=True)
class Flight:
    """An event; its hour is its time, and it is recorded `delay` hours later."""

    origin: str | None
    destination: str | None
    tail: str | None
    carrier: str | None
    hour: int
    delay: int


@dataclass(frozen=True)
class Asked:
    origin: str | None
    destination: str | None
    tail: str | None
    hour: int


def then(tail: str | None, hour: int) -> tuple[str | None, float | None]:
    """The model and the seats that an aircraft has at a time."""
    versions = [(begins, model, seats) for key, begins, model, seats in FLEET if key == tail]
    begun = [version for version in versions if version[0] <= hour]
    return max(begun)[1:] if begun else (None, None)


# No two of these pairs may meet in one row: separators, escapes and what looks escaped.
places = st.sampled_from(["a", "b", "a|b", "b|a", "|", "\\", "\\|", "a\\", "b|", "", None, "é"])
tails = st.sampled_from(["N1", "N1", "N2", "N9", "", None])
logs = st.lists(
    st.builds(
        Flight,
        places,
        places,
        tails,
        st.sampled_from(["C", "D", None]),
        st.integers(0, 40),
        st.integers(0, 3),
    ),
    max_size=30,
)
asked_of = st.lists(st.builds(Asked, places, places, tails, st.integers(0, 44)), min_size=1, max_size=6)


def objects(values: list[Any]) -> np.ndarray[Any, Any]:
    array = np.empty(len(values), np.object_)
    array[:] = values
    return array


def batch_of(log: list[Flight], first: int = 0) -> EventBatch:
    at_us = np.array([one.hour * HOUR_US for one in log], np.int64)
    texts = ("origin", "destination", "tail", "carrier")
    number = np.arange(first, first + len(log))
    return EventBatch(
        flights,
        {**{name: objects([getattr(one, name) for one in log]) for name in texts}, "at": at_us},
        at_us,
        at_us + np.array([one.delay * HOUR_US for one in log], np.int64),
        (number % 2).astype(np.int32),
        number // 2,
        objects([str(one) for one in number]),
        objects([b"" for _ in log]),
    )


def requests_of(asked: list[Asked]) -> Requests:
    columns = {name: objects([getattr(one, name) for one in asked]) for name in CONTRACT.entities}
    return Requests(np.array([one.hour * HOUR_US for one in asked], np.int64), columns, {})


def reckon(known: list[Flight], one: Asked) -> list[float | None]:
    """What each feature is, None where it is missing."""
    model, size = then(one.tail, one.hour)
    route = [
        f
        for f in known
        if one.origin and one.destination and (f.origin, f.destination) == (one.origin, one.destination)
    ]
    same_model = [f for f in known if model and then(f.tail, f.hour)[0] == model]
    legs = [f for f in same_model if one.origin and f.origin == one.origin]
    carried = sum(then(f.tail, f.hour)[1] or 0.0 for f in route) if route else None
    return [
        float(len(route)) if route else None,
        float(sum(f.carrier == "C" for f in route)) if route else None,
        carried,
        float(len(same_model)) if same_model else None,
        float(sum((then(f.tail, f.hour)[1] or 0) > 110 for f in legs)) if legs else None,
        size,
        float(model == "X"),
        None if carried is None or size is None else carried / size,
    ]


def assert_is(vectors: Vectors, knowns: list[list[Flight]], asked: list[Asked]) -> None:
    for row, (known, one) in enumerate(zip(knowns, asked, strict=True)):
        values = reckon(known, one)
        statuses = [Status.MISSING if value is None else Status.PRESENT for value in values]
        assert vectors.statuses[row].tolist() == statuses
        defaults = CONTRACT.defaults.tolist()
        filled_in = [d if v is None else v for v, d in zip(values, defaults, strict=True)]
        assert vectors.values[row].tobytes() == np.array(filled_in, np.float32).tobytes()


def test_a_part_that_entities_share_is_asked_for_once() -> None:
    assert CONTRACT.entities == ("origin", "destination", "tail")
    assert CONTRACT.entity_keys == ("tail",)


@unhurried
@given(logs, st.lists(st.integers(0, 30), max_size=3), asked_of)
@example(
    [Flight("a", "b|a", "N1", None, 0, 0), Flight("a|b", "a", "N2", "C", 12, 0)],
    [],
    [Asked("a", "b|a", "N1", 25), Asked("a|b", "a", "N1", 12), Asked("a|b", "b", "N2", 31)],
)
async def test_what_is_served_is_what_is_reckoned_and_what_is_recomputed(
    log: list[Flight], cuts: list[int], asked: list[Asked]
) -> None:
    rows, requests = MemoryFeatureRows(), requests_of(asked)
    applier = Applier(CONTRACT.views, rows, MemoryClaims(), cached_rows=1)
    bounds = sorted({0, *(cut for cut in cuts if cut < len(log)), len(log)})
    for start, stop in pairwise(bounds):
        await applier.apply(batch_of(log[start:stop], start))
    assembler = VectorAssembler(CONTRACT)
    vectors = assembler.assemble(requests, await rows.read(assembler.row_keys(requests)))
    assert_is(vectors, [log] * len(asked), asked)
    applied = Applied({position.view: position.applied for position in vectors.positions})
    events = {flights.topic: batch_of(log)}
    recomputed = point_in_time(CONTRACT, events, requests, applied)
    assert recomputed.statuses.tolist() == vectors.statuses.tolist()
    assert recomputed.values.tobytes() == vectors.values.tobytes()
    assert not freshness_gap_us(CONTRACT, events, requests, applied).any()


@unhurried
@given(logs, asked_of)
def test_training_sees_what_was_recorded_by_then(log: list[Flight], asked: list[Asked]) -> None:
    vectors = point_in_time(CONTRACT, {flights.topic: batch_of(log)}, requests_of(asked), AsOf())
    knowns = [[one for one in log if one.hour + one.delay <= each.hour] for each in asked]
    assert_is(vectors, knowns, asked)


def test_a_request_whose_key_is_empty_reads_as_one_that_has_none() -> None:
    asked = [Asked("", "b", "", 3), Asked(None, "b", None, 3)]
    vectors = point_in_time(CONTRACT, {flights.topic: batch_of([])}, requests_of(asked), AsOf())
    assert vectors.values[0].tobytes() == vectors.values[1].tobytes()
    assert vectors.values[0].tolist() == [0.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0]
    assert not math.isnan(vectors.values.sum())

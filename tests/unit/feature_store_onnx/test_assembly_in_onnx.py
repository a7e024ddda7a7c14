"""A contract's graph gives what `VectorPlan.finish` gives, bit by bit, and merges with a model."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from feature_store import (
    Contract,
    Count,
    Derived,
    Dimension,
    Entity,
    FeatureView,
    FieldType,
    Json,
    Label,
    Last,
    Mean,
    ModelSpec,
    Opaque,
    Requests,
    RequestTime,
    Share,
    Source,
    Status,
    Sum,
    TrainingExamples,
    category,
    coalesce,
    embedding,
    entity_key,
    feature_value,
    field,
    local_hour,
    request,
    where,
)
from feature_store.aggregations import NO_NUMBER, sortable
from feature_store.expressions import column_of
from feature_store.onnx_graph import METADATA, NotExportable, NotMergeable, export_assembly, feeds_of, merge
from feature_store.tiles import EMPTY_US
from feature_store.vectors import Readings, VectorPlan
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_package.testing import logistic_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from feature_store.definitions import AnyFeature
    from numpy.typing import NDArray

NOON_US = 1_370_000_000_000_000
HOUR_US = 3_600_000_000

trips = Source(
    "trips.ended.v1",
    format=Json(
        {
            "trip": "text",
            "car": "text",
            "driver": "text",
            "km": "number",
            "paid": "flag",
            "ended_at": "time",
            "kind": "text",
        }
    ),
    event_time="ended_at",
)
car = Entity("car")
driver = Entity("driver")


class CarTrips(FeatureView):
    source, entity, ttl = trips, car, timedelta(hours=30)
    trips_1h = Count(window="1h")
    km_24h = Sum("km", window="24h", default=-1.0)
    mean_km_1h = Mean("km", window="1h")
    mean_km_24h = Mean("km", window="24h", default=2.5)
    last_km = Last("km", window="24h", default=-7.0)


class DriverTrips(FeatureView):
    source, entity = trips, driver
    paid_share_24h = Share(where=field("paid"), window="24h", default=0.5)
    last_km = Last("km", window="24h")
    trips_1h = Count(window="1h", where=field("km") > 3)


hour = RequestTime("hour", local_hour(request("asked_at"), zone="Europe/Rome"), default=-1.0)
is_long = RequestTime("is_long", request("plan_km") > 20)
plan_km = RequestTime("plan_km", request("plan_km"), default=3.0)
kind = RequestTime("kind", category(request("kind"), ["taxi", "bus"]))
was_paid = RequestTime("was_paid", request("is_paid").cast("number"), default=9.0)
ratio = Derived(
    "ratio", feature_value(CarTrips.mean_km_1h) / feature_value(CarTrips.mean_km_24h), default=1.0
)
known = Derived(
    "known", coalesce(feature_value(ratio), feature_value(DriverTrips.last_km), feature_value(hour))
)
planned = Derived("planned", request("plan_km") - feature_value("car_trips.last_km"), default=-3.0)
is_more = Derived("is_more", feature_value(ratio) > feature_value(DriverTrips.paid_share_24h))
either = Derived("either", where(request("kind") == "taxi", feature_value(planned), feature_value(is_more)))
drivers = Dimension(
    "drivers",
    key="driver",
    attributes={"rank": "number", "home": "text"},
    rows=[
        {"driver": "a", "from": "2013-05-31T11:33:20Z", "rank": 1.5, "home": "Rome"},
        {"driver": "a", "from": "2013-05-31T11:33:20.000001Z", "rank": 2, "home": None},
        {"driver": "b", "from": "2012-01-01T00:00:00Z", "rank": None, "home": "Turin"},
    ],
    valid_from="from",
)
rank = RequestTime("rank", drivers["rank"].of(entity_key("driver")), default=-4.0)
at_home = Derived(
    "at_home",
    (drivers["home"].of(entity_key("driver")) == request("kind")).cast("number") + feature_value(rank),
)
constant = Derived("constant", feature_value(hour).is_null())

POOL: list[AnyFeature] = [
    *(getattr(CarTrips, name) for name in CarTrips.view.aggregations),
    *(getattr(DriverTrips, name) for name in DriverTrips.view.aggregations),
    hour,
    is_long,
    plan_km,
    kind,
    was_paid,
    ratio,
    known,
    is_more,
    rank,
    at_home,
    constant,
    *embedding("vector", request("kind"), {"taxi": [0.1, 2.0], "bus": [-1, 3e38]}, size=2),
]
LAST = CarTrips.last_km


def contract_of(features: Sequence[AnyFeature]) -> Contract:
    spec = ModelSpec(
        "fares",
        features=features,
        label=Label("paid", source=trips, request_key="trip", value=field("paid")),
        examples=TrainingExamples(
            source=trips,
            time=field("ended_at"),
            entities={"car": "car", "driver": "driver"},
            context={"asked_at": "ended_at", "plan_km": "km", "kind": "kind", "is_paid": "paid"},
        ),
        train=lambda *_: None,
    )
    return Contract.of(spec)


BY_NAME = {feature.full_name: feature for feature in [*POOL, LAST, planned, either]}
names = st.one_of(
    st.lists(st.sampled_from([feature.full_name for feature in POOL]), min_size=1, unique=True),
    # A feature that is read by its name must be listed.
    st.permutations(["car_trips.last_km", "planned", "either", "hour"]),
)
NUMBERS = st.one_of(
    st.sampled_from([0.0, -0.0, 1e39, -1e300, 5e-324, -2.2250738585072014e-308, 1.7976931348623157e308]),
    st.floats(allow_nan=False, allow_infinity=False),
)
LASTS = st.one_of(st.just(NO_NUMBER), NUMBERS.map(lambda x: int(sortable(np.array([x]))[0])))
TOTALS = st.one_of(st.sampled_from([0, 1, 2, 2**20]), st.integers(-(2**63), 2**63 - 1))
AGES = st.sampled_from([0, HOUR_US, 24 * HOUR_US, 24 * HOUR_US + 1, 30 * HOUR_US, 31 * HOUR_US, -HOUR_US])
NEWEST = st.one_of(st.just(EMPTY_US), AGES.map(lambda age: NOON_US - age))
INPUTS: dict[str, tuple[FieldType, st.SearchStrategy[Any]]] = {
    "asked_at": (FieldType.TIME, st.one_of(st.none(), st.integers(0, 2 * NOON_US))),
    "plan_km": (FieldType.NUMBER, st.one_of(st.none(), NUMBERS)),
    "kind": (FieldType.TEXT, st.sampled_from([None, "", "taxi", "bus", "Rome"])),
    "is_paid": (FieldType.FLAG, st.sampled_from([None, True, False])),
}

KEYS = st.sampled_from([None, "", "a", "b", "c"])


def matrix(data: st.DataObject, cells: st.SearchStrategy[Any], n: int, width: int, dtype: Any) -> Any:
    drawn = data.draw(st.lists(cells, min_size=n * width, max_size=n * width))
    return np.array(drawn, dtype).reshape(n, width)


def run(model: onnx.ModelProto, feeds: dict[str, NDArray[Any]], outputs: list[str]) -> list[NDArray[Any]]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    made: list[NDArray[Any]] = session.run(outputs, feeds)
    return made


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(names, st.data(), st.integers(0, 5))
def test_the_graph_gives_the_values_and_statuses_of_the_plan(
    listed: list[str], data: st.DataObject, n: int
) -> None:
    contract = contract_of([BY_NAME[name] for name in listed])
    plan = VectorPlan(contract)
    readings = Readings(
        matrix(data, NEWEST, n, len(plan.views), np.int64),
        matrix(data, TOTALS, n, len(plan.totals), np.int64),
        matrix(data, LASTS, n, len(plan.lasts), np.int64),
    )
    readable = matrix(data, st.booleans(), n, len(plan.views), np.bool_)
    context = {
        name: column_of(kind, data.draw(st.lists(values, min_size=n, max_size=n)))
        for name, (kind, values) in INPUTS.items()
    }
    keys = column_of(FieldType.TEXT, data.draw(st.lists(KEYS, min_size=n, max_size=n)))
    requests = Requests(np.full(n, NOON_US), {"driver": keys}, context)
    expected = plan.finish(readings, requests, readable)
    feeds = feeds_of(contract, readings, requests, readable)
    values, statuses = run(export_assembly(contract), feeds, ["values", "statuses"])
    np.testing.assert_array_equal(statuses, expected[1], strict=True)
    np.testing.assert_array_equal(values.view(np.int32), expected[0].view(np.int32), strict=True)


def ready(contract: Contract, n: int) -> tuple[Readings, Requests, NDArray[np.bool_]]:
    plan, rng = VectorPlan(contract), np.random.default_rng(3)
    lasts = sortable(rng.normal(size=(n, len(plan.lasts))))
    totals = rng.integers(0, 2**24, (n, len(plan.totals)))
    newest_us = NOON_US - rng.integers(0, 40 * HOUR_US, (n, len(plan.views)))
    context = {
        "asked_at": NOON_US + rng.integers(0, 90 * HOUR_US, n),
        "plan_km": rng.normal(size=n),
        "kind": rng.choice(np.array(["taxi", "bus", ""], np.object_), n),
        "is_paid": rng.integers(-1, 2, n).astype(np.int8),
    }
    keys = rng.choice(np.array(["a", "b", ""], np.object_), n)
    readable = rng.random((n, len(plan.views))) < 0.9
    requests = Requests(np.full(n, NOON_US), {"driver": keys}, context)
    return Readings(newest_us, totals, lasts), requests, readable


def test_a_merged_graph_scores_readings_as_the_vector_is_scored() -> None:
    contract = contract_of(POOL)
    readings, requests, readable = ready(contract, 64)
    weights = np.random.default_rng(1).normal(scale=0.01, size=len(POOL)).tolist()
    model = onnx.load_from_string(logistic_model(weights, 0.1))
    feeds = feeds_of(contract, readings, requests, readable)
    merged = merge(export_assembly(contract), model)
    values, statuses, score = run(merged, feeds, ["values", "statuses", "score"])
    expected, expected_statuses = VectorPlan(contract).finish(readings, requests, readable)
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(statuses, expected_statuses)
    (alone,) = run(model, {"features": expected}, ["score"])
    np.testing.assert_array_equal(score, alone)
    assert score.std() > 0.05


def test_the_graph_says_what_its_columns_are() -> None:
    contract = contract_of([LAST, ratio, planned, is_long])
    model = export_assembly(contract)
    told = json.loads({prop.key: prop.value for prop in model.metadata_props}[METADATA])
    assert told["contract_hash"] == contract.hash.hex()
    assert told["features"] == ["car_trips.last_km", "ratio", "planned", "is_long"]
    assert [view["view"] for view in told["views"]] == ["car_trips"]
    assert told["inputs"] == {"plan_km": "number"}
    # Rows of the car's trips hold, after 12 words for trips_1h, what the mean over an hour needs.
    assert [(one["kind"], one["tile_us"], one["word"]) for one in told["totals"]] == [
        ("sum", HOUR_US // 12, 12),
        ("sum", 2 * HOUR_US, 36),
        ("count", HOUR_US // 12, 24),
        ("count", 2 * HOUR_US, 48),
    ]
    assert [one["word"] for one in told["lasts"]] == [60]


def test_equal_contracts_give_equal_bytes() -> None:
    one, other = (export_assembly(contract_of(POOL)).SerializeToString(deterministic=True) for _ in range(2))
    assert one == other


def test_an_opaque_function_stands_in_the_way_and_is_named() -> None:
    opaque = Opaque("doubled", lambda x: x * 2, {"x": request("plan_km")})
    with pytest.raises(NotExportable, match=r"'doubled' stands in the way.*Python function") as caught:
        export_assembly(contract_of([hour, opaque]))
    assert caught.value.feature == "doubled"


def test_a_model_of_another_shape_is_refused() -> None:
    assembly = export_assembly(contract_of([hour, LAST]))
    with pytest.raises(NotMergeable):
        merge(assembly, onnx.load_from_string(logistic_model([1.0, 2.0, 3.0], 0.0)))


def test_status_numbers_are_those_of_the_graph() -> None:
    contract = contract_of([LAST])
    plan = VectorPlan(contract)
    readings = Readings(
        np.array([[NOON_US], [EMPTY_US], [NOON_US - 31 * HOUR_US], [NOON_US]]),
        np.empty((4, len(plan.totals)), np.int64),
        np.full((4, 1), sortable(np.array([4.5]))[0]),
    )
    feeds = feeds_of(
        contract, readings, Requests(np.full(4, NOON_US), {}, {}), np.array([[1], [1], [1], [0]], np.bool_)
    )
    values, statuses = run(export_assembly(contract), feeds, ["values", "statuses"])
    assert values[:, 0].tolist() == [4.5, -7.0, -7.0, -7.0]
    assert statuses[:, 0].tolist() == [Status.PRESENT, Status.MISSING, Status.STALE, Status.DEFAULTED]

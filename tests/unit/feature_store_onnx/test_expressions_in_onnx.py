"""Whatever an expression is, numpy and ONNX Runtime give the same bits; three functions, nearly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort
import pytest
from feature_store import (
    Dimension,
    FieldType,
    category,
    ceil,
    coalesce,
    day_of_month,
    day_of_week,
    day_of_year,
    exp,
    floor,
    haversine_km,
    iso_week,
    local_hour,
    local_minute_of_day,
    log,
    lookup,
    maximum,
    minimum,
    month,
    power,
    request,
    sqrt,
    where,
)
from feature_store.aggregations import NO_NUMBER, sortable
from feature_store.expressions import AS_OF, Expression, Scope, column_of
from feature_store.expressions.operators import OPERATORS as COMPUTED
from feature_store.onnx_graph import NULL_TEXT
from feature_store.onnx_graph.assembly import IR_VERSION, OPSETS
from feature_store.onnx_graph.building import Graph, Term
from feature_store.onnx_graph.expressions import as_numbers, export_expression
from feature_store.onnx_graph.operators import OPERATORS as EXPORTED
from feature_store.onnx_graph.sortable import from_sortable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper

if TYPE_CHECKING:
    from numpy.typing import NDArray

INPUTS = {
    "x": FieldType.NUMBER,
    "y": FieldType.NUMBER,
    "name": FieldType.TEXT,
    "other": FieldType.TEXT,
    "at": FieldType.TIME,
    "until": FieldType.TIME,
    "ok": FieldType.FLAG,
}
DTYPES: dict[FieldType, type[Any]] = {
    FieldType.NUMBER: np.float64,
    FieldType.TEXT: np.object_,
    FieldType.TIME: np.int64,
    FieldType.FLAG: np.int8,
}
ZONES = ["America/New_York", "Europe/Rome", "UTC", "Australia/Lord_Howe", "Asia/Kathmandu"]
VALUES: dict[FieldType, st.SearchStrategy[Any]] = {
    FieldType.NUMBER: st.one_of(
        st.sampled_from([0.0, -0.0, 1.0, -2.5, 0.5, 1.5, 15.0, 1e308, -1e308, 5e-324, np.inf, -np.inf]),
        st.floats(-200, 200),
        st.floats(allow_nan=False),
    ),
    FieldType.TEXT: st.sampled_from(["", "JFK", "LGA", "été", "jfk"]),
    FieldType.TIME: st.one_of(
        st.integers(-2_300_000_000_000_000, 4_200_000_000_000_000),
        # Around the hour at which New York's clocks went forward in 2013, and back.
        st.integers(-5_000_000, 5_000_000).map(lambda offset: 1_362_898_800_000_000 + offset),
        st.integers(-5_000_000, 5_000_000).map(lambda offset: 1_383_458_400_000_000 + offset),
    ),
    FieldType.FLAG: st.booleans(),
}
ROWS = st.lists(
    st.fixed_dictionaries({name: st.one_of(st.none(), VALUES[kind]) for name, kind in INPUTS.items()}),
    max_size=5,
)
TABLE = [
    {"key": "JFK", "from": "2013-03-10T07:00:00Z", "x": 1.5, "name": "LGA", "at": None, "ok": True},
    {
        "key": "JFK",
        "from": "1970-01-01T00:00:00Z",
        "x": None,
        "name": None,
        "at": "2013-03-10T12:00:00+02:00",
        "ok": False,
    },
    {
        "key": "JFK",
        "from": "1950-01-01T00:00:00Z",
        "x": -2,
        "name": "été",
        "at": "2013-03-10T12:00:00+02:00",
        "ok": None,
    },
    {
        "key": "été",
        "from": "2013-03-10T07:00:00Z",
        "x": 0.1,
        "name": "JFK",
        "at": "2013-03-10T12:00:00+02:00",
        "ok": True,
    },
    {
        "key": "xyz",
        "from": "1900-01-01T00:00:00Z",
        "x": 7,
        "name": "JFK",
        "at": "2013-03-10T12:00:00+02:00",
        "ok": False,
    },
]
COLUMNS = {"x": "number", "name": "text", "at": "time", "ok": "flag"}
DIMENSIONS = st.sampled_from(
    [
        Dimension("then", key="key", attributes=COLUMNS, rows=TABLE, valid_from="from"),
        Dimension("always", key="key", attributes=COLUMNS, rows=TABLE[2:]),
    ]
)
CONSTANTS = st.sampled_from([0, 1, -1.5, 2.5, 180, 0.1])
PARTS = st.sampled_from(
    [local_hour, local_minute_of_day, day_of_week, day_of_month, day_of_year, iso_week, month]
)

numbers: st.SearchStrategy[Expression] = st.deferred(
    lambda: st.one_of(
        st.sampled_from([request("x"), request("y")]),
        st.builds(lambda x, c, op: op(x, c), numbers, CONSTANTS, ARITHMETIC),
        st.builds(lambda x, y, op: op(x, y), numbers, numbers, ARITHMETIC),
        st.builds(lambda x, f: f(x), numbers, st.sampled_from([floor, ceil, round, abs, sqrt, lambda x: -x])),
        st.builds(lambda time, part, zone: part(time, zone=zone), times, PARTS, st.sampled_from(ZONES)),
        st.builds(lambda left, right: left / right, durations, durations),
        st.builds(lambda flag: flag.cast("number"), flags),
        st.builds(where, flags, numbers, numbers),
        st.builds(coalesce, numbers, numbers),
        st.builds(lambda t, o: lookup(t, {"JFK": 1.5, "": -2, "été": 0.1}, otherwise=o), texts, OTHERWISE),
        st.builds(lambda x, o: lookup(x, {1: 1.5, -2.5: 0.1, 0: 7}, otherwise=o), numbers, OTHERWISE),
        st.builds(lambda d, t: d["x"].of(t), DIMENSIONS, texts),
        st.builds(lambda t: category(t, ["LGA", "JFK"]), texts),
        st.builds(haversine_km, numbers, numbers, numbers, numbers),
    )
)
OTHERWISE = st.sampled_from([None, -1.0, 3.25])
ARITHMETIC = st.sampled_from(
    [
        lambda x, y: x + y,
        lambda x, y: x - y,
        lambda x, y: x * y,
        lambda x, y: x / y,
        minimum,
        maximum,
    ]
)
texts: st.SearchStrategy[Expression] = st.deferred(
    lambda: st.one_of(
        st.sampled_from([request("name"), request("other")]),
        st.builds(where, flags, texts, st.sampled_from(["JFK", "xyz"])),
        st.builds(coalesce, texts, texts),
        st.builds(lambda text: coalesce(text, "LGA"), texts),
        st.builds(lambda d, t: d["name"].of(t), DIMENSIONS, texts),
    )
)
times: st.SearchStrategy[Expression] = st.deferred(
    lambda: st.one_of(
        st.sampled_from([request("at"), request("until")]),
        st.builds(lambda time, duration: time - duration, times, durations),
        st.builds(lambda d, t: d["at"].of(t), DIMENSIONS, texts),
        st.builds(lambda time: time + timedelta(hours=7, microseconds=1), times),
        st.builds(lambda x, y, op: op(x, y), times, times, st.sampled_from([minimum, maximum, coalesce])),
        st.builds(lambda flag, time: where(flag, time, datetime(2013, 3, 10, 7, tzinfo=UTC)), flags, times),
    )
)
durations: st.SearchStrategy[Expression] = st.deferred(
    lambda: st.one_of(
        st.builds(lambda left, right: left - right, times, times),
        st.builds(
            lambda left, right: left - right, times, st.sampled_from([request("at"), request("until")])
        ),
        st.builds(lambda one, f: f(one), durations, st.sampled_from([abs, lambda one: -one])),
        st.builds(lambda one: one + timedelta(minutes=30), durations),
    )
)
flags: st.SearchStrategy[Expression] = st.deferred(
    lambda: st.one_of(
        st.just(request("ok")),
        st.builds(lambda d, t: d["ok"].of(t), DIMENSIONS, texts),
        st.builds(lambda x, y, op: op(x, y), numbers, numbers, COMPARISONS),
        st.builds(lambda x, y, op: op(x, y), times, times, COMPARISONS),
        st.builds(lambda x, y, op: op(x, y), durations, durations, COMPARISONS),
        st.builds(lambda x, y, op: op(x, y), texts, texts, EQUATIONS),
        st.builds(lambda x: x == "JFK", texts),
        st.builds(lambda x: x.is_in(["JFK", "été"]), texts),
        st.builds(lambda x: x.is_in([0, 1.5, -2.5]), numbers),
        st.builds(lambda x: x.cast("flag"), numbers),
        st.builds(lambda x: x.is_null(), st.one_of(numbers, texts, times, flags)),
        st.builds(lambda x: ~x, flags),
        st.builds(lambda x, y, op: op(x, y), flags, flags, LOGIC),
        st.builds(where, flags, flags, flags),
        st.builds(coalesce, flags, flags),
    )
)
EQUATIONS = st.sampled_from([lambda x, y: x == y, lambda x, y: x != y])
COMPARISONS = st.sampled_from(
    [
        lambda x, y: x == y,
        lambda x, y: x != y,
        lambda x, y: x < y,
        lambda x, y: x <= y,
        lambda x, y: x > y,
        lambda x, y: x >= y,
    ]
)
LOGIC = st.sampled_from([lambda x, y: x & y, lambda x, y: x | y])


def in_numpy(expression: Expression, rows: list[dict[str, Any]]) -> NDArray[np.float64]:
    expression.type_in(Scope({}, INPUTS, "rows", is_timed=True))
    with np.errstate(all="ignore"):
        return expression.evaluate(columns_of(rows), len(rows)).astype(np.float64)


def in_onnx(expression: Expression, rows: list[dict[str, Any]]) -> NDArray[np.float64]:
    graph = Graph()
    terms, feeds = {}, {}
    for name, kind in INPUTS.items():
        tensor = graph.input(name, DTYPES[kind], None)
        terms[name] = Term(kind, tensor.cast(np.int64) if kind is FieldType.FLAG else tensor)
        column = columns_of(rows)[name]
        feeds[name] = np.array([NULL_TEXT if v is None else v for v in column], column.dtype)
    terms[AS_OF] = terms["at"]
    n = graph.apply("Shape", terms["at"].tensor)
    made = as_numbers(export_expression(graph, expression, terms), n).unsqueezed()
    graph.output("made", made, np.float64, 1)
    opsets = [helper.make_opsetid(*opset) for opset in OPSETS.items()]
    model = helper.make_model(graph.finished("one"), opset_imports=opsets, ir_version=IR_VERSION)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (column,) = session.run(None, feeds)
    return np.asarray(column[:, 0])


def columns_of(rows: list[dict[str, Any]]) -> dict[str, NDArray[Any]]:
    columns = {name: column_of(kind, [row[name] for row in rows]) for name, kind in INPUTS.items()}
    return {**columns, AS_OF: columns["at"]}


def assert_same_bits(found: NDArray[np.float64], expected: NDArray[np.float64]) -> None:
    """Every NaN is null, whatever its bits; a zero has no sign."""
    found, expected = (np.where(np.isnan(one), np.nan, one) + 0.0 for one in (found, expected))
    np.testing.assert_array_equal(found.view(np.int64), expected.view(np.int64))


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(numbers, flags), ROWS)
def test_numpy_and_onnx_give_the_same_bits(expression: Expression, rows: list[dict[str, Any]]) -> None:
    assert_same_bits(in_onnx(expression, rows), in_numpy(expression, rows))


def test_every_operator_has_both_forms() -> None:
    assert set(EXPORTED) == set(COMPUTED)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.one_of(st.floats(-800, 800), st.floats(allow_nan=True)), min_size=1, max_size=40),
    st.lists(st.floats(-30, 30), min_size=40, max_size=40),
)
@pytest.mark.parametrize(
    "function", [exp, log, lambda x: power(x, request("y"))], ids=["exp", "log", "power"]
)
def test_exponentials_and_logarithms_differ_by_four_ulps_at_most(
    function: Any, xs: list[float], ys: list[float]
) -> None:
    nothing = dict.fromkeys(INPUTS)
    rows = [{**nothing, "x": x, "y": y} for x, y in zip(xs, ys, strict=False)]
    expression = function(request("x"))
    found, expected = in_onnx(expression, rows), in_numpy(expression, rows)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    there = ~np.isnan(expected)
    np.testing.assert_array_max_ulp(found[there], expected[there], maxulp=4)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    "part", [local_hour, local_minute_of_day, day_of_week, day_of_month, day_of_year, iso_week, month]
)
def test_calendar_parts_are_those_of_numpy_over_two_centuries(part: Any, zone: str) -> None:
    times = np.arange(-2_208_988_800, 4_102_444_800, 86_400 * 3 + 12_347, dtype=np.int64) * 1_000_000
    rows = [{**dict.fromkeys(INPUTS), "at": time} for time in times.tolist()]
    expression = part(request("at"), zone=zone)
    assert_same_bits(in_onnx(expression, rows), in_numpy(expression, rows))


GRID = [
    None,
    0.0,
    -0.0,
    0.25,
    0.5,
    -0.5,
    1.5,
    2.5,
    -2.5,
    90.5,
    -180.0,
    1e308,
    5e-324,
    -1e-310,
    np.inf,
    -np.inf,
]
DISTANCE = haversine_km(request("x"), request("y"), 40.6413, -73.7781)


@pytest.mark.parametrize(
    "expression",
    [
        *(f(request("x")) for f in (floor, ceil, round, abs, sqrt, lambda x: -x, lambda x: x.cast("flag"))),
        *(f(request("x"), request("y")) for f in (minimum, maximum, coalesce)),
        *((request("x") + request("y"), request("x") - request("y"), request("x") * request("y"))),
        *((request("x") / request("y"), request("x") < request("y"), request("x") != request("y"))),
        where(request("x") > request("y"), request("x"), request("y")),
        lookup(request("x"), {0: 1.5, -2.5: 0.1, 0.25: -0.1}, otherwise=7),
        request("x").is_in([0.0, 1.5]),
        DISTANCE,
    ],
    ids=str,
)
def test_an_operator_is_the_same_on_every_pair_of_a_grid(expression: Expression) -> None:
    rows = [{**dict.fromkeys(INPUTS), "x": x, "y": y} for x in GRID for y in GRID]
    assert_same_bits(in_onnx(expression, rows), in_numpy(expression, rows))


def test_a_sortable_integer_gives_back_the_very_number() -> None:
    rng = np.random.default_rng(2)
    bits = rng.integers(-(2**63), 2**63 - 1, 20_000)
    numbers = bits.view(np.float64)
    edges = [0.0, 5e-324, -5e-324, 2.2250738585072014e-308, -2.225073858507201e-308, 1.7976931348623157e308]
    numbers = np.concatenate([numbers[np.isfinite(numbers)], edges, np.negative(edges)])
    graph = Graph()
    graph.output("made", from_sortable(graph, graph.input("made_of", np.int64, 1)), np.float64, 1)
    opsets = [helper.make_opsetid(*opset) for opset in OPSETS.items()]
    model = helper.make_model(graph.finished("one"), opset_imports=opsets, ir_version=IR_VERSION)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    integers = np.append(sortable(numbers), NO_NUMBER)
    (found,) = session.run(None, {"made_of": integers[:, None]})
    assert np.isnan(found[-1, 0])
    assert_same_bits(found[:-1, 0], numbers)

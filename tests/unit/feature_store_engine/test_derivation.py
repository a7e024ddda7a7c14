"""What derived and opaque features are in a vector, given what became of their operands."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from feature_store import (
    Contract,
    Derived,
    Entity,
    FeatureView,
    Json,
    Label,
    Last,
    ModelSpec,
    Opaque,
    Requests,
    Source,
    Status,
    TrainingExamples,
    coalesce,
    feature_value,
    field,
    request,
)
from feature_store.aggregations import NO_NUMBER, sortable
from feature_store.tiles import EMPTY_US
from feature_store.vectors import Readings, VectorPlan

if TYPE_CHECKING:
    from feature_store.definitions import AnyFeature

NOW_US = 1_370_000_000_000_000
DAY_US = 86_400_000_000
PRESENT, MISSING, STALE, DEFAULTED = Status

readings = Source(
    "sensors.read.v1",
    format=Json({"reading": "text", "sensor": "text", "room": "text", "heat": "number", "at": "time"}),
    event_time="at",
)


class Sensor(FeatureView):
    source, entity = readings, Entity("sensor")
    heat = Last("heat", window="24h", default=-1.0)


class Room(FeatureView):
    source, entity = readings, Entity("room")
    heat = Last("heat", window="24h", default=-2.0)


SENSOR, ROOM = feature_value(Sensor.heat), feature_value(Room.heat)


def vector(
    *features: AnyFeature, sensor: float | Status, room: float | Status = 1.0, rows: int = 1
) -> tuple[list[float], list[int]]:
    """The vector where two rows say this: a number, or why there is none."""
    spec = ModelSpec(
        "comfort",
        features=features,
        label=Label("hot", source=readings, request_key="reading", value=field("heat") > 30),
        examples=TrainingExamples(
            source=readings,
            time=field("at"),
            entities={"sensor": "sensor", "room": "room"},
            context={"asked": "heat"},
        ),
        train=lambda *_: None,
    )
    plan = VectorPlan(Contract.of(spec))
    told = {"sensor": sensor, "room": room}
    said = [told[view.entity.name] for view in plan.contract.views]
    newest_us = [
        EMPTY_US if one is MISSING else NOW_US - DAY_US - 1 if one is STALE else NOW_US for one in said
    ]
    lasts = [
        NO_NUMBER if isinstance(one, Status) else int(sortable(np.array([float(one)]))[0]) for one in said
    ]
    values, statuses = plan.finish(
        Readings(np.array([newest_us] * rows), np.empty((rows, 0), np.int64), np.array([lasts] * rows)),
        Requests(np.full(rows, NOW_US), {}, {"asked": np.full(rows, 5.0)}),
        np.array([[one is not DEFAULTED for one in said]] * rows),
    )
    return values[0].tolist(), statuses[0].tolist()


TOTAL = Derived("total", SENSOR + ROOM, default=9.0)


@pytest.mark.parametrize(
    ("sensor", "room", "expected"),
    [
        (2.0, 3.0, (5.0, PRESENT)),
        (MISSING, 3.0, (9.0, MISSING)),
        (2.0, STALE, (9.0, STALE)),
        (MISSING, STALE, (9.0, STALE)),
        (DEFAULTED, STALE, (9.0, DEFAULTED)),
        (1e300, 1.0, (9.0, MISSING)),
    ],
)
def test_it_is_present_where_its_operands_are_and_else_the_worst_of_them(
    sensor: Any, room: Any, expected: tuple[float, Status]
) -> None:
    values, statuses = vector(TOTAL, sensor=sensor, room=room)
    assert (values[0], statuses[0]) == expected


def test_a_null_of_present_operands_is_missing() -> None:
    values, statuses = vector(Derived("x", SENSOR / 0), sensor=2.0)
    assert (values, statuses) == ([0.0], [MISSING])
    values, statuses = vector(Derived("x", SENSOR * 1e38), sensor=20.0)
    assert (values, statuses) == ([0.0], [MISSING])


def test_what_stands_in_for_a_missing_operand_makes_it_present() -> None:
    filled = Derived("filled", coalesce(SENSOR, ROOM, 0))
    assert vector(filled, sensor=STALE, room=3.0) == ([3.0], [PRESENT])
    assert vector(filled, sensor=STALE, room=MISSING) == ([0.0], [PRESENT])


def test_an_operand_is_null_and_not_its_default() -> None:
    assert vector(Derived("gone", SENSOR.is_null()), Sensor.heat, sensor=MISSING) == (
        [1.0, -1.0],
        [PRESENT, MISSING],
    )


def test_it_reads_the_number_before_it_is_rounded() -> None:
    difference = Derived("difference", (SENSOR - 16_777_216) * 4)
    assert vector(difference, Sensor.heat, sensor=16_777_216.25) == ([1.0, 16_777_216.0], [PRESENT, PRESENT])


def test_derived_features_read_derived_ones_in_whatever_order_they_are_listed() -> None:
    half = Derived("half", feature_value(TOTAL) / 2, default=8.0)
    quarter = Derived("quarter", feature_value(half) / request("asked"))
    assert vector(quarter, Sensor.heat, TOTAL, sensor=2.0, room=3.0) == ([0.5, 2.0, 5.0], [PRESENT] * 3)
    assert vector(quarter, Sensor.heat, half, sensor=STALE) == ([0.0, -1.0, 8.0], [STALE] * 3)


def test_a_function_is_called_once_a_batch_with_arrays_it_cannot_write_to() -> None:
    seen: list[Any] = []

    def halved(heat: Any, asked: Any) -> Any:
        seen.append((heat, asked))
        return heat / 2 + asked

    opaque = Opaque("halved", halved, {"heat": SENSOR, "asked": request("asked")}, default=4.0)
    assert vector(opaque, sensor=3.0, rows=7) == ([6.5], [PRESENT])
    ((heat, asked),) = seen
    assert heat.shape == asked.shape == (7,)
    assert not heat.flags.writeable
    assert not asked.flags.writeable
    assert vector(opaque, sensor=STALE) == ([4.0], [STALE])


def raising(x: Any) -> Any:
    raise KeyError(x[0])


@pytest.mark.parametrize(
    ("function", "status"),
    [
        (raising, DEFAULTED),
        (lambda x: x[:1], DEFAULTED),
        (lambda x: 3.0, DEFAULTED),  # noqa: ARG005
        (lambda x: [str(one) for one in x], DEFAULTED),
        (lambda x: x.fill(3), DEFAULTED),
        (lambda x: x * np.nan, MISSING),
        (lambda x: x / 0.0, MISSING),
        (lambda x: x * 1e300, MISSING),
        (lambda x: x > 0, PRESENT),
    ],
)
def test_a_function_that_fails_costs_its_own_feature_and_no_more(
    function: Any, status: Status, caplog: pytest.LogCaptureFixture
) -> None:
    opaque = Opaque("opaque", function, {"x": SENSOR}, default=1.0)
    with caplog.at_level(logging.WARNING):
        values, statuses = vector(opaque, Sensor.heat, sensor=2.0, rows=3)
    assert (values, statuses) == ([1.0, 2.0], [status, PRESENT])
    assert ("Opaque('opaque') failed" in caplog.text) == (status is DEFAULTED)

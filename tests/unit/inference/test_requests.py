"""A malformed request is refused by the name of its field."""

from dataclasses import replace

import pytest
from feature_store import FieldType
from inference.domain.errors import InvalidRequest
from inference.domain.requests import Asked, Requirements, check_requirements, check_shape, recorded_time

GOOD = Asked(
    model="m",
    entities={"origin": "JFK"},
    context={"hour": 7.0},
    request_time_us=1_000_000,
    prediction_id="p",
    request_key="r",
    recorded_time_us=1_000_000,
)
NEEDS = Requirements(entities=("origin",), inputs={"hour": FieldType.NUMBER}, sticky_entity="")
YEAR_2200_US = 7_258_118_400_000_000


def test_a_good_request_passes() -> None:
    check_shape(GOOD)
    check_requirements(GOOD, NEEDS)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"model": ""}, "model"),
        ({"model": "m" * 129}, "model"),
        ({"prediction_id": "é" * 65}, "prediction_id"),
        ({"request_key": "r" * 257}, "request_key"),
        ({"request_time_us": -1}, "request_time"),
        ({"request_time_us": YEAR_2200_US}, "request_time"),
        ({"entities": {"origin": "J" * 257}}, "entities[origin]"),
        ({"entities": {"e" * 129: "x"}}, "entities"),
        ({"context": {"c" * 129: 1.0}}, "context"),
        ({"entities": {f"e{i}": "x" for i in range(65)}}, "entities"),
        ({"context": {f"c{i}": 1.0 for i in range(65)}}, "context"),
        ({"context": {"hour": float("nan")}}, "context[hour]"),
        ({"context": {"hour": float("-inf")}}, "context[hour]"),
        ({"context": {"note": "n" * 1025}}, "context[note]"),
        ({"context": {"at": YEAR_2200_US}}, "context[at]"),
        ({"context": {"at": -1}}, "context[at]"),
    ],
)
def test_what_no_model_could_read_is_refused(change: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_shape(replace(GOOD, **change))
    assert caught.value.field == field


@pytest.mark.parametrize(
    "change",
    [
        {"prediction_id": "é" * 64},
        {"request_key": "r" * 256},
        {"request_time_us": 0},
        {"request_time_us": YEAR_2200_US - 1},
        {"context": {"flag": True, "note": "n" * 1024}},
    ],
)
def test_bounds_are_inclusive(change: dict[str, object]) -> None:
    check_shape(replace(GOOD, **change))


@pytest.mark.parametrize(
    ("change", "needs", "field"),
    [
        ({"entities": {}}, NEEDS, "entities[origin]"),
        ({"context": {}}, NEEDS, "context[hour]"),
        ({"context": {"hour": "7"}}, NEEDS, "context[hour]"),
        ({"context": {"hour": True}}, NEEDS, "context[hour]"),
        ({"context": {"hour": 7}}, NEEDS, "context[hour]"),
        ({}, replace(NEEDS, sticky_entity="user"), "entities[user]"),
        ({"entities": {"origin": ""}}, replace(NEEDS, sticky_entity="origin"), "entities[origin]"),
    ],
)
def test_what_the_model_needs_must_be_there_and_of_its_type(
    change: dict[str, object], needs: Requirements, field: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_requirements(replace(GOOD, **change), needs)
    assert caught.value.field == field


def test_an_empty_key_is_a_key_without_a_row() -> None:
    check_requirements(replace(GOOD, entities={"origin": ""}), NEEDS)


def test_a_complaint_names_its_place_in_a_batch() -> None:
    assert str(InvalidRequest("model", "is empty").within("requests[3]")) == "requests[3].model: is empty"


def test_a_replayed_prediction_is_recorded_at_its_own_time() -> None:
    assert recorded_time(request_time_us=5, now_us=1_000) == 5


def test_a_prediction_about_the_future_is_recorded_now() -> None:
    assert recorded_time(request_time_us=2_000, now_us=1_000) == 1_000

"""Reasons say what a feature was, what it usually is, and what it did."""

import numpy as np
import pytest
from feature_store import Status, Words
from feature_store.said import Said, named
from inference.domain.explanations import (
    Attribution,
    BackgroundKind,
    Explained,
    Method,
    Scale,
    Subject,
    Target,
    strongest,
)
from inference.domain.reasons import Direction, number, quantity, reasons_of

LATE = Said("late", Words("Departures from {key} ran {value} late in the last hour", "min"), ("origin",))
SHARE = Said("share", Words("{value} of the flights of {key} were late", "%"), ("carrier", "origin"))
HOUR = Said("hour", Words("It leaves at {value} hours"))


def _explained(*contributions: float) -> Explained:
    scale = Scale(0.5, 0.2, np.array(contributions))
    return Explained(
        model="flight-delay",
        version="v",
        digest="d",
        contract_hash="c",
        feature_names=("late", "share", "hour"),
        target=Target(),
        is_score=True,
        class_name="",
        background=BackgroundKind.TRAINING_SAMPLE,
        background_rows=9,
        usual=np.array([9.0, 0.125, 12.0], np.float32),
        attribution=Attribution(Method.EXACT, scale, None),
    )


def _subject(*statuses: int, **entities: str) -> Subject:
    values = np.array([34.0, 0.3333, 7.0], np.float32)
    return Subject("flight-delay", "v", values, np.array(statuses or (1, 1, 1), np.uint8), entities)


def _texts(explained: Explained, subject: Subject, each: int = 3) -> list[str]:
    found = reasons_of(explained, subject, [LATE, SHARE, HOUR], each=each, score_words="risk")
    return [reason.text for reason in found]


def test_it_says_what_was_what_is_usual_and_what_it_did() -> None:
    assert _texts(_explained(0.12, 0.0, -0.031), _subject(origin="JFK")) == [
        "Departures from JFK ran 34 min late in the last hour (usual: 9 min): raises the risk by 0.12",
        "It leaves at 7 hours (usual: 12): lowers the risk by 0.031",
    ]


def test_the_strongest_come_first_so_many_of_each_direction() -> None:
    assert strongest(np.array([0.1, -0.3, 0.2, 0.0, -0.1, 0.2]), 2) == [1, 2, 5, 4]
    assert strongest(np.array([0.0, 0.0]), 3) == []
    assert strongest(np.array([0.1, -0.1]), 0) == []


def test_equal_reasons_keep_the_order_of_the_vector() -> None:
    assert strongest(np.array([0.1, -0.1, 0.1, -0.1]), 2) == [0, 1, 2, 3]


def test_a_key_of_several_parts_is_said_whole_and_an_unknown_one_by_its_entity() -> None:
    explained = _explained(0.0, 0.5, 0.0)
    assert _texts(explained, _subject(carrier="UA", origin="JFK")) == [
        "33.3 % of the flights of UA and JFK were late (usual: 12.5 %): raises the risk by 0.5"
    ]
    assert "of this carrier and origin were late" in _texts(explained, _subject(carrier="UA"))[0]


@pytest.mark.parametrize(
    ("status", "because"),
    [
        (Status.MISSING, "not known, its default stands for it"),
        (Status.STALE, "too old, its default stands for it"),
        (Status.DEFAULTED, "not readable in time, its default stands for it"),
    ],
)
def test_what_is_no_value_of_its_own_is_said_to_be_none(status: Status, because: str) -> None:
    [text] = _texts(_explained(-0.2, 0.0, 0.0), _subject(int(status), 1, 1, origin="JFK"))
    assert f"({because}; usual: 9 min): lowers the risk by 0.2" in text


def test_directions_and_contributions_are_there_for_machines() -> None:
    [up, down] = reasons_of(
        _explained(0.12, -0.5, 0.0), _subject(), [LATE, SHARE, HOUR], each=1, score_words="score"
    )
    assert (up.feature, up.direction, up.contribution) == ("share", Direction.LOWERS, -0.5)
    assert (down.feature, down.direction) == ("late", Direction.RAISES)


def test_keys_with_braces_are_said_as_they_are() -> None:
    [text] = _texts(_explained(0.1, 0.0, 0.0), _subject(origin="{value}"))
    assert text.startswith("Departures from {value} ran 34 min late")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123456, "0.123"),
        (12345.6, "12,346"),
        (-3.0, "-3"),
        (0.0, "0"),
        (1e-9, "0.000000001"),
        (999.9, "1000"),
    ],
)
def test_numbers_are_written_for_people(value: float, text: str) -> None:
    assert number(value, 3) == text


def test_quantities_have_units_and_shares_are_per_cent() -> None:
    assert [quantity(0.5, "%"), quantity(9.0, "min"), quantity(9.0, "")] == ["50 %", "9 min", "9"]


def test_a_feature_without_words_is_called_by_its_name() -> None:
    assert (
        named("origin_departures.mean_delay_1h").words.sentence
        == "origin departures.mean delay 1h is {value}"
    )

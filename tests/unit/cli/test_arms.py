"""Arms and segments in words, and back."""

import pytest
from tidemark_cli.arms import read_arm, read_segment, segments_in_words
from tidemark_cli.failures import WrongUsage

SEGMENT = (
    "far: b=v-2:50, c=v:3:50 if entity.origin=JFK|LGA and input.distance=500..2000 "
    'and input.gift=true and input.code="7"|x and input.weight=..1.5'
)


def test_an_arm_is_a_version_and_a_share_in_percent() -> None:
    assert read_arm("green=v-2:0") == {"variant": "green", "version": "v-2", "weight_basis_points": 0}
    assert read_arm("b=v-2:12.5%")["weight_basis_points"] == 1250


@pytest.mark.parametrize(
    "told", ["b", "b=v", "=v:5", "b=:5", "b=v:", "b=v:101", "b=v:-1", "b=v:0.001", "b=v:x"]
)
def test_what_is_no_arm_is_refused(told: str) -> None:
    with pytest.raises(WrongUsage, match="--arm"):
        read_arm(told)


def test_a_segment_reads_as_it_is_written() -> None:
    read = read_segment(SEGMENT)
    assert read["conditions"] == [
        {"field": "entity", "name": "origin", "any_of": ["JFK", "LGA"]},
        {"field": "input", "name": "distance", "at_least": 500.0, "less_than": 2000.0},
        {"field": "input", "name": "gift", "any_of": [True]},
        {"field": "input", "name": "code", "any_of": ["7", "x"]},
        {"field": "input", "name": "weight", "less_than": 1.5},
    ]
    assert [(arm["variant"], arm["version"]) for arm in read["arms"]] == [("b", "v-2"), ("c", "v:3")]
    shown = {**read, "arms": [{**arm, "version": {"version": arm["version"]}} for arm in read["arms"]]}
    assert segments_in_words([shown]).partition(" if ")[2] == SEGMENT.partition(" if ")[2]


@pytest.mark.parametrize(
    "told",
    [
        "jfk",
        "jfk: b=v:100",
        "jfk: b=v:100 if origin=JFK",
        "jfk: b=v:100 if entity.origin",
        "s: b=v:1 if input.x=a..b",
    ],
)
def test_what_is_no_segment_is_refused(told: str) -> None:
    with pytest.raises(WrongUsage, match="--segment"):
        read_segment(told)

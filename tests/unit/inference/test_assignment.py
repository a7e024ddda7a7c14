"""Assignment is arithmetic that anybody can repeat; the vectors are those of docs/formats.md."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inference.domain.assignment import choose, is_logged, point
from scipy.stats import chisquare


@pytest.mark.parametrize(
    ("salt", "key", "expected"),
    [
        ("", "", 9049),
        ("salt", "JFK", 6167),
        ("salt", "LGA", 4948),
        ("a8f1", "2013-04-01-UA-1545-EWR", 1975),
        ("spring", "été", 5968),
        ("x", "y", 720),
    ],
)
def test_points_are_those_of_the_specification(salt: str, key: str, expected: int) -> None:
    assert point(salt, key) == expected


@pytest.mark.parametrize(("key", "expected"), [("2013-04-01-UA-1545-EWR", 2293), ("", 7955)])
def test_the_share_that_is_logged_is_that_of_the_specification(key: str, expected: int) -> None:
    assert point("log:flight-delay", key) == expected
    assert [is_logged("flight-delay", key, share) for share in (expected, expected + 1)] == [False, True]


def test_the_share_that_is_logged_holds_whatever_arm_answers() -> None:
    logged = [is_logged("m", f"key-{i}", 2_500) for i in range(20_000)]
    arms = [choose((5_000, 5_000), point("salt", f"key-{i}")) for i in range(20_000)]
    counts = np.bincount(2 * np.array(logged) + arms, minlength=4)
    assert chisquare(counts, [7_500, 7_500, 2_500, 2_500]).pvalue > 0.001


@given(st.text(), st.text())
def test_a_point_is_a_basis_point_and_stays(salt: str, key: str) -> None:
    assert 0 <= point(salt, key) < 10_000
    assert point(salt, key) == point(salt, key)


@pytest.mark.parametrize(("at", "arm"), [(0, 0), (8999, 0), (9000, 2), (9999, 2)])
def test_an_arm_owns_its_stretch_and_an_empty_arm_owns_none(at: int, arm: int) -> None:
    assert choose((9000, 0, 1000), at) == arm


def test_shares_follow_the_weights() -> None:
    weights = (7000, 2000, 1000)
    arms = [choose(weights, point("salt", f"key-{i}")) for i in range(20_000)]
    counts = np.bincount(arms, minlength=3)
    assert chisquare(counts, [14_000, 4_000, 2_000]).pvalue > 0.001


def test_another_salt_deals_anew() -> None:
    keys = [f"key-{i}" for i in range(10_000)]
    both = sum(point("a", key) < 5000 and point("b", key) < 5000 for key in keys)
    assert both == pytest.approx(2500, abs=150)

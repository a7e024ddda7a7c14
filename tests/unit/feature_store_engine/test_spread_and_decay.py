"""Standard deviations and decayed means, against numpy, fractions and figures worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from feature_store.aggregations import fixed, squares
from feature_store.results import Decayed, Deviation, Since
from hypothesis import given
from hypothesis import strategies as st

NOW_US = np.array([0], np.int64)


def deviation(values: list[float]) -> float:
    integers = fixed(np.array(values, np.float64))
    high, low = squares(integers)
    parts = [np.array([part], np.int64) for part in (len(values), integers.sum(), high.sum(), low.sum())]
    return float(Deviation()(parts, NOW_US)[0])


@given(st.lists(st.integers(-(2**52), 2**52), min_size=1))
def test_squares_are_exact(integers: list[int]) -> None:
    high, low = squares(np.array(integers, np.int64))
    assert [(h << 42) + lo for h, lo in zip(high.tolist(), low.tolist(), strict=True)] == [
        x * x for x in integers
    ]
    assert ((low >= 0) & (low < 2**42)).all()


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=50))
def test_a_deviation_is_numpys_of_the_same_numbers(values: list[float]) -> None:
    rounded = [round(value * 2**20) / 2**20 for value in values]
    assert deviation(values) == pytest.approx(float(np.std(rounded)), rel=1e-9, abs=1e-7)


@pytest.mark.parametrize("value", [0.1, 1e9 / 3, -(2.0**31), 2.0**31])
def test_equal_numbers_do_not_deviate_at_all(value: float) -> None:
    assert deviation([value] * 2) == 0.0


def test_a_small_spread_of_large_numbers_is_not_lost() -> None:
    assert deviation([1e9, 1e9 + 1, 1e9 + 2]) == math.sqrt(6) / 3


def test_without_numbers_there_is_no_deviation() -> None:
    for count in (0, -1):
        parts = [np.array([part], np.int64) for part in (count, 0, 0, 0)]
        assert math.isnan(Deviation()(parts, NOW_US)[0])


def test_a_decayed_mean_halves_the_weight_with_every_half_life() -> None:
    decayed = Decayed.of(tile_us=60, tiles=5, half_life_us=120)
    assert decayed.weights[::2] == pytest.approx([1.0, 0.5, 0.25])
    assert decayed.weights[1] == math.sqrt(0.5)
    sums = fixed(np.array([[10.0, 0.0, 20.0, 0.0, 0.0], [0.0] * 5]))
    counts = np.array([[1, 0, 2, 0, 0], [0] * 5])
    means = decayed([sums, counts], np.zeros(2, np.int64))
    assert means[0] == pytest.approx((10 + 0.5 * 20) / (1 + 0.5 * 2))
    assert math.isnan(means[1])


def test_the_time_since_an_event_is_told_in_its_unit_and_may_lie_ahead() -> None:
    newest_us = np.array([0, 120_000_000, np.iinfo(np.int64).min])
    since = Since(60_000_000)([newest_us], np.array([90_000_000] * 3))
    assert since[:2].tolist() == [1.5, -0.5]
    assert math.isnan(since[2])

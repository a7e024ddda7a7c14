from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from feature_store import field
from feature_store.aggregations import (
    NO_NUMBER,
    NUMBER_LIMIT,
    Accumulator,
    Kind,
    fixed,
    from_sortable,
    sortable,
    usable,
)
from hypothesis import given
from hypothesis import strategies as st

numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.floats(-NUMBER_LIMIT, NUMBER_LIMIT)))
def test_fixed_point_is_the_nearest_multiple_half_to_even(values: list[float]) -> None:
    expected = [round(Fraction(value) * 2**20) for value in values]
    assert fixed(np.array(values, np.float64)).tolist() == expected


def test_halves_go_to_the_even_neighbour() -> None:
    assert fixed(np.array([0.5, 1.5, 2.5, -0.5, -1.5]) * 2.0**-20).tolist() == [0, 2, 2, 0, -2]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, NUMBER_LIMIT * 1.0000001, -1e300])
def test_what_is_null_or_beyond_the_bounds_is_no_value(value: float) -> None:
    assert not usable(np.array([value])).any()
    assert fixed(np.array([value])).tolist() == [0]


def test_the_bound_itself_is_a_value() -> None:
    assert usable(np.array([NUMBER_LIMIT, -NUMBER_LIMIT])).all()


@given(st.lists(numbers))
def test_sortable_integers_sort_as_their_numbers_and_give_them_back(values: list[float]) -> None:
    array = np.array(values, np.float64)
    integers = sortable(array)
    assert array[np.argsort(integers, kind="stable")].tolist() == sorted(values)
    assert from_sortable(integers).tobytes() == (array + 0.0).tobytes()
    assert NO_NUMBER not in integers


def test_both_zeros_are_one() -> None:
    assert len(set(sortable(np.array([0.0, -0.0])).tolist())) == 1


def test_the_mark_of_no_number_reads_as_nan() -> None:
    assert math.isnan(from_sortable(np.array([NO_NUMBER]))[0])


COLUMNS = {"x": np.array([1.0, math.nan, -2.0, 1e12]), "late": np.array([1, 1, 0, 1], np.int8)}


@pytest.mark.parametrize(
    ("accumulator", "expected"),
    [
        (Accumulator(Kind.COUNT), [1, 1, 1, 1]),
        (Accumulator(Kind.COUNT, where=field("late")), [1, 1, 0, 1]),
        (Accumulator(Kind.COUNT, field("x")), [1, 0, 1, 0]),
        (Accumulator(Kind.SUM, field("x")), [2**20, 0, -(2**21), 0]),
        (Accumulator(Kind.SUM, field("x"), field("late")), [2**20, 0, 0, 0]),
        (Accumulator(Kind.SUM, field("late")), [2**20, 2**20, 0, 2**20]),
    ],
)
def test_an_event_brings_what_is_accumulated_where_it_takes_part(
    accumulator: Accumulator, expected: list[int]
) -> None:
    assert accumulator.contributions(COLUMNS, np.zeros(4, np.int64)).tolist() == expected


def test_a_last_keeps_numbers_of_any_size() -> None:
    brought = Accumulator(Kind.LAST, field("x"), field("late")).contributions(COLUMNS, np.zeros(4, np.int64))
    assert brought.tolist()[1:3] == [NO_NUMBER, NO_NUMBER]
    assert from_sortable(brought[[0, 3]]).tolist() == [1.0, 1e12]

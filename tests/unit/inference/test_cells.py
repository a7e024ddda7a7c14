"""Values of inference requests are read exactly, or refused by the place where they stand."""

import math

import pytest
from feature_store import FieldType
from hypothesis import given
from hypothesis import strategies as st
from inference.domain.cells import Cell, number_of, scalar_of, time_of
from inference.domain.errors import InvalidRequest

NOON_US = 1_365_000_000_000_000


@given(number=st.integers())
def test_a_whole_number_becomes_a_double_that_is_equal_to_it_or_is_refused(number: int) -> None:
    try:
        found = number_of("f", number)
    except InvalidRequest:
        assert abs(number) > 2**53
    else:
        assert math.isfinite(found)
        assert found == number


@pytest.mark.parametrize("number", [2**53 + 1, 10**400], ids=["close", "huge"])
def test_a_whole_number_that_no_double_is_equal_to_is_refused(number: int) -> None:
    with pytest.raises(InvalidRequest, match="to which no double is equal"):
        number_of("f", number)


@pytest.mark.parametrize("cell", [NOON_US, "2013-04-03T14:40:00Z", b"2013-04-03T16:40:00.000000+02:00"])
def test_a_time_is_microseconds_or_rfc_3339(cell: Cell) -> None:
    assert time_of("f", cell) == NOON_US


@pytest.mark.parametrize(
    "cell", [True, 1.5, "", "noon", "2013-04-03", "0001-01-01T00:00:00+23:59", b"\xff" * 20]
)
def test_what_is_no_time_is_refused(cell: Cell) -> None:
    with pytest.raises(InvalidRequest, match=r"^f: "):
        time_of("f", cell)


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        (FieldType.FLAG, 1),
        (FieldType.FLAG, "true"),
        (FieldType.NUMBER, True),
        (FieldType.NUMBER, "1"),
        (FieldType.TEXT, 1),
        (FieldType.TEXT, True),
        (FieldType.TIME, 1.0),
        (FieldType.TIME, False),
    ],
)
def test_nothing_is_taken_for_what_it_is_not(kind: FieldType, cell: Cell) -> None:
    with pytest.raises(InvalidRequest, match=r"^f: must be a"):
        scalar_of("f", cell, kind)


@pytest.mark.parametrize(
    ("cell", "found"), [(True, True), (3, 3.0), (0.5, 0.5), ("x", "x"), (b"\xc3\xa9", "é")]
)
def test_what_no_feature_reads_is_recorded_as_what_it_is(cell: Cell, found: object) -> None:
    scalar = scalar_of("f", cell, None)
    assert (type(scalar), scalar) == (type(found), found)

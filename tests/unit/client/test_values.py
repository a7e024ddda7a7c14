"""Python's values on the wire, and those that are refused by name."""

from __future__ import annotations

import math
import pickle
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tidemark_client import InvalidRequest, Output, Overloaded, UnexpectedStatus, UnreadableReply
from tidemark_client.scores import unpacked
from tidemark_client.values import timestamp_of, value_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(
    st.datetimes(datetime(1900, 1, 1), datetime(2300, 1, 1)),  # noqa: DTZ001 - the zone is drawn beside
    st.integers(-14 * 60, 14 * 60),
)
def test_a_moment_travels_to_the_microsecond_whatever_its_zone(naive: datetime, offset_minutes: int) -> None:
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=offset_minutes)))
    stamp = timestamp_of("t", moment)
    assert 0 <= stamp.nanos < 1_000_000_000
    assert stamp.seconds * 1_000_000 + stamp.nanos // 1_000 == (moment - EPOCH) // timedelta(microseconds=1)


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53))
def test_a_number_travels_exactly(number: float) -> None:
    assert value_of("x", number).number == number


@pytest.mark.parametrize(
    ("value", "kind", "sent"),
    [
        (True, "flag", True),
        (False, "flag", False),
        (0, "number", 0.0),
        (np.float32(0.5), "number", 0.5),
        (np.int64(7), "number", 7.0),
        ("", "text", ""),
        ("é\0🙂", "text", "é\0🙂"),
    ],
)
def test_each_type_has_its_kind(value: Any, kind: str, sent: Any) -> None:
    found = value_of("x", value)
    assert found.WhichOneof("kind") == kind
    assert getattr(found, kind) == sent


def test_a_timestamp_of_pandas_is_a_moment() -> None:
    assert value_of("x", pd.Timestamp("2026-01-02T03:04:05Z")).time.seconds == 1_767_323_045


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (math.nan, "is nan: a number must be finite"),
        (-math.inf, "is -inf: a number must be finite"),
        (2**53 + 1, "beyond 2**53"),
        (None, "is a NoneType: an input that is not known cannot be sent"),
        (date(2026, 1, 1), "is a date: give a datetime with a time zone"),
        (datetime(2026, 1, 1), "is 2026-01-01T00:00:00 without a time zone: give one"),  # noqa: DTZ001
        (Decimal(1), "is a Decimal: give a bool, a number, a str or a datetime"),
        (np.bool_(True), "is a bool: give a bool"),  # noqa: FBT003
        (b"x", "is a bytes: give"),
        ([1.0], "is a list: give"),
    ],
)
def test_what_cannot_travel_is_refused_by_name(value: Any, says: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        value_of("context[x]", value)
    assert refused.value.field == "context[x]"
    assert refused.value.problem.startswith(says) or says in refused.value.problem


def test_a_moment_beyond_the_years_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="not within the years 1 to 9999"):
        timestamp_of("request_time", datetime.max.replace(tzinfo=timezone(timedelta(hours=-14))))


def test_a_request_time_is_a_datetime() -> None:
    with pytest.raises(InvalidRequest, match="request_time: is a int: give a datetime"):
        timestamp_of("request_time", 1_365_000_000)


@pytest.mark.parametrize(
    ("datatype", "array"),
    [
        ("FP32", np.array([[1.5, -2.0], [0.25, 3.0]], "<f4")),
        ("FP64", np.array([0.1], "<f8")),
        ("INT32", np.array(-7, "<i4")),
        ("INT64", np.array([], "<i8")),
        ("BOOL", np.array([True, False])),
    ],
)
def test_an_output_is_read_as_it_was_written(datatype: str, array: Any) -> None:
    output = Output("o", datatype, array.shape, unpacked(datatype, array.tobytes(), []))
    assert list(output.values) == array.ravel().tolist()
    assert output.numpy().dtype == array.dtype
    assert output.numpy().shape == array.shape
    assert (output.numpy() == array).all()


def test_texts_are_texts() -> None:
    output = Output("o", "BYTES", (2,), unpacked("BYTES", b"", ["late", "on time"]))
    assert output.numpy().tolist() == ["late", "on time"]


@pytest.mark.parametrize(("datatype", "values"), [("FP8", b"x"), ("FP32", b"123"), ("", b"")])
def test_an_output_that_makes_no_sense_is_refused(datatype: str, values: bytes) -> None:
    with pytest.raises(UnreadableReply):
        unpacked(datatype, values, [])


@pytest.mark.parametrize(
    "error", [InvalidRequest("f", "p"), Overloaded("busy", 1.5), UnexpectedStatus("ABORTED", "why")]
)
def test_errors_travel_between_processes(error: Any) -> None:
    told = error.about("p1")
    again = pickle.loads(pickle.dumps(told))
    assert (str(again), again.__dict__) == (str(error), told.__dict__)
    assert error.prediction_id is None

"""What a server says of a row, as an error, whatever it says."""

from __future__ import annotations

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tidemark_client import (
    DeadlineExceeded,
    InvalidRequest,
    NoScore,
    NotReady,
    Overloaded,
    TidemarkError,
    UnexpectedStatus,
    UnknownModel,
)
from tidemark_client.statuses import error_of_row


@settings(max_examples=50)
@given(st.integers(-5, 40), st.text(alphabet="ab[]:. \n", max_size=30))
def test_whatever_a_row_says_is_an_error_that_says_it(code: int, message: str) -> None:
    error = error_of_row(code, message)
    assert isinstance(error, TidemarkError)
    assert message in str(error)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (3, InvalidRequest),
        (4, DeadlineExceeded),
        (5, UnknownModel),
        (8, Overloaded),
        (13, NoScore),
        (14, NotReady),
        (7, UnexpectedStatus),
        (99, UnexpectedStatus),
    ],
)
def test_each_status_has_its_type(code: int, kind: type) -> None:
    assert type(error_of_row(code, "why")) is kind


@pytest.mark.parametrize(
    ("message", "field", "problem"),
    [
        ("requests[3].entities[a b]: is missing: x: y", "entities[a b]", "is missing: x: y"),
        ("requests[3].context[x].time: is\nnone", "context[x].time", "is\nnone"),
        ("model: is empty", "model", "is empty"),
        ("a message without a field", "", "a message without a field"),
        ("two words: are no field", "", "two words: are no field"),
    ],
)
def test_the_field_is_that_of_the_row(message: str, field: str, problem: str) -> None:
    error = error_of_row(grpc.StatusCode.INVALID_ARGUMENT.value[0], message)
    assert isinstance(error, InvalidRequest)
    assert (error.field, error.problem) == (field, problem)

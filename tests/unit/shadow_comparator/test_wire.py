from __future__ import annotations

import string
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shadow_comparator.adapters import codec, wire
from shadow_comparator.domain.facts import Outcome, Prediction, Resolved, Role
from shadow_comparator.domain.windows import Answer
from shadow_comparator.ports import UnreadableFact
from shadow_comparator.testing import POLICIES, TOPICS, outcome, prediction
from tidemark.scoring.v1.prediction_pb2 import PredictionMade, PredictionResolved

if TYPE_CHECKING:
    from collections.abc import Callable

    from bus.received import Received


MODELS = POLICIES.models
_TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
_TIME_US = st.integers(0, 4_000_000_000_000_000)
_PREDICTIONS = st.builds(
    Prediction,
    prediction_id=_TEXT,
    request_key=_TEXT,
    label=_TEXT | st.just(""),
    model=_TEXT,
    version=_TEXT,
    variant=_TEXT,
    role=st.sampled_from(Role),
    score=st.floats(allow_nan=False, allow_infinity=False),
    request_time_us=_TIME_US,
    entities=st.dictionaries(_TEXT, _TEXT, max_size=3),
    traceparent=st.none() | st.text(string.hexdigits + "-", min_size=1, max_size=55),
    segment=_TEXT | st.just(""),
    probabilities=st.lists(st.floats(0, 1), max_size=4).map(lambda row: np.array(row, "<f8").tobytes()),
)
_OUTCOMES = st.builds(
    Outcome,
    label=_TEXT,
    request_key=_TEXT,
    value=st.floats(allow_nan=False, allow_infinity=False),
    revision=st.integers(0, 2**40),
    time_us=_TIME_US,
    recorded_time_us=_TIME_US,
)


@given(_PREDICTIONS)
def test_an_answer_survives_being_kept(given_prediction: Prediction) -> None:
    assert codec.prediction_of(codec.prediction_bytes(given_prediction)) == given_prediction


@given(_OUTCOMES)
def test_an_outcome_survives_being_kept(given_outcome: Outcome) -> None:
    kept = codec.outcome_bytes(given_outcome)
    read = codec.outcome_of(given_outcome.label, given_outcome.request_key, given_outcome.revision, kept)
    assert read == given_outcome


@given(
    _TEXT,
    _TEXT,
    st.sampled_from(Role),
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(
        st.floats(allow_nan=False, allow_infinity=False) | st.floats(width=32, allow_nan=False), max_size=4
    ),
)
def test_an_answer_of_a_window_survives_being_kept(
    request: str, version: str, role: Role, score: float, numbers: list[float]
) -> None:
    answer = Answer(request, version, role, score, np.array(numbers, "<f8").tobytes())
    assert codec.answer_of(codec.identity(request, version), codec.answer_bytes(answer)) == answer


@given(st.tuples(_TEXT, _TEXT), st.tuples(_TEXT, _TEXT))
def test_different_identities_never_read_alike(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert codec.identity_parts(codec.identity(*one)) == one
    assert (codec.identity(*one) == codec.identity(*other)) == (one == other)


@given(_PREDICTIONS, _OUTCOMES)
def test_what_is_told_is_what_met(given_prediction: Prediction, given_outcome: Outcome) -> None:
    event = wire.resolved_event(Resolved(given_prediction, given_outcome))
    message = PredictionResolved.FromString(event.data)
    told = wire.answered(message, event.traceparent)
    assert told == given_prediction
    assert (message.outcome, message.outcome_revision) == (given_outcome.value, given_outcome.revision)
    assert message.outcome_time.ToMicroseconds() == given_outcome.time_us == event.time_us
    assert (
        message.outcome_recorded_time.ToMicroseconds()
        == given_outcome.recorded_time_us
        == event.recorded_time_us
    )
    assert event.id == f"{given_prediction.prediction_id}:{given_prediction.version}:{given_outcome.revision}"
    assert event.key.decode() == given_prediction.request_key


def test_an_event_is_read_as_what_its_topic_holds() -> None:
    read = wire.reader(TOPICS.outcomes, MODELS)
    found = read(prediction("k", score=0.25, shadow=True))
    assert isinstance(found, Prediction)
    assert (found.role, found.version, found.score, found.request_key) == (Role.SHADOW, "b", 0.25, "k")
    told = read(outcome("k", 1.0, revision=2, hours=5))
    assert told == Outcome("late", "k", 1.0, 2, 18_000_000_000, 18_000_000_007)


def _changed(received: Received, data: bytes) -> Received:
    return replace(received, event=replace(received.event, data=data))


def _read(received: Received) -> Prediction | Outcome:
    return wire.reader(TOPICS.outcomes, MODELS)(received)


def _without(field: str) -> Callable[[PredictionMade], None]:
    return lambda message: message.ClearField(field)  # type: ignore[arg-type] # any field's name


@pytest.mark.parametrize(
    ("change", "reason", "detail"),
    [
        (_without("prediction_id"), "MISSING_FIELD", "PredictionMade.prediction_id is empty"),
        (_without("request_key"), "MISSING_FIELD", "PredictionMade.request_key is empty"),
        (_without("model"), "MISSING_FIELD", "PredictionMade.model is empty"),
        (_without("version"), "MISSING_FIELD", "PredictionMade.version is empty"),
        (_without("role"), "MISSING_FIELD", "PredictionMade.role is empty"),
        (_without("request_time"), "MISSING_FIELD", "PredictionMade.request_time is absent"),
        (lambda message: setattr(message, "score", 1.5), "NOT_A_PROBABILITY", "1.5"),
        (lambda message: setattr(message, "score", float("nan")), "NOT_A_PROBABILITY", "nan"),
        (lambda message: setattr(message, "role", 9), "UNKNOWN_ROLE", "9"),
    ],
)
def test_an_answer_that_cannot_be_joined_is_named(
    change: Callable[[PredictionMade], Any], reason: str, detail: str
) -> None:
    received = prediction("k")
    message = PredictionMade.FromString(received.event.data)
    change(message)
    with pytest.raises(UnreadableFact, match=detail) as wrong:
        wire.reader(TOPICS.outcomes, MODELS)(_changed(received, message.SerializeToString()))
    assert wrong.value.reason == reason


@pytest.mark.parametrize("value", [0.5, 2.0, -1.0, float("nan"), float("inf")])
def test_an_outcome_that_is_not_binary_is_named(value: float) -> None:
    with pytest.raises(UnreadableFact, match="0 or 1 at 0 or more expected"):
        _read(outcome("k", value))
    with pytest.raises(UnreadableFact, match="at revision -1"):
        _read(outcome("k", 1.0, revision=-1))


@pytest.mark.parametrize("name", ["label", "request_key"])
def test_an_outcome_of_nothing_is_named(name: str) -> None:
    received = outcome("" if name == "request_key" else "k", 1.0, label="" if name == "label" else "late")
    with pytest.raises(UnreadableFact, match=f"OutcomeObserved.{name} is empty"):
        _read(received)


@pytest.mark.parametrize("received", [prediction("k"), outcome("k", 1.0)])
def test_bytes_that_are_no_message_are_named(received: Received) -> None:
    with pytest.raises(UnreadableFact) as wrong:
        _read(_changed(received, b"\xff\xff\xff"))
    assert wrong.value.reason == "MALFORMED_PAYLOAD"

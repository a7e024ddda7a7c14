"""Whose events count for nothing: what was recorded of an erased subject up to its time, and nothing else."""

import json

import pytest
from feature_store import EventBatch, Incoming, Json, Pseudonyms, Source, decode_events
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from privacy.erased import ErasedSubjects, Erasure, UnknownSecret
from tidemark.scoring.v1.prediction_pb2 import PredictionResolved

NAMES = Pseudonyms(b"a secret of sixteen bytes or more")
ORDERS = Source("orders.v1", Json({"customer": "text", "payer": "text"}), event_time=None)
NAMING = {"customer": {"orders.v1": frozenset({"customer", "payer"})}}


def erasure(key: str, until_us: int, names: Pseudonyms = NAMES) -> Erasure:
    return Erasure(f"e-{key}", "customer", names.subject("customer", key), names.key_id, until_us)


def batch(*events: tuple[str | None, str | None, int]) -> EventBatch:
    """Return events: customer, payer, recorded time."""
    values = [json.dumps({"customer": one, "payer": other}).encode() for one, other, _ in events]
    times = [time_us for _, _, time_us in events]
    count = len(events)
    found, rejects = decode_events(
        ORDERS,
        Incoming(values, ["i"] * count, [b""] * count, times, times, [0] * count, list(range(count))),
    )
    assert not rejects
    return found


def subjects(*erasures: Erasure, names: Pseudonyms | None = NAMES) -> ErasedSubjects:
    found = ErasedSubjects(NAMING, names)
    for one in erasures:
        found.add(one)
    return found


def test_an_event_is_erased_by_any_field_that_names_the_subject_up_to_its_time() -> None:
    events = batch(("ann", None, 10), ("bob", "ann", 10), ("ann", "ann", 11), ("bob", None, 1), (None, "", 1))
    assert subjects(erasure("ann", 10)).among(events).tolist() == [True, True, False, False, False]
    assert subjects().without(events) is events


def test_the_later_of_two_erasures_counts_whichever_comes_first() -> None:
    events = batch(("ann", None, 10), ("ann", None, 20), ("ann", None, 21))
    for order in ((10, 20), (20, 10)):
        found = subjects(*(erasure("ann", until_us) for until_us in order))
        assert found.among(events).tolist() == [True, True, False]
        assert len(found) == 1


keys = st.sampled_from(["ann", "bob", "cid", "", None])


@given(
    st.lists(st.tuples(keys, keys, st.integers(0, 9)), min_size=1),
    st.lists(st.tuples(st.sampled_from(["ann", "bob"]), st.integers(0, 9))),
)
def test_it_is_as_reckoned_event_by_event(
    events: list[tuple[str | None, str | None, int]], erased: list[tuple[str, int]]
) -> None:
    until = {key: max(time for name, time in erased if name == key) for key, _ in erased}
    expected = [
        any(key in until and recorded <= until[key] for key in (one, other) if key)
        for one, other, recorded in events
    ]
    found = subjects(*(erasure(*one) for one in erased))
    assert found.among(batch(*events)).tolist() == expected
    assert len(found.without(batch(*events))) == expected.count(False)


def test_a_request_concerns_a_subject_up_to_its_time_and_is_of_it_for_ever() -> None:
    found = subjects(erasure("ann", 10))
    assert found.concerns({"shop": "x", "customer": "ann"}, 10)
    assert not found.concerns({"customer": "ann"}, 11)
    assert not found.concerns({"shop": "ann"}, 1)
    assert found.ever({"customer": "ann"})
    assert not found.ever({"customer": "bob"})


def test_a_prediction_of_before_is_erased_though_it_is_resolved_after() -> None:
    found = subjects(erasure("ann", 10_000_000))
    made = PredictionResolved(entities={"customer": "ann"}, request_time=Timestamp(seconds=9))
    assert found.concerns_fact(made, 20_000_000)
    made.request_time.seconds = 11
    assert not found.concerns_fact(made, 20_000_000)


def test_a_payload_that_fails_the_checks_is_recognised_too() -> None:
    found = subjects(erasure("ann", 10))
    assert found.in_payload(ORDERS, b'{"customer": "ann", "payer": 7}', 10, NAMES)
    assert not found.in_payload(ORDERS, b'{"customer": "ann", "payer": 7}', 11, NAMES)
    assert not found.in_payload(ORDERS, b"no JSON", 10, NAMES)


@pytest.mark.parametrize("names", [None, Pseudonyms(b"another secret of the right length")])
def test_an_erasure_by_another_secret_is_refused_by_name(names: Pseudonyms | None) -> None:
    with pytest.raises(UnknownSecret, match=f"hashed with the secret {NAMES.key_id}"):
        subjects(erasure("ann", 10), names=names)

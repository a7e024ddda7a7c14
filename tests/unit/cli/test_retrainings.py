"""What became of a retraining, from all that was said of it."""

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from tidemark.retraining.v1.retrain_pb2 import (
    RetrainApproved,
    RetrainRefusal,
    RetrainRefused,
    RetrainRequested,
)
from tidemark_cli.retrainings import Said, stories


def day(number: int) -> Timestamp:
    return Timestamp(seconds=number * 86_400)


def requested(name: str, number: int) -> RetrainRequested:
    return RetrainRequested(
        request_id=name, model="late", policy="drift", reason="It drifts.", requested_at=day(number)
    )


def told(said: Said) -> list[tuple[Any, ...]]:
    return [(one["request_id"], one["state"], one["reason"]) for one in stories(said)]


def test_a_request_is_what_was_last_said_of_it_and_the_latest_comes_first() -> None:
    asked = [requested("a", 1), requested("b", 3), requested("c", 2)]
    approved = RetrainApproved(request_id="a", model="late", approved_by="ann", approved_at=day(5))
    expired = RetrainRefused(
        request_id="c",
        model="late",
        refusal=RetrainRefusal.RETRAIN_REFUSAL_EXPIRED,
        reason="Nobody decided.",
        refused_at=day(4),
    )
    assert told(Said(asked, [approved], [expired])) == [
        ("a", "approved", "It drifts."),
        ("c", "expired", "Nobody decided."),
        ("b", "requested", "It drifts."),
    ]
    assert stories(Said(asked, [approved], []))[0]["decided_by"] == "ann"


def test_what_was_vetoed_before_it_was_asked_for_has_no_id_and_counts_once() -> None:
    vetoed = [
        RetrainRefused(
            model="late",
            policy="half-yearly",
            refusal=RetrainRefusal.RETRAIN_REFUSAL_VETOED,
            reason="input-quality was breached.",
            refused_at=day(number),
        )
        for number in (1, 1, 2)
    ]
    assert told(Said([], [], vetoed)) == [(None, "vetoed", "input-quality was breached.")] * 2


def test_repeats_change_nothing() -> None:
    one = requested("a", 1)
    assert told(Said([one, one], [], [])) == [("a", "requested", "It drifts.")]


def test_a_decision_whose_request_is_no_longer_held_is_told_all_the_same() -> None:
    approved = RetrainApproved(request_id="a", model="late", policy="drift", approved_at=day(5))
    [story] = stories(Said([], [approved], []))
    assert (story["request_id"], story["policy"], story["state"]) == ("a", "drift", "approved")

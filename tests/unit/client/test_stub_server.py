"""The stand-in that callers use in their own tests."""

from __future__ import annotations

from datetime import UTC, datetime

import grpc
import pytest
from tidemark_client import Client, FeatureStatus, NotReady, Outcome, Score, ScoringRequest, UnknownModel
from tidemark_client.testing import StubServer

AT = datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=UTC)


def test_it_answers_what_it_was_told_and_keeps_what_it_was_asked() -> None:
    with StubServer() as stub, Client(stub.address, feature_address=stub.address, timeout_s=5) as client:
        stub.answer("fixed", 0.7)
        stub.answer("by-fare", lambda request: float(request.context["fare"]) / 100)  # type: ignore[arg-type]
        asked = ScoringRequest(
            "by-fare",
            {"user": "ann"},
            {"fare": 25.0, "gift": True, "channel": "web", "at": AT},
            AT,
            "p1",
            "k1",
            explain=True,
        )
        score = client.score("fixed", {"user": "ann"})
        many = client.score_many([asked, ScoringRequest("unheard")])
        streamed = list(client.score_stream([asked]))
        assert score.score == 0.7
        assert isinstance(many[0], Score)
        assert many[0].score == 0.25
        assert isinstance(many[1], UnknownModel)
        assert streamed == [many[0]]
        assert stub.requests[1] == asked
        assert client.is_ready()


def test_it_keeps_outcomes_and_answers_features() -> None:
    with StubServer() as stub, Client(stub.address, feature_address=stub.address, timeout_s=5) as client:
        client.report_outcome("k1", 1, label="late", revision=2, outcome_time=AT)
        assert stub.outcomes == [Outcome("late", "k1", 1.0, 2, AT)]
        stub.features({"v.a": 1.5})
        found = client.get_features(features=["v.a", "v.b"])
        assert [(one.name, one.value, one.status) for one in found.features] == [
            ("v.a", 1.5, FeatureStatus.PRESENT),
            ("v.b", 0.0, FeatureStatus.MISSING),
        ]
        assert client.get_features(model="any").values == {"v.a": 1.5}


def test_it_fails_as_it_is_told() -> None:
    with StubServer() as stub, Client(stub.address, timeout_s=5) as client:
        stub.answer("m", 0.5)
        stub.fail(grpc.StatusCode.UNAVAILABLE)
        assert client.score("m").score == 0.5  # asked again
        stub.fail(grpc.StatusCode.UNAVAILABLE, "down", times=20)
        with pytest.raises(NotReady, match="down"):
            client.score("m")
    with Client(stub.address, timeout_s=5) as client, pytest.raises(NotReady):
        client.score("m")

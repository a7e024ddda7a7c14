"""A stand-in for Tidemark in the unit tests of those who call it: it answers what a test tells it to.

It checks little and knows no features; whether a real server would accept a request, only a real one says.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tidemark.features.v1 import feature_service_pb2 as features_pb
from tidemark.features.v1 import feature_service_pb2_grpc as features_grpc
from tidemark.outcomes.v1 import outcome_service_pb2 as outcomes_pb
from tidemark.outcomes.v1 import outcome_service_pb2_grpc as outcomes_grpc
from tidemark.scoring.v1 import scoring_service_pb2 as scoring_pb
from tidemark.scoring.v1 import scoring_service_pb2_grpc as scoring_grpc

from tidemark_client.requests import Outcome, ScoringRequest
from tidemark_client.scores import FeatureStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from google.protobuf.timestamp_pb2 import Timestamp
    from tidemark.common.v1.value_pb2 import Value

    from tidemark_client.values import Scalar

    Scores = Callable[[ScoringRequest], float]

_THREADS = 8


class StubServer:
    """Answers scores, features and outcomes on a free port of this machine, until it is closed.

    ```python
    with StubServer() as stub, Client(stub.address, feature_address=stub.address) as client:
        stub.answer("flight-delay", 0.7)
        assert decide(client) == "rebook"
        assert stub.requests[0].entities["origin"] == "JFK"
    ```

    Attributes:
        address: Where it listens.
        requests: Every request for a score, in the order of arrival.
        outcomes: Every outcome that was reported.
    """

    def __init__(self) -> None:
        self.requests: list[ScoringRequest] = []
        self.outcomes: list[Outcome] = []
        self._scores: dict[str, Scores] = {}
        self._features: dict[str, float] = {}
        self._failures: deque[tuple[grpc.StatusCode, str]] = deque()
        self._server = grpc.server(ThreadPoolExecutor(_THREADS, "tidemark-stub"))
        doors = _Doors(self)
        scoring_grpc.add_ScoringServiceServicer_to_server(doors, self._server)
        features_grpc.add_FeatureServiceServicer_to_server(doors, self._server)
        outcomes_grpc.add_OutcomeServiceServicer_to_server(doors, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(doors, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening."""
        self._server.stop(None).wait()

    def answer(self, model: str, score: float | Scores) -> None:
        """Answer requests for a model with a score, or with what a function makes of each."""
        self._scores[model] = score if callable(score) else lambda _: score

    def features(self, features: Mapping[str, float]) -> None:
        """Answer questions about features with these, by full name; others are MISSING and 0."""
        self._features.update(features)

    def fail(self, code: grpc.StatusCode, message: str = "as the test wants it", *, times: int = 1) -> None:
        """Refuse the next calls, a batch being one.

        Clients ask again after UNAVAILABLE and RESOURCE_EXHAUSTED, within their budget: `times` must
        outnumber their attempts.
        """
        self._failures.extend([(code, message)] * times)

    def refuse_if_told(self, context: grpc.ServicerContext) -> None:
        """End a call here if a test wants it to fail."""
        if self._failures:
            context.abort(*self._failures.popleft())

    def scored(self, message: scoring_pb.ScoreRequest) -> scoring_pb.ScoreResult:
        """Answer one request."""
        request = _request_of(message)
        self.requests.append(request)
        if request.model not in self._scores:
            told = f"model {request.model!r} has no route: tell the stub with answer({request.model!r}, ...)"
            return scoring_pb.ScoreResult(
                error=scoring_pb.ScoreError(code=grpc.StatusCode.NOT_FOUND.value[0], message=told)
            )
        return scoring_pb.ScoreResult(
            response=scoring_pb.ScoreResponse(
                prediction_id=message.prediction_id,
                score=self._scores[request.model](request),
                model=request.model,
                version="stub",
                variant="champion",
            )
        )

    def feature(self, name: str) -> features_pb.Feature:
        """Answer one feature."""
        status = FeatureStatus.PRESENT if name in self._features else FeatureStatus.MISSING
        value: Any = status.value
        return features_pb.Feature(name=name, value=self._features.get(name, 0.0), status=value)

    @property
    def feature_names(self) -> list[str]:
        """Those that a test gave: what any model is taken to read."""
        return list(self._features)


class _Doors(  # the methods have gRPC's names
    scoring_grpc.ScoringServiceServicer,
    features_grpc.FeatureServiceServicer,
    outcomes_grpc.OutcomeServiceServicer,
    health_pb2_grpc.HealthServicer,  # type: ignore[misc] # has no types
):
    """The stub's methods as gRPC calls them."""

    def __init__(self, stub: StubServer) -> None:
        self._stub = stub

    def Score(self, request: Any, context: Any) -> scoring_pb.ScoreResponse:  # noqa: N802
        self._stub.refuse_if_told(context)
        result = self._stub.scored(request)
        if result.HasField("error"):
            context.abort(grpc.StatusCode.NOT_FOUND, result.error.message)
        return result.response

    def ScoreBatch(self, request: Any, context: Any) -> scoring_pb.ScoreBatchResponse:  # noqa: N802
        self._stub.refuse_if_told(context)
        return scoring_pb.ScoreBatchResponse(results=map(self._stub.scored, request.requests))

    def ScoreStream(  # noqa: N802
        self, request_iterator: Iterator[scoring_pb.ScoreStreamRequest], context: Any
    ) -> Iterator[scoring_pb.ScoreStreamResponse]:
        for request in request_iterator:
            self._stub.refuse_if_told(context)
            yield scoring_pb.ScoreStreamResponse(results=map(self._stub.scored, request.requests))

    def Get(self, request: features_pb.GetRequest, context: Any) -> features_pb.GetResponse:  # noqa: N802
        self._stub.refuse_if_told(context)
        names = request.features.names if request.HasField("features") else self._stub.feature_names
        return features_pb.GetResponse(features=map(self._stub.feature, names))

    def Report(self, request: Any, context: Any) -> outcomes_pb.ReportResponse:  # noqa: N802
        self._stub.refuse_if_told(context)
        self._stub.outcomes.extend(map(_outcome_of, request.outcomes))
        return outcomes_pb.ReportResponse()

    def Check(self, request: Any, context: Any) -> health_pb2.HealthCheckResponse:  # noqa: ARG002, N802
        self._stub.refuse_if_told(context)
        return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)


def _request_of(message: scoring_pb.ScoreRequest) -> ScoringRequest:
    return ScoringRequest(
        message.model,
        dict(message.entities),
        {name: _scalar(value) for name, value in message.context.items()},
        _moment(message.request_time) if message.HasField("request_time") else None,
        message.prediction_id,
        message.request_key or None,
        message.explain_features,
    )


def _outcome_of(message: outcomes_pb.ReportedOutcome) -> Outcome:
    return Outcome(
        message.label,
        message.request_key,
        message.value,
        message.revision,
        _moment(message.outcome_time) if message.HasField("outcome_time") else None,
        _moment(message.recorded_time) if message.HasField("recorded_time") else None,
    )


def _scalar(value: Value) -> Scalar:
    match value.WhichOneof("kind"):
        case "time":
            return _moment(value.time)
        case "text":
            return value.text
        case "flag":
            return value.flag
        case _:
            return value.number


def _moment(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)

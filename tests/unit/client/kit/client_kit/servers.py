"""A server that notes every attempt and fails as it is told; in threads, so that either client may wait."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import grpc
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tidemark.features.v1 import feature_service_pb2 as features_pb
from tidemark.features.v1 import feature_service_pb2_grpc as features_grpc
from tidemark.outcomes.v1 import outcome_service_pb2 as outcomes_pb
from tidemark.outcomes.v1 import outcome_service_pb2_grpc as outcomes_grpc
from tidemark.scoring.v1 import scoring_service_pb2 as pb
from tidemark.scoring.v1 import scoring_service_pb2_grpc as pb_grpc

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True)
class Refusal:
    """How an attempt fails.

    Attributes:
        details: The bytes of `grpc-status-details-bin`; made of `retry_after_s` when left out.
    """

    code: grpc.StatusCode
    message: str = "no"
    retry_after_s: float | None = None
    details: bytes | None = None

    def end(self, context: grpc.ServicerContext) -> None:
        details = self.details
        if self.retry_after_s is not None:
            info = RetryInfo()
            info.retry_delay.FromNanoseconds(int(self.retry_after_s * 1e9))
            status = Status(code=self.code.value[0], message=self.message)
            status.details.add().Pack(info)
            details = status.SerializeToString()
        if details is not None:
            context.set_trailing_metadata((("grpc-status-details-bin", details),))
        context.abort(self.code, self.message)


@dataclass(frozen=True)
class Attempt:
    """What arrived."""

    method: str
    message: Any
    metadata: dict[str, str]
    time_left_s: float


class ScriptedServer(
    pb_grpc.ScoringServiceServicer,
    features_grpc.FeatureServiceServicer,
    outcomes_grpc.OutcomeServiceServicer,
    health_pb2_grpc.HealthServicer,
):
    """Fails attempts as `script` says, one after the other, and answers those beyond.

    A score is the number in `context["x"]`; a request without it is refused, as INVALID_ARGUMENT names it.

    Attributes:
        script: None answers.
        held: While it is clear, attempts wait.
        results_missing: So many rows are left out of each batch's answer.
    """

    def __init__(self, port: int = 0, credentials: grpc.ServerCredentials | None = None) -> None:
        self.script: deque[Refusal | None] = deque()
        self.attempts: list[Attempt] = []
        self.held = threading.Event()
        self.held.set()
        self.arrived = threading.Semaphore(0)
        self.results_missing = 0
        self.health = health_pb2.HealthCheckResponse.SERVING
        self.outputs: Sequence[Any] = ()
        self._server = grpc.server(ThreadPoolExecutor(16))
        pb_grpc.add_ScoringServiceServicer_to_server(self, self._server)
        features_grpc.add_FeatureServiceServicer_to_server(self, self._server)
        outcomes_grpc.add_OutcomeServiceServicer_to_server(self, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self, self._server)
        where = f"127.0.0.1:{port}"
        bound = (
            self._server.add_insecure_port(where)
            if credentials is None
            else self._server.add_secure_port(where, credentials)
        )
        self.address = f"127.0.0.1:{bound}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.held.set()
        self._server.stop(None).wait()

    def ids(self) -> list[str]:
        """The prediction id of each attempt to score one."""
        return [one.message.prediction_id for one in self.attempts]

    def Score(self, request: pb.ScoreRequest, context: Any) -> pb.ScoreResponse:  # noqa: N802
        self._note("Score", request, context)
        result = self._scored(request)
        if result.HasField("error"):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, result.error.message)
        return result.response

    def ScoreBatch(self, request: pb.ScoreBatchRequest, context: Any) -> pb.ScoreBatchResponse:  # noqa: N802
        self._note("ScoreBatch", request, context)
        return pb.ScoreBatchResponse(results=self._results(request.requests))

    def ScoreStream(  # noqa: N802
        self, request_iterator: Iterator[pb.ScoreStreamRequest], context: Any
    ) -> Iterator[pb.ScoreStreamResponse]:
        for request in request_iterator:
            self._note("ScoreStream", request, context)
            if not request.requests:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "requests: has no entries")
            yield pb.ScoreStreamResponse(results=self._results(request.requests))

    def Get(self, request: features_pb.GetRequest, context: Any) -> features_pb.GetResponse:  # noqa: N802
        self._note("Get", request, context)
        return features_pb.GetResponse(
            contract_hash=b"hash",
            features=[features_pb.Feature(name=name, value=1.5, status=1) for name in request.features.names],
            views=[
                features_pb.ViewAge(view="known", age_seconds=2.0, version="v1", complete=True),
                features_pb.ViewAge(view="unknown", version="v1"),
            ],
        )

    def Report(self, request: outcomes_pb.ReportRequest, context: Any) -> outcomes_pb.ReportResponse:  # noqa: N802
        self._note("Report", request, context)
        return outcomes_pb.ReportResponse()

    def Check(self, request: Any, context: Any) -> health_pb2.HealthCheckResponse:  # noqa: N802
        self._note("Check", request, context)
        return health_pb2.HealthCheckResponse(status=self.health)

    def _note(self, method: str, message: Any, context: Any) -> None:
        metadata = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        self.attempts.append(Attempt(method, message, metadata, context.time_remaining()))
        self.arrived.release()
        self.held.wait()
        refusal = self.script.popleft() if self.script else None
        if refusal is not None:
            refusal.end(context)

    def _results(self, requests: Sequence[pb.ScoreRequest]) -> list[pb.ScoreResult]:
        results = []
        for index, request in enumerate(requests):
            result = self._scored(request)
            if result.HasField("error"):
                result.error.message = f"requests[{index}].{result.error.message}"
            results.append(result)
        return results[: len(results) - self.results_missing]

    def _scored(self, request: pb.ScoreRequest) -> pb.ScoreResult:
        if "x" not in request.context:
            return pb.ScoreResult(error=pb.ScoreError(code=3, message="context[x]: is missing: read by all"))
        return pb.ScoreResult(
            response=pb.ScoreResponse(
                prediction_id=request.prediction_id,
                score=request.context["x"].number,
                model=request.model,
                version="1",
                variant="champion",
                feature_statuses=[1, 2, 77],
                features=[pb.FeatureValue(name="x", value=2.0, status=1)] if request.explain_features else [],
                outputs=self.outputs,
            )
        )

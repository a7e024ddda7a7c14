"""The client that waits."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self, TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tidemark.features.v1.feature_service_pb2_grpc import FeatureServiceStub
from tidemark.outcomes.v1.outcome_service_pb2_grpc import OutcomeServiceStub
from tidemark.scoring.v1.scoring_service_pb2 import ScoreBatchRequest
from tidemark.scoring.v1.scoring_service_pb2_grpc import ScoringServiceStub

from tidemark_client.batches import BATCH_ROWS, IN_FLIGHT, OUTCOMES_AT_ONCE, check_sizes, rows_of, split
from tidemark_client.calling import Caller
from tidemark_client.connecting import Connection, target_of
from tidemark_client.errors import DeadlineExceeded, NotReady, TidemarkError
from tidemark_client.requests import Outcome, ScoringRequest
from tidemark_client.scores import Score
from tidemark_client.streaming import Conversation, Stream
from tidemark_client.wire import features_of, features_request, report_requests, score_of, score_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from tidemark_client.batches import Answer, Batch
    from tidemark_client.calling import Call, CallRecord
    from tidemark_client.retrying import Retries
    from tidemark_client.scores import Features
    from tidemark_client.values import Scalar

_Asked = TypeVar("_Asked")
_Reply = TypeVar("_Reply")


class Client:
    """Asks for scores and features, and reports outcomes. Threads may share it; close it when done.

    Every call ends within its timeout, with an answer or a `TidemarkError`. Where asking again can help, that
    is done within the same timeout and a budget (`Retries`); a score keeps its prediction id, so that it
    counts once.

    Make it after a fork: connections do not survive one, and a client from before says so.

    Args:
        address: host:port of `inference`; calls go in turn to every address that the name resolves to. Or a
            list of ip:port.
        feature_address: As much of `feature`, for `get_features` and `report_outcome`.
        timeout_s: Of a call that names none.
        retries: How to ask again; None for the defaults.
        connection: TLS, metadata, keepalive; None for the defaults.
        on_call: Told of every call when it has ended. It must not wait.
    """

    def __init__(
        self,
        address: str | Sequence[str],
        *,
        feature_address: str | Sequence[str] | None = None,
        timeout_s: float = 1.0,
        retries: Retries | None = None,
        connection: Connection | None = None,
        on_call: Callable[[CallRecord], None] | None = None,
    ) -> None:
        connection = connection or Connection()
        self._caller = Caller(timeout_s=timeout_s, retries=retries, connection=connection, on_call=on_call)
        self._channels = [_channel(address, connection)]
        self._scoring = ScoringServiceStub(self._channels[0])
        self._health = health_pb2_grpc.HealthStub(self._channels[0])
        self._doors: tuple[OutcomeServiceStub, FeatureServiceStub] | None = None
        if feature_address is not None:
            channel = _channel(feature_address, connection)
            self._channels.append(channel)
            # Made while it is open: gRPC crashes where a method is asked of a channel that is closed.
            self._doors = OutcomeServiceStub(channel), FeatureServiceStub(channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; calls that wait end with `NotReady`."""
        self._caller.is_closed = True
        for channel in self._channels:
            channel.close()

    def score(  # noqa: PLR0913 - a request has that many fields
        self,
        model: str,
        entities: Mapping[str, str] | None = None,
        context: Mapping[str, Scalar] | None = None,
        *,
        request_time: datetime | None = None,
        prediction_id: str | None = None,
        request_key: str | None = None,
        explain: bool = False,
        timeout_s: float | None = None,
    ) -> Score:
        """Return the score of one request; see `ScoringRequest` for its fields.

        Raises:
            InvalidRequest: Naming the field that is missing or wrong.
            UnknownModel: No route names it.
            NotReady: Nobody can answer now. It may be recorded all the same: ask again under
                `error.prediction_id`.
            Overloaded: The server has too much to do; `retry_after_s` says when to come back.
            DeadlineExceeded: There was no answer within the timeout.
            TidemarkError: Anything else.
        """
        asked = ScoringRequest(
            model, entities or {}, context or {}, request_time, prediction_id, request_key, explain
        )
        message = score_request(asked, self._caller.new_id)
        try:
            return score_of(message, self._ask("Score", self._scoring.Score, message, timeout_s))
        except TidemarkError as error:
            error.prediction_id = message.prediction_id
            raise

    def score_many(
        self,
        requests: Iterable[ScoringRequest],
        *,
        timeout_s: float | None = None,
        batch_rows: int = BATCH_ROWS,
        in_flight: int = IN_FLIGHT,
    ) -> list[Answer]:
        """Return each request's score, or the error that says why it has none, in order. Raises none of them.

        Args:
            requests: Of one model or of several.
            timeout_s: Of each batch.
            batch_rows: Requests that travel together, at most 1,000.
            in_flight: Batches that are asked at once.
        """
        check_sizes(batch_rows, in_flight)
        batches = split(rows_of(requests, self._caller.new_id), batch_rows)
        with ThreadPoolExecutor(in_flight, "tidemark-client") as threads:
            found = threads.map(lambda batch: self._score_batch(batch, timeout_s), batches)
            return [answer for answers in found for answer in answers]

    def score_stream(
        self,
        requests: Iterable[ScoringRequest],
        *,
        timeout_s: float | None = None,
        batch_rows: int = BATCH_ROWS,
        in_flight: int = IN_FLIGHT,
    ) -> Iterator[Answer]:
        """Yield each request's score, or the error that says why it has none, in order, over one stream.

        For very many: requests are read as their answers are, so that neither are all in memory. Answers come
        once `in_flight` batches have been read from `requests`. A stream that breaks is opened again, and
        what was not answered is asked again under the same ids.

        Args:
            requests: Read in the thread that reads the answers.
            timeout_s: Of each wait for a batch's answer.
            batch_rows: Requests that travel together, at most 1,000.
            in_flight: Batches that are asked at once.

        Raises:
            TidemarkError: The stream cannot go on.
        """
        check_sizes(batch_rows, in_flight)

        def begin() -> Call:
            return self._caller.begin("ScoreStream", timeout_s)

        def open_stream() -> Stream:
            self._caller.demand_usable()
            try:
                return Stream(self._scoring.ScoreStream, self._caller.metadata())
            except ValueError:  # see _ask
                self._caller.demand_usable()
                raise

        batches = split(rows_of(requests, self._caller.new_id), batch_rows)
        return Conversation(open_stream, begin, in_flight).answers(batches)

    def report_outcome(
        self,
        of: Score | str,
        value: float,
        *,
        label: str,
        revision: int = 0,
        outcome_time: datetime | None = None,
        recorded_time: datetime | None = None,
        timeout_s: float | None = None,
    ) -> None:
        """Tell the truth about a request; it is in the log when this returns. See `Outcome` for the fields.

        Args:
            of: The score, or its request key: its prediction id where the request had none of its own.
            value: 0 or 1, or a bool, where the label is a condition; a class's number of many classes;
                else in the label's own unit.
            label: What the truth is of.
            revision: A later one corrects an earlier one; the same again counts once.
            outcome_time: When it was true.
            recorded_time: When it became known.
            timeout_s: The client's when left out.

        Raises:
            InvalidRequest: Naming the field that is wrong.
            UnknownName: The project has no such label.
            TidemarkError: Anything else; report the same again.
        """
        key = of.request_key if isinstance(of, Score) else of
        self.report_outcomes(
            [Outcome(label, key, value, revision, outcome_time, recorded_time)], timeout_s=timeout_s
        )

    def report_outcomes(self, outcomes: Iterable[Outcome], *, timeout_s: float | None = None) -> None:
        """Tell many truths, 1,000 a call.

        Raises:
            TidemarkError: As `report_outcome`. Those of earlier calls are told; all may be reported again.
        """
        stub, _ = self._feature_doors()
        for message in report_requests(outcomes, OUTCOMES_AT_ONCE):
            self._ask("Report", stub.Report, message, timeout_s)

    def get_features(
        self,
        *,
        model: str | None = None,
        features: Sequence[str] | None = None,
        entities: Mapping[str, str] | None = None,
        context: Mapping[str, Scalar] | None = None,
        request_time: datetime | None = None,
        timeout_s: float | None = None,
    ) -> Features:
        """Return features without a score: those of a model, or those named.

        Raises:
            InvalidRequest: Naming the field that is missing or wrong.
            UnknownName: There is no such model or feature.
            TidemarkError: Anything else.
        """
        _, stub = self._feature_doors()
        message = features_request(model, features, entities or {}, context or {}, request_time)
        return features_of(self._ask("Get", stub.Get, message, timeout_s))

    def is_ready(self, *, timeout_s: float | None = None) -> bool:
        """Tell whether a server is reached that has its models warm.

        Raises:
            TidemarkError: It answered with something else than that.
        """
        try:
            reply = self._ask(
                "Check", self._health.Check, health_pb2.HealthCheckRequest(), timeout_s, is_once=True
            )
        except (NotReady, DeadlineExceeded):
            return False
        return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)

    def _score_batch(self, batch: Batch, timeout_s: float | None) -> list[Answer]:
        if not batch.messages:
            return batch.answered([])
        message = ScoreBatchRequest(requests=batch.messages)
        try:
            reply = self._ask("ScoreBatch", self._scoring.ScoreBatch, message, timeout_s)
            return batch.answered(reply.results)
        except TidemarkError as error:
            return batch.failed(error)

    def _ask(
        self,
        name: str,
        method: grpc.UnaryUnaryMultiCallable[_Asked, _Reply],
        message: _Asked,
        timeout_s: float | None,
        *,
        is_once: bool = False,
    ) -> _Reply:
        call = self._caller.begin(name, timeout_s, is_once=is_once)
        while True:
            try:
                reply = method(message, **call.given())
            except grpc.RpcError as failed:
                time.sleep(call.wait_after(failed))
            except ValueError:  # gRPC's word for a channel that another thread has closed just now
                self._caller.demand_usable()
                raise
            else:
                call.answered()
                return reply

    def _feature_doors(self) -> tuple[OutcomeServiceStub, FeatureServiceStub]:
        if self._doors is None:
            raise ValueError("features and outcomes are feature's: give Client(..., feature_address=...)")
        return self._doors


def _channel(address: str | Sequence[str], connection: Connection) -> grpc.Channel:
    target, options = target_of(address), connection.options
    if connection.tls is None:
        return grpc.insecure_channel(target, options)
    return grpc.secure_channel(target, connection.tls.credentials, options)

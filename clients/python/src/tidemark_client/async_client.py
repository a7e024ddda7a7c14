"""The client for event loops: the surface of `Client`, awaited."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self, TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tidemark.features.v1.feature_service_pb2_grpc import FeatureServiceStub
from tidemark.outcomes.v1.outcome_service_pb2_grpc import OutcomeServiceStub
from tidemark.scoring.v1.scoring_service_pb2 import ScoreBatchRequest
from tidemark.scoring.v1.scoring_service_pb2_grpc import ScoringServiceStub

from tidemark_client.async_streaming import AsyncConversation, AsyncStream
from tidemark_client.batches import (
    BATCH_ROWS,
    IN_FLIGHT,
    OUTCOMES_AT_ONCE,
    check_sizes,
    rows_of,
    split,
    split_async,
)
from tidemark_client.calling import Caller
from tidemark_client.coalescing import Coalescer
from tidemark_client.connecting import Connection, target_of
from tidemark_client.errors import DeadlineExceeded, NotReady, TidemarkError
from tidemark_client.requests import Outcome, ScoringRequest
from tidemark_client.scores import Score
from tidemark_client.wire import features_of, features_request, report_requests, score_of, score_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from tidemark.features.v1.feature_service_pb2_grpc import FeatureServiceAsyncStub
    from tidemark.outcomes.v1.outcome_service_pb2_grpc import OutcomeServiceAsyncStub
    from tidemark.scoring.v1.scoring_service_pb2 import ScoreRequest

    from tidemark_client.batches import Answer, Batch
    from tidemark_client.calling import Call, CallRecord
    from tidemark_client.retrying import Retries
    from tidemark_client.scores import Features
    from tidemark_client.values import Scalar

_Asked = TypeVar("_Asked")
_Reply = TypeVar("_Reply")


class AsyncClient:
    """As `Client`, for one event loop: make it where the loop runs.

    Args:
        address: See `Client`.
        feature_address: See `Client`.
        timeout_s: Of a call that names none.
        retries: How to ask again; None for the defaults.
        connection: TLS, metadata, keepalive; None for the defaults.
        on_call: Told of every call when it has ended. It must not wait.
        batch: Send calls of `score` that come within `batch_window_s` of the first together, as one
            ScoreBatch: more scores a second, each a little later. An error that the server tells of one of
            them alone is then raised at once, whatever it is.
        batch_window_s: 0 for calls of the same turn of the loop.
    """

    def __init__(  # noqa: PLR0913 - as many as Client has, and how to batch
        self,
        address: str | Sequence[str],
        *,
        feature_address: str | Sequence[str] | None = None,
        timeout_s: float = 1.0,
        retries: Retries | None = None,
        connection: Connection | None = None,
        on_call: Callable[[CallRecord], None] | None = None,
        batch: bool = False,
        batch_window_s: float = 0.001,
    ) -> None:
        connection = connection or Connection()
        self._caller = Caller(timeout_s=timeout_s, retries=retries, connection=connection, on_call=on_call)
        self._timeout_s = timeout_s
        self._channels = [_channel(address, connection)]
        self._scoring = ScoringServiceStub(self._channels[0])
        self._health = health_pb2_grpc.HealthStub(self._channels[0])
        self._doors: tuple[OutcomeServiceAsyncStub, FeatureServiceAsyncStub] | None = None
        if feature_address is not None:
            channel = _channel(feature_address, connection)
            self._channels.append(channel)
            # Made while it is open: gRPC crashes where a method is asked of a channel that is closed.
            self._doors = OutcomeServiceStub(channel), FeatureServiceStub(channel)
        self._coalescer = Coalescer(self._score_batch, batch_window_s) if batch else None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """See `Client.close`. Calls that wait to be sent together are sent and answered first."""
        if self._coalescer is not None:
            await self._coalescer.close()
        self._caller.is_closed = True
        for channel in self._channels:
            await channel.close()

    async def score(  # noqa: PLR0913 - a request has that many fields
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
        """See `Client.score`."""
        asked = ScoringRequest(
            model, entities or {}, context or {}, request_time, prediction_id, request_key, explain
        )
        message = score_request(asked, self._caller.new_id)
        try:
            return await self._score(message, timeout_s)
        except TidemarkError as error:
            error.prediction_id = message.prediction_id
            raise

    async def score_many(
        self,
        requests: Iterable[ScoringRequest],
        *,
        timeout_s: float | None = None,
        batch_rows: int = BATCH_ROWS,
        in_flight: int = IN_FLIGHT,
    ) -> list[Answer]:
        """See `Client.score_many`."""
        check_sizes(batch_rows, in_flight)
        room = asyncio.Semaphore(in_flight)

        async def answered(batch: Batch) -> list[Answer]:
            async with room:
                return await self._score_batch(batch, timeout_s)

        batches = split(rows_of(requests, self._caller.new_id), batch_rows)
        found = await asyncio.gather(*map(answered, batches))
        return [answer for answers in found for answer in answers]

    def score_stream(
        self,
        requests: Iterable[ScoringRequest] | AsyncIterable[ScoringRequest],
        *,
        timeout_s: float | None = None,
        batch_rows: int = BATCH_ROWS,
        in_flight: int = IN_FLIGHT,
    ) -> AsyncIterator[Answer]:
        """See `Client.score_stream`. The requests may come from an asynchronous iterator too."""
        check_sizes(batch_rows, in_flight)

        def begin() -> Call:
            return self._caller.begin("ScoreStream", timeout_s)

        def open_stream() -> AsyncStream:
            self._caller.demand_usable()
            return AsyncStream(self._scoring.ScoreStream, self._caller.metadata())

        batches = split_async(requests, self._caller.new_id, batch_rows)
        return AsyncConversation(open_stream, begin, in_flight).answers(batches)

    async def report_outcome(
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
        """See `Client.report_outcome`."""
        key = of.request_key if isinstance(of, Score) else of
        outcome = Outcome(label, key, value, revision, outcome_time, recorded_time)
        await self.report_outcomes([outcome], timeout_s=timeout_s)

    async def report_outcomes(self, outcomes: Iterable[Outcome], *, timeout_s: float | None = None) -> None:
        """See `Client.report_outcomes`."""
        stub, _ = self._feature_doors()
        for message in report_requests(outcomes, OUTCOMES_AT_ONCE):
            await self._ask("Report", stub.Report, message, timeout_s)

    async def get_features(
        self,
        *,
        model: str | None = None,
        features: Sequence[str] | None = None,
        entities: Mapping[str, str] | None = None,
        context: Mapping[str, Scalar] | None = None,
        request_time: datetime | None = None,
        timeout_s: float | None = None,
    ) -> Features:
        """See `Client.get_features`."""
        _, stub = self._feature_doors()
        message = features_request(model, features, entities or {}, context or {}, request_time)
        return features_of(await self._ask("Get", stub.Get, message, timeout_s))

    async def is_ready(self, *, timeout_s: float | None = None) -> bool:
        """See `Client.is_ready`."""
        try:
            reply = await self._ask(
                "Check", self._health.Check, health_pb2.HealthCheckRequest(), timeout_s, is_once=True
            )
        except (NotReady, DeadlineExceeded):
            return False
        return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)

    async def _score(self, message: ScoreRequest, timeout_s: float | None) -> Score:
        if self._coalescer is None:
            return score_of(message, await self._ask("Score", self._scoring.Score, message, timeout_s))
        return await self._coalescer.score(message, self._timeout_s if timeout_s is None else timeout_s)

    async def _score_batch(self, batch: Batch, timeout_s: float | None) -> list[Answer]:
        if not batch.messages:
            return batch.answered([])
        message = ScoreBatchRequest(requests=batch.messages)
        try:
            reply = await self._ask("ScoreBatch", self._scoring.ScoreBatch, message, timeout_s)
            return batch.answered(reply.results)
        except TidemarkError as error:
            return batch.failed(error)

    async def _ask(
        self,
        name: str,
        method: grpc.aio.UnaryUnaryMultiCallable[_Asked, _Reply],
        message: _Asked,
        timeout_s: float | None,
        *,
        is_once: bool = False,
    ) -> _Reply:
        call = self._caller.begin(name, timeout_s, is_once=is_once)
        while True:
            try:
                reply = await method(message, **call.given())
            except grpc.RpcError as failed:
                await asyncio.sleep(call.wait_after(failed))
            except grpc.aio.UsageError:  # gRPC's word for a channel that was closed just now
                self._caller.demand_usable()
                raise
            else:
                call.answered()
                return reply

    def _feature_doors(self) -> tuple[OutcomeServiceAsyncStub, FeatureServiceAsyncStub]:
        if self._doors is None:
            raise ValueError(
                "features and outcomes are feature's: give AsyncClient(..., feature_address=...)"
            )
        return self._doors


def _channel(address: str | Sequence[str], connection: Connection) -> grpc.aio.Channel:
    target, options = target_of(address), connection.options
    if connection.tls is None:
        return grpc.aio.insecure_channel(target, options)
    return grpc.aio.secure_channel(target, connection.tls.credentials, options)

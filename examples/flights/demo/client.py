"""A product backend: it asks for scores over gRPC and keeps what each call took."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Self

import grpc
import numpy as np
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_random_exponential
from tidemark.scoring.v1.scoring_service_pb2 import ScoreBatchRequest
from tidemark.scoring.v1.scoring_service_pb2_grpc import ScoringServiceStub

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from numpy.typing import NDArray
    from tidemark.scoring.v1.scoring_service_pb2 import ScoreRequest

    from examples.flights.facts import ScoringRequest

_BATCH = 128
_PASSING = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED}
_PASSING_CODES = {code.value[0] for code in _PASSING}


class RefusedScoreError(Exception):
    """A request of a batch was not scored, and asking again will not help."""


class NotScoredYetError(Exception):
    """Requests of a batch were not scored: whoever should is starting, or busy."""


class Backend:
    """Asks the questions of a tick; `answers` grows with every answer, `latencies_ms` with every single call.

    The first question of a tick is a call of its own, as of somebody who waits for it; the others are asked
    together, as for a board of departures.
    """

    def __init__(self, address: str, model: str, call_seconds: float) -> None:
        self._channel = grpc.aio.insecure_channel(address)
        self._stub = ScoringServiceStub(self._channel)
        self._model = model
        self._call_seconds = call_seconds
        self._latencies_ms: list[float] = []
        self.answers = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._channel.close()

    @property
    def latencies_ms(self) -> NDArray[np.float64]:
        """What each single call took, as its caller saw it."""
        return np.array(self._latencies_ms)

    async def ask(self, requests: Sequence[ScoringRequest]) -> None:
        """Returns when every question is answered.

        Raises:
            grpc.aio.AioRpcError: A question was refused, or not answered in time despite retries.
            RefusedScoreError: So was one of those asked together.
        """
        messages = [request.to_proto(self._model) for request in requests]
        batches = [messages[at : at + _BATCH] for at in range(1, len(messages), _BATCH)]
        await asyncio.gather(*map(self._ask, messages[:1]), *map(self._ask_together, batches))
        self.answers += len(requests)

    async def _ask(self, message: ScoreRequest) -> None:
        started = time.perf_counter()
        async for attempt in self._attempts():
            with attempt:
                await self._stub.Score(message, timeout=self._call_seconds, wait_for_ready=True)
        self._latencies_ms.append((time.perf_counter() - started) * 1000)

    async def _ask_together(self, messages: Sequence[ScoreRequest]) -> None:
        async for attempt in self._attempts():
            with attempt:
                messages = await self._unscored(messages)
                if messages:
                    raise NotScoredYetError(f"{len(messages)} requests, {messages[0].prediction_id} first")

    async def _unscored(self, messages: Sequence[ScoreRequest]) -> Sequence[ScoreRequest]:
        """Asks together; returns what has to be asked again."""
        reply = await self._stub.ScoreBatch(
            ScoreBatchRequest(requests=messages), timeout=self._call_seconds, wait_for_ready=True
        )
        again = []
        for asked, result in zip(messages, reply.results, strict=True):
            if result.error.code in _PASSING_CODES:
                again.append(asked)
            elif result.HasField("error"):
                raise RefusedScoreError(f"{asked.prediction_id}: {result.error.message}")
        return again

    def _attempts(self) -> AsyncRetrying:
        """What any careful backend does: it asks again, with the same id, what could not be answered now."""
        return AsyncRetrying(
            retry=retry_if_exception(_passes),
            wait=wait_random_exponential(0.05, max=1),
            stop=stop_after_delay(self._call_seconds),
            reraise=True,
        )


def _passes(error: BaseException) -> bool:
    if isinstance(error, grpc.aio.AioRpcError):
        return error.code() in _PASSING
    return isinstance(error, NotScoredYetError)

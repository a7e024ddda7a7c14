"""A product backend: it asks for scores over gRPC and keeps what each call took."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Self

import grpc
import numpy as np
from tidemark.scoring.v1.scoring_service_pb2 import ScoreBatchRequest
from tidemark.scoring.v1.scoring_service_pb2_grpc import ScoringServiceStub

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from numpy.typing import NDArray
    from tidemark.scoring.v1.scoring_service_pb2 import ScoreRequest

    from examples.flights.facts import ScoringRequest

# What any careful backend sets: gRPC repeats a call that failed, and waits for a server that starts again.
_RETRY = {
    "methodConfig": [
        {
            "name": [{"service": "tidemark.scoring.v1.ScoringService"}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.05s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
            },
        }
    ]
}
_OPTIONS = [("grpc.service_config", json.dumps(_RETRY)), ("grpc.enable_retries", 1)]
_BATCH = 128


class RefusedScoreError(Exception):
    """A request of a batch was not scored."""


class Backend:
    """Asks the questions of a tick; `answers` grows with every answer, `latencies_ms` with every single call.

    The first question of a tick is a call of its own, as of somebody who waits for it; the others are asked
    together, as for a board of departures.
    """

    def __init__(self, address: str, model: str, call_seconds: float) -> None:
        self._channel = grpc.aio.insecure_channel(address, options=_OPTIONS)
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
        await self._stub.Score(message, timeout=self._call_seconds, wait_for_ready=True)
        self._latencies_ms.append((time.perf_counter() - started) * 1000)

    async def _ask_together(self, messages: Sequence[ScoreRequest]) -> None:
        reply = await self._stub.ScoreBatch(
            ScoreBatchRequest(requests=messages), timeout=self._call_seconds, wait_for_ready=True
        )
        for asked, result in zip(messages, reply.results, strict=True):
            if result.HasField("error"):
                raise RefusedScoreError(f"{asked.prediction_id}: {result.error.message}")

"""A product backend: it asks for scores over gRPC and keeps what each call took."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Self

import grpc
import numpy as np
from tidemark.scoring.v1.scoring_service_pb2_grpc import ScoringServiceStub

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from numpy.typing import NDArray

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
_CONCURRENCY = 32


class Backend:
    """Asks the questions of a tick side by side; `latencies_ms` and `answers` grow with every answer."""

    def __init__(self, address: str, model: str, call_seconds: float) -> None:
        self._channel = grpc.aio.insecure_channel(address, options=_OPTIONS)
        self._score = ScoringServiceStub(self._channel).Score
        self._model = model
        self._call_seconds = call_seconds
        self._free = asyncio.Semaphore(_CONCURRENCY)
        self._latencies_ms: list[float] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._channel.close()

    @property
    def answers(self) -> int:
        """How many questions were answered."""
        return len(self._latencies_ms)

    @property
    def latencies_ms(self) -> NDArray[np.float64]:
        """What each call took, as its caller saw it."""
        return np.array(self._latencies_ms)

    async def ask(self, requests: Sequence[ScoringRequest]) -> None:
        """Returns when every question is answered.

        Raises:
            grpc.aio.AioRpcError: A question was refused, or not answered in time despite retries.
        """
        await asyncio.gather(*map(self._ask, requests))

    async def _ask(self, request: ScoringRequest) -> None:
        async with self._free:
            message = request.to_proto(self._model)
            started = time.perf_counter()
            await self._score(message, timeout=self._call_seconds, wait_for_ready=True)
            self._latencies_ms.append((time.perf_counter() - started) * 1000)

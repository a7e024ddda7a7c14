"""Going back under load: replicas are asked without a pause while one call brings the champion before back.

The load has request keys of its own, so that it is left out of every figure but these.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from itertools import count, cycle
from typing import TYPE_CHECKING, Final

import grpc
from tidemark.scoring.v1.scoring_service_pb2_grpc import ScoringServiceStub

from examples.flights.demo.governance import RefusedError
from examples.flights.demo.options import MODEL, OPERATOR

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from examples.flights.demo.governance import Governance
    from examples.flights.facts import ScoringRequest

    Score = Callable[..., Awaitable[object]]

LOAD: Final = "load:"
"""How request keys of the load begin."""
RATE: Final = 500
_BEFORE_SECONDS: Final = 1.5
_AFTER_SECONDS: Final = 1.5
_CALL_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Rollback:
    """How it went.

    Attributes:
        champion: Who answers now; empty when it was refused, for there was nothing to go back to.
        milliseconds: From the call until the last replica was heard to follow.
        replicas: How many that answer callers follow; one that does not makes `is_complete` false.
        asked: Requests of the load.
        failed: Those without an answer.
        requests_per_second: What was asked on average.
    """

    champion: str
    milliseconds: float | None
    replicas: int
    is_complete: bool
    asked: int
    failed: int
    requests_per_second: float

    def __str__(self) -> str:
        load = f"{self.asked:,} requests at {self.requests_per_second:.0f} a second, {self.failed} failed"
        if self.milliseconds is None:
            return f"nothing to roll back to; {load}"
        return f"{self.champion} is back: {self.milliseconds:.0f} ms to {self.replicas} replicas; {load}"


async def roll_back(
    addresses: Sequence[str], governance: Governance, requests: Sequence[ScoringRequest]
) -> Rollback:
    """Rolls back in the middle of a steady load on all replicas; returns what callers and operator saw."""
    async with AsyncExitStack() as stack:
        load = Load(requests)
        for address in addresses:
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(address))
            load.on(ScoringServiceStub(channel).Score)
        asking = asyncio.ensure_future(load.run())
        await asyncio.sleep(_BEFORE_SECONDS)
        started = time.perf_counter()
        champion, replicas, is_complete = await _call(governance)
        milliseconds = (time.perf_counter() - started) * 1000
        await asyncio.sleep(_AFTER_SECONDS)
        load.stop()
        await asking
    return Rollback(
        champion=champion,
        milliseconds=milliseconds if champion else None,
        replicas=replicas,
        is_complete=is_complete,
        asked=load.asked,
        failed=load.failed,
        requests_per_second=load.asked / load.seconds,
    )


async def _call(governance: Governance) -> tuple[str, int, bool]:
    try:
        answer = await governance.roll_back(OPERATOR, "the last act of the demo: can we go back at once?")
    except RefusedError:
        return "", 0, False
    # "Complete" waits for those that answer callers; whether a shadow was heard by then is chance.
    following = [
        one for one in answer["replicas"] if one["role"] == "serve" and one["followed_after_ms"] is not None
    ]
    return answer["champion"]["version"], len(following), bool(answer["complete"])


class Load:
    """Asks at a steady rate, one replica after the other, and waits for no answer before it asks again."""

    def __init__(self, requests: Sequence[ScoringRequest]) -> None:
        self._requests = cycle(requests)
        self._replicas: list[Score] = []
        self._stopped = False
        self.asked = 0
        self.failed = 0
        self.seconds = 0.0

    def on(self, score: Score) -> None:
        """Adds a replica."""
        self._replicas.append(score)

    def stop(self) -> None:
        """Lets `run` come to its end."""
        self._stopped = True

    async def run(self) -> None:
        """Asks until it is stopped; returns when the last answer is in."""
        started = time.perf_counter()
        async with asyncio.TaskGroup() as calls:
            for number, score in zip(count(), cycle(self._replicas), strict=False):
                if self._stopped:
                    break
                calls.create_task(self._ask(score, number))
                due = started + (number + 1) / RATE
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
            self.seconds = time.perf_counter() - started

    async def _ask(self, score: Score, number: int) -> None:
        self.asked += 1
        request = replace(next(self._requests), flight_id=f"{LOAD}{number}")
        try:
            await score(request.to_proto(MODEL), timeout=_CALL_SECONDS)
        except grpc.aio.AioRpcError:
            self.failed += 1

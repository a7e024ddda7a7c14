"""The data plane: validates, assigns, waits for its batch, and answers with what is also recorded.

This is the hot path: `docs/adr/0005-scoring-hot-path.md` has what was measured and what was traded.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

import numpy as np
from feature_store import Requests
from feature_store.expressions import dtype_of

from inference.coalescing import Coalescer
from inference.domain.errors import DeadlinePassed, NoScore, ScoringError
from inference.domain.requests import check_requirements, check_shape
from inference.scored import Scored, score_each

if TYPE_CHECKING:
    from collections.abc import Sequence

    import structlog
    from feature_store.online.ports import RowReader
    from feature_store.vectors import Vectors

    from inference.clocks import Stopwatch
    from inference.domain.batching import Line
    from inference.domain.requests import Asked
    from inference.metrics import Metrics
    from inference.ports import PredictionLog
    from inference.routing import RouteTable
    from inference.serving import ServedArm, ServedModel


class Ticket:
    """A request that waits for its batch."""

    __slots__ = ("answer", "asked", "expires_at_s", "model", "received_at_s", "served")

    def __init__(
        self, asked: Asked, model: ServedModel, served: ServedArm, received_at_s: float, expires_at_s: float
    ) -> None:
        self.asked = asked
        self.model = model
        self.served = served
        self.received_at_s = received_at_s
        self.expires_at_s = expires_at_s
        self.answer: asyncio.Future[Scored] = asyncio.get_running_loop().create_future()

    def is_wanted(self, now_s: float) -> bool:
        """See `Waiter.is_wanted`: not when the caller cancelled, nor when its deadline passed."""
        if self.answer.done():
            return False
        if now_s >= self.expires_at_s:
            self.answer.set_exception(DeadlinePassed())
            return False
        return True


class ScoringPlane:
    """Scores requests.

    Args:
        routes: The models served now.
        rows: Reads feature rows, in bounded time, and never fails.
        predictions: Where what was answered is recorded.
        line: Who waits, and who is turned away.
    """

    def __init__(
        self,
        *,
        routes: RouteTable[ServedModel],
        rows: RowReader,
        predictions: PredictionLog,
        line: Line[Ticket],
        metrics: Metrics,
        now_s: Stopwatch,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._routes = routes
        self._rows = rows
        self._predictions = predictions
        self._metrics = metrics
        self._now_s = now_s
        self._log = log
        self._coalescer: Coalescer[Ticket] = Coalescer(self._score_batch, line, now_s)
        metrics.watch_queue(lambda: self._coalescer.waiting)

    async def run(self) -> None:
        """Score what waits, until cancelled."""
        await self._coalescer.run()

    async def score(self, asked: Asked, time_left_s: float | None) -> Scored:
        """Score one request.

        Args:
            asked: What is asked.
            time_left_s: Until the caller's deadline; None when it has none.

        Raises:
            ScoringError: Saying why there is no score.
        """
        ticket = self._admit(asked, self._now_s(), time_left_s)
        self._coalescer.submit((ticket,))
        scored = await ticket.answer
        await self._record(scored, ticket.model.is_durable)
        return scored

    async def score_many(
        self, requests: Sequence[Asked | ScoringError], time_left_s: float | None
    ) -> list[Scored | ScoringError]:
        """Score many requests, each for itself, in order; one that is an error already stays what it is.

        Raises:
            Overloaded: There is no room for all of them; none was scored.
        """
        now_s = self._now_s()
        admitted = [self._try_to_admit(asked, now_s, time_left_s) for asked in requests]
        tickets = [ticket for ticket in admitted if isinstance(ticket, Ticket)]
        self._coalescer.submit(tickets)
        try:
            return [await self._outcome(ticket) for ticket in admitted]
        finally:
            # Left early, for the caller is gone: nobody waits for the rest.
            for ticket in tickets:
                ticket.answer.cancel()

    def _admit(self, asked: Asked, now_s: float, time_left_s: float | None) -> Ticket:
        check_shape(asked)
        model = self._routes.find(asked.model)
        check_requirements(asked, model.requirements)
        expires_at_s = math.inf if time_left_s is None else now_s + time_left_s
        return Ticket(asked, model, model.assign(asked), now_s, expires_at_s)

    def _try_to_admit(
        self, asked: Asked | ScoringError, now_s: float, time_left_s: float | None
    ) -> Ticket | ScoringError:
        if isinstance(asked, ScoringError):
            return asked
        try:
            return self._admit(asked, now_s, time_left_s)
        except ScoringError as error:
            return error

    async def _outcome(self, ticket: Ticket | ScoringError) -> Scored | ScoringError:
        if isinstance(ticket, ScoringError):
            return ticket
        try:
            scored = await ticket.answer
            await self._record(scored, ticket.model.is_durable)
        except ScoringError as error:
            return error
        return scored

    async def _record(self, scored: Scored, is_durable: bool) -> None:  # noqa: FBT001 - private
        if is_durable:
            await self._predictions.write(scored)
        else:
            self._predictions.offer(scored)

    async def _score_batch(self, batch: Sequence[Ticket]) -> None:
        try:
            self._metrics.batch_scored(len(batch))
            await self._look_up_and_score(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody is left waiting
            self._log.exception("batch failed", size=len(batch))
            for ticket in batch:
                _fail(ticket, NoScore(f"internal error: {error!r}"))

    async def _look_up_and_score(self, batch: Sequence[Ticket]) -> None:
        groups = _by_arm(batch)
        asked = [_requests(group) for group in groups]
        keys = [
            group[0].model.assembler.row_keys(requests) for group, requests in zip(groups, asked, strict=True)
        ]
        distinct = list(dict.fromkeys(key for some in keys for key in some))
        read = await self._rows.read(distinct)
        found = dict(zip(distinct, read.rows, strict=True)) if read.readable else {}
        for group, requests, some in zip(groups, asked, keys, strict=True):
            rows = [found[key] for key in some] if read.readable else ()
            vectors = group[0].model.assembler.assemble(requests, rows, readable=read.readable)
            self._answer(group, vectors)

    def _answer(self, group: Sequence[Ticket], vectors: Vectors) -> None:
        scores = score_each(group[0].served.scorer, vectors.values)
        now_s = self._now_s()
        model = group[0].model
        for row, (ticket, score) in enumerate(zip(group, scores, strict=True)):
            if isinstance(score, ScoringError):
                _fail(ticket, score)
            elif not ticket.answer.done():
                latency_us = round((now_s - ticket.received_at_s) * 1e6)
                ticket.answer.set_result(
                    Scored(
                        asked=ticket.asked,
                        arm=ticket.served.arm,
                        route_revision=model.revision,
                        contract=model.contract,
                        label=model.label,
                        score=score,
                        vectors=vectors,
                        row=row,
                        latency_us=latency_us,
                    )
                )
                self._metrics.answered(model.name, ticket.served.arm.variant, latency_us)
        for status, count in enumerate(np.bincount(vectors.statuses.ravel()).tolist()):
            if count:
                self._metrics.features_served(model.name, status, count)


def _fail(ticket: Ticket, error: ScoringError) -> None:
    if not ticket.answer.done():
        ticket.answer.set_exception(error)


def _by_arm(batch: Sequence[Ticket]) -> list[list[Ticket]]:
    groups: dict[int, list[Ticket]] = {}
    for ticket in batch:
        groups.setdefault(id(ticket.served), []).append(ticket)
    return list(groups.values())


def _requests(group: Sequence[Ticket]) -> Requests:
    requirements = group[0].model.requirements
    return Requests(
        time_us=np.array([ticket.asked.request_time_us for ticket in group], dtype=np.int64),
        entities={
            name: np.array([ticket.asked.entities[name] for ticket in group], dtype=object)
            for name in requirements.entities
        },
        context={
            name: np.array([ticket.asked.context[name] for ticket in group], dtype=dtype_of(kind))
            for name, kind in requirements.inputs.items()
        },
    )

"""The data plane: validates, assigns, waits for its batch, and answers with what is also recorded.

This is the hot path: `docs/adr/0005-scoring-hot-path.md` has what was measured and what was traded.
"""

from __future__ import annotations

import asyncio
import math
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from feature_store import Requests
from feature_store.expressions import dtype_of

from inference.coalescing import Coalescer
from inference.domain.errors import DeadlinePassed, NoScore, ScoringError
from inference.domain.requests import check_requirements, check_shape
from inference.lingering import Lingering
from inference.scored import Scored, score_each

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import structlog
    from feature_store.online.ports import ReadRows
    from feature_store.vectors import Vectors
    from numpy.typing import NDArray

    from inference.clocks import Stopwatch
    from inference.domain.batching import Line
    from inference.domain.requests import Asked
    from inference.metrics import Metrics
    from inference.ports import FeatureRows, PredictionLog
    from inference.routing import RouteTable
    from inference.serving import ServedArm, ServedModel

_COUNTED_AFTER_S: Final = 0.02


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
        rows: The feature rows.
        predictions: Where what was answered is recorded.
        line: Who waits, and who is turned away.
    """

    def __init__(
        self,
        *,
        routes: RouteTable[ServedModel],
        rows: FeatureRows,
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
        self._coalescer: Coalescer[Ticket] = Coalescer(self._begin, line, now_s)
        self._uncounted: Lingering[tuple[str, Sequence[tuple[str, int]], Vectors]] = Lingering(
            self._count, _COUNTED_AFTER_S
        )
        metrics.watch_queue(lambda: self._coalescer.waiting)

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
        return await self._recorded(ticket)

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

    def close(self) -> None:
        """Count what was not counted yet."""
        self._uncounted.finish()

    def _admit(self, asked: Asked, now_s: float, time_left_s: float | None) -> Ticket:
        check_shape(asked)
        model = self._routes.find(asked.model)
        check_requirements(asked, model.requirements)
        expires_at_s = math.inf if time_left_s is None else now_s + time_left_s
        return Ticket(model.conceal(asked), model, model.assign(asked), now_s, expires_at_s)

    def _try_to_admit(
        self, asked: Asked | ScoringError, now_s: float, time_left_s: float | None
    ) -> Ticket | ScoringError:
        if isinstance(asked, ScoringError):
            return asked
        try:
            return self._admit(asked, now_s, time_left_s)
        except ScoringError as error:
            return error

    async def _recorded(self, ticket: Ticket) -> Scored:
        scored = await ticket.answer
        if ticket.model.is_durable:
            await self._predictions.write(scored)
        else:
            self._predictions.offer(scored)
        return scored

    async def _outcome(self, ticket: Ticket | ScoringError) -> Scored | ScoringError:
        if isinstance(ticket, ScoringError):
            return ticket
        try:
            return await self._recorded(ticket)
        except ScoringError as error:
            return error

    def _begin(self, batch: Sequence[Ticket], done: Callable[[], None]) -> None:
        """Ask for all the rows of a batch; what follows follows when they are here."""
        try:
            groups = [_Group(tickets) for tickets in _by_arm(batch)]
            keys = groups[0].keys if len(groups) == 1 else [key for group in groups for key in group.keys]
            # Requests of one moment share many entities.
            distinct = list(dict.fromkeys(keys)) if len(batch) > 1 else keys
            self._rows.request(distinct, partial(self._finish, batch, groups, distinct, done))
            for group in groups:
                group.prepare()
        except Exception as error:  # noqa: BLE001 - see _fail_all
            self._fail_all(batch, error, done)

    def _finish(
        self,
        batch: Sequence[Ticket],
        groups: Sequence[_Group],
        keys: Sequence[bytes],
        done: Callable[[], None],
        read: ReadRows,
    ) -> None:
        try:
            if len(batch) == 1:
                self._answer(batch, groups[0].assemble(read.rows, readable=read.readable))
            else:
                found = dict(zip(keys, read.rows, strict=True))
                for group in groups:
                    rows = [found[key] for key in group.keys]
                    self._answer(group.tickets, group.assemble(rows, readable=read.readable))
        except Exception as error:  # noqa: BLE001 - see _fail_all
            self._fail_all(batch, error, done)
        else:
            done()

    def _fail_all(self, batch: Sequence[Ticket], error: Exception, done: Callable[[], None]) -> None:
        # Whatever it was, nobody is left waiting, and the next batch gets its turn.
        self._log.error("batch failed", size=len(batch), exc_info=error)
        for ticket in batch:
            _fail(ticket, NoScore(f"internal error: {error!r}"))
        done()

    def _answer(self, group: Sequence[Ticket], vectors: Vectors) -> None:
        scores = score_each(group[0].served.scorer, vectors.values)
        now_s = self._now_s()
        model = group[0].model
        answered: list[tuple[str, int]] = []
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
                answered.append((ticket.served.arm.variant, latency_us))
        self._uncounted.add((model.name, answered, vectors))

    def _count(self, group: tuple[str, Sequence[tuple[str, int]], Vectors]) -> None:
        model, answered, vectors = group
        self._metrics.batch_scored(len(vectors))
        self._routes.asked(model)
        for variant, latency_us in answered:
            self._metrics.answered(model, variant, latency_us)
        for status, count in enumerate(np.bincount(vectors.statuses.ravel()).tolist()):
            if count:
                self._metrics.features_served(model, status, count)


def _fail(ticket: Ticket, error: ScoringError) -> None:
    if not ticket.answer.done():
        ticket.answer.set_exception(error)


def _by_arm(batch: Sequence[Ticket]) -> list[list[Ticket]]:
    groups: dict[int, list[Ticket]] = {}
    for ticket in batch:
        groups.setdefault(id(ticket.served), []).append(ticket)
    return list(groups.values())


class _Group:
    """Tickets of one arm: they share a contract and a scorer."""

    __slots__ = ("_assembler", "_computed", "_context", "_inputs", "_problem", "_requests", "keys", "tickets")

    def __init__(self, tickets: Sequence[Ticket]) -> None:
        model = tickets[0].model
        self.tickets = tickets
        self._assembler = model.assembler
        self._inputs = model.requirements.inputs
        self._context: dict[str, NDArray[Any]] = {}
        self._requests = Requests(
            time_us=np.array([ticket.asked.request_time_us for ticket in tickets], dtype=np.int64),
            entities={
                name: np.array([ticket.asked.entities[name] for ticket in tickets], dtype=object)
                for name in model.requirements.entities
            },
            context=self._context,
        )
        self._computed: NDArray[np.float64] | None = None
        self._problem: Exception | None = None
        self.keys = self._assembler.row_keys(self._requests)

    def prepare(self) -> None:
        """Compute what needs no rows, while they are on their way; what goes wrong is said when they come."""
        try:
            self._computed = self._compute()
        except Exception as error:  # noqa: BLE001 - raised by assemble
            self._problem = error

    def _compute(self) -> NDArray[np.float64]:
        for name, kind in self._inputs.items():
            values = [ticket.asked.context[name] for ticket in self.tickets]
            self._context[name] = np.array(values, dtype=dtype_of(kind))
        return self._assembler.compute(self._requests)

    def assemble(self, rows: Sequence[bytes | None], *, readable: bool) -> Vectors:
        if self._problem is not None:
            raise self._problem
        return self._assembler.assemble(self._requests, rows, readable=readable, computed=self._computed)

"""The data plane: validates, assigns, waits for its batch, and answers with what is also recorded.

This is the hot path: `docs/adr/0005-scoring-hot-path.md` has what was measured and what was traded.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Final

from inference.domain.errors import NoScore, ScoringError
from inference.domain.requests import check_requirements, check_shape
from inference.scored import Answered, Scored, score_each
from inference.serve.lanes import Lanes
from inference.serve.lingering import Lingering
from inference.serve.rows import in_rows, record_all
from inference.serve.tickets import Ticket
from inference.serve.unread import fail_unread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import structlog
    from feature_store.online.ports import ReadRows
    from feature_store.vectors import Vectors

    from inference.clocks import Stopwatch
    from inference.domain.requests import Asked
    from inference.metrics import Metrics
    from inference.ports import FeatureRows, PredictionLog
    from inference.routes.serving import ServedModel
    from inference.routes.table import RouteTable
    from inference.serve.lanes import Apart, Intake
    from inference.serve.tickets import Group

_COUNTED_AFTER_S: Final = 0.02


class ScoringPlane:
    """Scores requests.

    Args:
        routes: The models served now.
        rows: The feature rows.
        predictions: Where what was answered is recorded.
        intake: Who waits, and who is turned away.
    """

    def __init__(
        self,
        *,
        routes: RouteTable[ServedModel],
        rows: FeatureRows,
        predictions: PredictionLog,
        intake: Intake,
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
        self._lanes = Lanes(self._begin, intake, now_s=now_s, log=log)
        self._uncounted: Lingering[tuple[str, Sequence[tuple[str, int]], Vectors]] = Lingering(
            self._count, _COUNTED_AFTER_S
        )
        metrics.watch_lanes(self._lanes)

    async def score(self, asked: Asked, time_left_s: float | None) -> Scored:
        """Score one request.

        Args:
            asked: What is asked.
            time_left_s: Until the caller's deadline; None when it has none.

        Raises:
            ScoringError: Saying why there is no score.
        """
        ticket = self._admit(asked, self._now_s(), time_left_s)
        self._lanes.submit((ticket,))
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
        try:
            self._lanes.submit(tickets)
            return [await self._outcome(ticket) for ticket in admitted]
        finally:
            # Left early, for the caller is gone: nobody waits for the rest.
            for ticket in tickets:
                ticket.answer.cancel()

    async def score_all(
        self, requests: Sequence[Asked], time_left_s: float | None, version: str = ""
    ) -> list[Scored]:
        """Score some requests, all or none.

        Args:
            requests: Of one model, at least one.
            time_left_s: Until the caller's deadline; None when it has none.
            version: Which version answers; empty where the route decides.

        Raises:
            ScoringError: See `answer_all`.
        """
        now_s = self._now_s()
        tickets = in_rows([partial(self._admit, asked, now_s, time_left_s) for asked in requests])
        if version:
            model = tickets[0].model
            pinned = model.pinned(self._routes.find_version(model.name, version))
            pinned.conduct.check(now_s)
            for ticket in tickets:
                ticket.served = pinned
        return await self.answer_all(tickets)

    async def answer_all(self, tickets: Sequence[Ticket]) -> list[Scored]:
        """Answer the rows of one request of one model, all or none.

        Raises:
            ScoringError: Saying which row has no score, and why; nothing was recorded, unless it is
                `LogUnavailable`.
        """
        try:
            self._lanes.submit(tickets)
            answers = await asyncio.gather(*(ticket.answer for ticket in tickets), return_exceptions=True)
        finally:
            # Left early, for the caller is gone or there was no room: nobody waits for the rest.
            for ticket in tickets:
                ticket.answer.cancel()
        scored = in_rows([partial(_raised, answer) for answer in answers])
        await record_all(self._predictions, scored, is_durable=tickets[0].model.is_durable)
        return scored

    def close(self) -> None:
        """Count what was not counted yet."""
        self._uncounted.finish()

    def _admit(self, asked: Asked, now_s: float, time_left_s: float | None) -> Ticket:
        check_shape(asked)
        model = self._routes.find(asked.model)
        check_requirements(asked, model.requirements)
        served = model.assign(asked)
        if served.conduct.pause_s:
            served.conduct.check(now_s)
        expires_at_s = math.inf if time_left_s is None else now_s + time_left_s
        return Ticket(model.conceal(asked), model, served, now_s, expires_at_s)

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
        elif ticket.model.records(scored.asked):
            self._predictions.offer(scored)
        else:
            self._metrics.left_out(ticket.model.name)
        return scored

    async def _outcome(self, ticket: Ticket | ScoringError) -> Scored | ScoringError:
        if isinstance(ticket, ScoringError):
            return ticket
        try:
            return await self._recorded(ticket)
        except ScoringError as error:
            return error

    def _begin(self, batch: Sequence[Ticket], done: Callable[[], None], apart: Apart | None) -> None:
        """Ask for all the rows of a batch; what follows follows when they are here."""
        try:
            groups = [tickets[0].grouped(tickets) for tickets in _by_arm(batch)]
            keys = groups[0].keys if len(groups) == 1 else [key for group in groups for key in group.keys]
            # Requests of one moment share many entities.
            distinct = list(dict.fromkeys(keys)) if len(batch) > 1 else keys
            # A version apart is done with its batch when its thread is, which does one thing after the other.
            done_with = done if apart is None else partial(apart.worker.do, _nothing, lambda _: done())
            self._rows.request(distinct, partial(self._finish, batch, groups, distinct, done_with))
            for group in groups:
                group.prepare()
        except Exception as error:  # noqa: BLE001 - see _fail_all
            self._fail_all(batch, error)
            done()

    def _finish(
        self,
        batch: Sequence[Ticket],
        groups: Sequence[Group],
        keys: Sequence[bytes],
        done: Callable[[], None],
        read: ReadRows,
    ) -> None:
        found = None if len(batch) == 1 else dict(zip(keys, read.rows, strict=True))
        for group in groups:
            try:
                rows = read.rows if found is None else [found[key] for key in group.keys]
                self._run(group.tickets, group.assemble(rows, readable=read.readable))
            except Exception as error:  # noqa: BLE001 - see _fail_all
                self._fail_all(group.tickets, error)
        done()

    def _fail_all(self, tickets: Sequence[Ticket], error: Exception) -> None:
        # Whatever it was, nobody is left waiting, and the next batch gets its turn.
        self._log.error("batch failed", size=len(tickets), exc_info=error)
        for ticket in tickets:
            _fail(ticket, NoScore(f"internal error: {error!r}"))

    def _run(self, group: Sequence[Ticket], vectors: Vectors) -> None:
        if not group[0].model.takes_defaults:
            fail_unread(group, vectors)
        served = group[0].served
        self._lanes.run(
            served.conduct,
            partial(score_each, served.scorer, vectors.values),
            partial(self._answer, group, vectors),
        )

    def _answer(self, group: Sequence[Ticket], vectors: Vectors, answered: Answered) -> None:
        scores, more = answered
        now_s = self._now_s()
        model = group[0].model
        counted: list[tuple[str, int]] = []
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
                        outputs=more[row] if more else None,
                        log_basis_points=model.log_basis_points,
                    )
                )
                counted.append((ticket.served.arm.variant, latency_us))
        self._uncounted.add((model.name, counted, vectors))

    def _count(self, groups: Sequence[tuple[str, Sequence[tuple[str, int]], Vectors]]) -> None:
        for model, answered, vectors in groups:
            self._metrics.batch_scored(len(vectors))
            self._routes.asked(model)
            for (variant, latency_us), count in Counter(answered).items():
                self._metrics.answered(model, variant, latency_us, count)
            self._metrics.features_served(model, vectors.statuses)


def _raised(answer: Scored | BaseException) -> Scored:
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _nothing() -> None:
    """Do nothing, after all that was ordered before."""


def _fail(ticket: Ticket, error: ScoringError) -> None:
    if not ticket.answer.done():
        ticket.answer.set_exception(error)


def _by_arm(batch: Sequence[Ticket]) -> list[list[Ticket]]:
    groups: dict[int, list[Ticket]] = {}
    for ticket in batch:
        groups.setdefault(id(ticket.served), []).append(ticket)
    return list(groups.values())

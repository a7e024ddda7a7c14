"""Vectors that the caller gives: they wait for their batch like any request; no rows are read for them."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from feature_store.statuses import Status
from feature_store.vectors import Positions, Vectors

from inference.domain.requests import check_shape
from inference.serve.rows import in_rows
from inference.serve.tickets import Ticket

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from inference.clocks import Stopwatch
    from inference.domain.requests import Asked
    from inference.routes.serving import ServedArm, ServedModel
    from inference.scored import Scored
    from inference.serve.plane import ScoringPlane


class GivenTicket(Ticket):
    """A request whose vector is there already, float32[F]."""

    __slots__ = ("vector",)

    vector: NDArray[np.float32]

    @staticmethod
    def grouped(tickets: Sequence[Ticket]) -> GivenGroup:
        """See `Ticket.grouped`."""
        return GivenGroup(tickets)


class GivenGroup:
    """Tickets of one arm whose vectors are there already."""

    __slots__ = ("keys", "tickets")

    def __init__(self, tickets: Sequence[Ticket]) -> None:
        self.tickets = tickets
        self.keys: Sequence[bytes] = ()

    def prepare(self) -> None:
        """There is nothing to compute."""

    def assemble(self, _rows: Sequence[bytes | None], *, readable: bool) -> Vectors:
        """Put the vectors together, whether rows could be read or not."""
        del readable
        values = np.stack([ticket.vector for ticket in self.tickets if isinstance(ticket, GivenTicket)])
        return Vectors(values, np.full(values.shape, Status.PRESENT, np.uint8), Positions(()))


class GivenVectors:
    """Scores vectors.

    Args:
        plane: Answers tickets.
    """

    def __init__(self, plane: ScoringPlane, now_s: Stopwatch) -> None:
        self._plane = plane
        self._now_s = now_s

    async def score(
        self,
        model: ServedModel,
        rows: Sequence[Asked],
        vectors: NDArray[np.float32],
        *,
        pinned: ServedArm | None,
        time_left_s: float | None,
    ) -> list[Scored]:
        """Score all vectors or none.

        Args:
            model: Whose they are.
            rows: What is asked with each.
            vectors: float32[n, F], finite, in the order of the model's contract.
            pinned: Who answers; None where the route decides: by the request key, for there are no entities.
            time_left_s: Until the caller's deadline; None when it has none.

        Raises:
            ScoringError: See `ScoringPlane.answer_all`.
        """
        now_s = self._now_s()
        expires_at_s = math.inf if time_left_s is None else now_s + time_left_s
        in_rows([partial(check_shape, asked) for asked in rows])
        # Batches are divided by arm: of a copy, given vectors are a group of their own.
        arms = {id(arm): replace(arm) for arm in ([pinned] if pinned else model.arms)}
        chosen = [pinned or model.assign_by_key(asked) for asked in rows]
        for conduct in {arm.conduct for arm in chosen}:
            conduct.check(now_s)
        tickets: list[Ticket] = []
        for asked, vector, arm in zip(rows, vectors, chosen, strict=True):
            ticket = GivenTicket(model.conceal(asked), model, arms[id(arm)], now_s, expires_at_s)
            ticket.vector = vector
            tickets.append(ticket)
        return await self._plane.answer_all(tickets)

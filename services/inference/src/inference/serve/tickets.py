"""Requests on their way through the plane."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from inference.assembly import Assembly
from inference.domain.errors import DeadlinePassed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from feature_store.vectors import Vectors

    from inference.domain.requests import Asked
    from inference.routes.serving import ServedArm, ServedModel
    from inference.scored import Scored


class Group(Protocol):
    """Tickets of one arm, and how their vectors are made."""

    @property
    def tickets(self) -> Sequence[Ticket]:
        """Its tickets."""

    @property
    def keys(self) -> Sequence[bytes]:
        """Of the rows that they need."""

    def prepare(self) -> None:
        """Compute what needs no rows, while they are on their way; what goes wrong is said when they come."""

    def assemble(self, rows: Sequence[bytes | None], *, readable: bool) -> Vectors:
        """Make the vectors of rows in the order of the keys."""


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

    @staticmethod
    def grouped(tickets: Sequence[Ticket]) -> Group:
        """Tickets of this kind and of one arm, to be scored together."""
        return _Group(tickets)

    @property
    def lane(self) -> str:
        """See `Waiter.lane`."""
        return self.model.name

    def is_wanted(self, now_s: float) -> bool:
        """See `Waiter.is_wanted`: not when the caller cancelled, nor when its deadline passed."""
        if self.answer.done():
            return False
        if now_s >= self.expires_at_s:
            self.answer.set_exception(DeadlinePassed())
            return False
        return True


class _Group(Assembly):
    """Tickets of one arm: they share a contract and a scorer."""

    __slots__ = ("tickets",)

    def __init__(self, tickets: Sequence[Ticket]) -> None:
        self.tickets = tickets
        super().__init__(tickets[0].model, [ticket.asked for ticket in tickets])

"""The topic of routes, followed into a table: what every role that scores does beside its work."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING, Any, Final

from bus.follow import Follower

from inference.adapters.kafka import RouteFollowings, RouteListener
from inference.background import happens, running
from inference.clocks import wall_clock_us
from inference.routes.following import Herald
from inference.routes.uptakes import Uptakes

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from bus.follow import Tail
    from bus.producer import Publisher
    from bus.runner import ConsumerRunner
    from service_kit import Service

    from inference.routes.table import RouteTable
    from inference.settings import InferenceSettings

_GOODBYE_SECONDS: Final = 1.0


def herald_of(settings: InferenceSettings, publisher: Publisher, role: str) -> Herald:
    """Who says where this process is with its routes."""
    announce = RouteFollowings(
        publisher,
        replica=f"{socket.gethostname()}:{os.getpid()}:{os.urandom(4).hex()}",
        role=role,
        beat_seconds=settings.follow_beat_seconds,
        now_us=wall_clock_us,
    )
    return Herald(announce, wall_clock_us, settings.follow_beat_seconds)


class RouteFeed:
    """Reads routes into a table, tries refused ones again, and says which are followed.

    Args:
        tail: The routes topic.
        table: Where they are followed.
        herald: Who says so.
        retry_seconds: How often refused routes are tried again.
    """

    def __init__(
        self,
        service: Service,
        tail: Tail,
        table: RouteTable[Any],
        herald: Herald,
        *,
        retry_seconds: float,
    ) -> None:
        self._service = service
        self._table = table
        self._herald = herald
        self._retry_seconds = retry_seconds
        self._uptakes = Uptakes(table)
        self._follower = Follower(tail, RouteListener(self._uptakes, service.log))

    @property
    def not_read_because(self) -> str | None:
        """Why routes are not read whole; None when they are."""
        return self._follower.not_ready_because

    @property
    def not_ready_because(self) -> str | None:
        """Why routes are not read whole, or lack something to serve with; None when neither."""
        return self.not_read_because or self._table.lacking

    def work(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """What goes on beside the role, until it is cancelled."""
        return (
            self._follower.run(self._service.stop),
            self._uptakes.run(),
            self._retry_refused(),
            self._herald.run(),
        )

    async def caught_up(self) -> None:
        """Return when every route that is published now has been read, and is followed or refused.

        Raises:
            Unavailable: Kafka cannot say where the topic ends.
        """
        await self._follower.caught_up()
        await self._uptakes.settled()

    async def go_live(self) -> None:
        """Return when every route there was at the start has been read, and is followed or refused."""
        await self._follower.read_once()
        await self._uptakes.go_live()

    async def leave(self) -> None:
        """Say goodbye."""
        await self._herald.leave(_GOODBYE_SECONDS)

    async def consume(self, runner: ConsumerRunner, *beside: Coroutine[Any, Any, None]) -> None:
        """Consume until the service stops, once every route there was is known.

        What is consumed before its route is known would go without it.

        Args:
            runner: Consumes.
            beside: Work that goes on meanwhile.
        """
        health, stop = self._service.health, self._service.stop
        health.watch("consumer", lambda: runner.not_ready_because)
        async with running(*beside, *self.work()):
            if await happens(self.go_live(), before=stop):
                await runner.run(stop)
        await self.leave()

    async def _retry_refused(self) -> None:
        while True:
            await asyncio.sleep(self._retry_seconds)
            await self._table.retry_refused()

"""Routes as they come, each model's taken up for itself: nobody's way back waits for another's load."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from inference.domain.routes import Route


class Routes(Protocol):
    """What keeps routes."""

    async def apply(self, route: Route) -> None:
        """Follow a route from now on, if it can be followed; of those of a model the newest that can be.

        It is registered before the first wait, so that what is begun after it comes after it.
        """

    async def withdraw(self, model: str) -> None:
        """Forget a model's route, and those that are being applied."""

    def complete(self) -> None:
        """Say that every route there is was read."""


class Uptakes:
    """Hands routes to a table as they come, without waiting for one before the next.

    Until `go_live`, only the newest of each model is kept: what is followed after a start is then the same
    whether the topic has been compacted or not.
    """

    def __init__(self, table: Routes) -> None:
        self._table = table
        self._is_live = False
        self._newest: dict[str, Route | None] = {}
        self._due: asyncio.Queue[tuple[str, Route | None, asyncio.Future[None]]] = asyncio.Queue()
        self._unsettled: set[asyncio.Future[None]] = set()

    def take_up(self, model: str, route: Route | None) -> None:
        """Follow a model's route, or with None forget it; before `go_live`, once that is called."""
        if not self._is_live:
            self._newest[model] = route
            return
        settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._unsettled.add(settled)
        settled.add_done_callback(self._unsettled.discard)
        self._due.put_nowait((model, route, settled))

    async def go_live(self) -> None:
        """Take up what was kept, and from now on whatever comes; return when what was kept is settled."""
        self._is_live = True
        for model, route in self._newest.items():
            self.take_up(model, route)
        self._newest.clear()
        await self.settled()
        self._table.complete()

    async def settled(self) -> None:
        """Return once all that was to be taken up until now is followed, refused or superseded."""
        if self._unsettled:
            await asyncio.wait(self._unsettled)

    async def run(self) -> None:
        """Take up what is due until cancelled; a failure of the table ends it."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                # Tasks begin in the order in which they are made: so a model's routes stay in theirs.
                tasks.create_task(self._settle(*await self._due.get()))

    async def _settle(self, model: str, route: Route | None, settled: asyncio.Future[None]) -> None:
        try:
            if route is None:
                await self._table.withdraw(model)
            else:
                await self._table.apply(route)
        finally:
            settled.set_result(None)

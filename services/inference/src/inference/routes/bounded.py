"""Routes of more models than memory holds: those not asked for longest rest, until they are asked for.

A route whose versions rest is followed all the same. How much a version takes: docs/adr/0028.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from inference.domain.errors import ModelNotReady
from inference.domain.routes import InvalidRoute, Route, check_route
from inference.routes.table import LoadedRoute, Refusal, RouteTable
from inference.routes.versions import VersionRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from inference.domain.warmth import WarmModels

S = TypeVar("S")


class BoundedRouteTable(RouteTable[S]):
    """A route table that keeps the versions of so many models as fit, each with its previous route's.

    Until all routes were read, those that find no room are followed unloaded, and verified when they are
    first asked for. From then on a new route is loaded before it is followed, as in any table.

    Args:
        warm: Says who must go.
        give_back: Returns freed memory to the operating system; runs in a thread.
        parts: What any route table is given.
    """

    def __init__(self, *, warm: WarmModels, give_back: Callable[[], None], **parts: Any) -> None:
        super().__init__(**parts)
        self._warm_models = warm
        self._give_back = give_back
        self._resting: dict[str, Route] = {}
        self._failed: dict[str, Refusal] = {}
        self._wanted: dict[str, asyncio.Future[None]] = {}
        self._waking: set[str] = set()
        self._is_full = False
        self._is_freed = False
        self._due = asyncio.Event()
        self._awaited: dict[str, Route] = {}
        self._turn = asyncio.Lock()

    def find(self, model: str) -> S:
        """See `RouteTable.find`. Asking for a model that rests has it loaded, and says so.

        Raises:
            ModelNotReady: It rests, besides the reasons of any table.
        """
        if model in self._resting and model not in self._served:
            if model in self._failed:
                raise ModelNotReady(model, self._failed[model].detail)
            self._want(model)
            raise ModelNotReady(
                model,
                "it was not asked for in a while and made room for others; it is being loaded: "
                "ask again in a second, or with a longer deadline",
            )
        return super().find(model)

    def is_resting(self, model: str) -> bool:
        """Whether it must be loaded before it can score, and may be."""
        return model in self._resting and model not in self._failed

    async def woken(self, model: str) -> None:
        """Return once a model no longer rests: it is warm, has failed to load, or has no route any more."""
        while self.is_resting(model):
            await asyncio.shield(self._want(model))

    def asked(self, model: str) -> None:
        """See `RouteTable.asked`."""
        self._warm_models.asked(model)

    async def apply(self, route: Route) -> None:
        """See `RouteTable.apply`; until all routes were read, models that are not loaded take turns."""
        if self._is_complete or self._followed(route.model):
            await super().apply(route)
            return
        awaited = self._awaited.get(route.model)
        if awaited is None or awaited.revision <= route.revision:
            self._awaited[route.model] = route
        async with self._turn:
            # By now the newest of the model's may be another, or none any more.
            if newest := self._awaited.pop(route.model, None):
                await self._apply_at_start(newest)

    async def run(self) -> None:
        """Load what is asked for, and give freed memory back, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._due.wait()
                self._due.clear()
                for model in self._wanted.keys() - self._waking:
                    self._waking.add(model)
                    tasks.create_task(self._wake(model))
                if self._is_freed:
                    self._is_freed = False
                    await asyncio.to_thread(self._give_back)

    async def withdraw(self, model: str) -> None:
        """See `RouteTable.withdraw`."""
        self._awaited.pop(model, None)
        self._rouse(model)
        self._warm_models.gone(model)
        await super().withdraw(model)

    async def retry_refused(self) -> None:
        """See `RouteTable.retry_refused`; what rests and could not be loaded may be asked for again."""
        self._failed.clear()
        await super().retry_refused()

    def _followed(self, model: str) -> Route | None:
        return super()._followed(model) or self._resting.get(model)

    async def _apply_at_start(self, route: Route) -> None:
        if not self._is_full:
            await super().apply(route)
            return
        try:
            check_route(route)
        except InvalidRoute as error:
            self._refuse(Refusal(route, "INVALID_ROUTE", str(error)))
        else:
            self._resting[route.model] = route
            self._say_followed(route)

    def _take_over(self, loaded: LoadedRoute, served: S) -> None:
        super()._take_over(loaded, served)
        model = loaded.route.model
        self._rouse(model)
        size_bytes = sum(version.memory_bytes for version in self._warm(model).values())
        for other in self._warm_models.warmed(model, size_bytes):
            self._is_full = True
            self._rest(other)
        self._metrics.models_warm(len(self._loaded), self._warm_models.total_bytes)

    def _rest(self, model: str) -> None:
        route = self._loaded.pop(model).route
        self._served.pop(model)
        self._previous.pop(model, None)
        self._warm_models.gone(model)
        self._resting[model] = route
        self._metrics.model_unloaded(model)
        self._log.info("model unloaded", model=model, revision=route.revision)
        self._is_freed = True
        self._due.set()

    def _rouse(self, model: str) -> None:
        self._resting.pop(model, None)
        self._failed.pop(model, None)

    def _want(self, model: str) -> asyncio.Future[None]:
        if model not in self._wanted:
            self._wanted[model] = asyncio.get_running_loop().create_future()
            self._due.set()
        return self._wanted[model]

    async def _wake(self, model: str) -> None:
        """Load a model that rests; routes are taken over meanwhile, this one's too."""
        try:
            route = self._resting.get(model)
            if route is not None:
                await self._load_resting(route)
        finally:
            self._waking.discard(model)
            self._wanted.pop(model).set_result(None)

    async def _load_resting(self, route: Route) -> None:
        try:
            loaded = LoadedRoute(route, await self._load_all(route))
            if self._resting.get(route.model) is route:
                self._take_over(loaded, self._build(loaded))
        except InvalidRoute as error:
            self._fail(Refusal(route, "INVALID_ROUTE", str(error)))
        except VersionRefused as error:
            self._fail(Refusal(route, error.reason, str(error)))

    def _fail(self, refusal: Refusal) -> None:
        route = refusal.route
        if self._resting.get(route.model) is not route:
            return
        self._failed[route.model] = refusal
        self._metrics.route_refused(route.model, refusal.reason)
        self._herald.refused(route.model, route.revision, -1, refusal.reason, refusal.detail)
        self._log.error(
            "model could not be loaded again",
            model=route.model,
            revision=route.revision,
            reason=refusal.reason,
            detail=refusal.detail,
        )

"""The routes this process follows, each with its versions loaded and warm.

A route is taken over in one step, after every version it needs is ready; until then, and when one is
refused, the route before it serves on. The previous route's versions stay warm, so that going back needs no
loading.

Routes are applied side by side, those of one model too: the newest that can be followed is, in whatever order
their loads end, and one that is taken over before an older one is ready ends that one's wait.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from inference.domain.errors import ModelNotReady, UnknownModel, UnknownVersion
from inference.domain.routes import InvalidRoute, check_route
from inference.routes.loading import SharedLoads
from inference.routes.versions import VersionRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import structlog

    from inference.domain.routes import Route, VersionRef
    from inference.metrics import Metrics
    from inference.ports import Versions
    from inference.routes.following import Herald
    from inference.routes.versions import Version

    VersionsOf = Callable[[Route], Iterable[VersionRef]]

S = TypeVar("S")
# A slow load, or two, must not hold up the others; more would take the processor from scoring.
LOADS_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class LoadedRoute:
    """A route and the versions it needs here, by digest."""

    route: Route
    versions: Mapping[str, Version]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A route that could not be taken over, and why."""

    route: Route
    reason: str
    detail: str


@dataclass(slots=True, eq=False)
class _Uptake:
    """A route on its way to be followed, or to be refused, unless it is dropped before."""

    route: Route
    loading: asyncio.Future[Mapping[str, Version]]
    is_dropped: bool = False

    def drop(self) -> None:
        self.is_dropped = True
        self.loading.cancel()


def arms_of(route: Route) -> Iterable[VersionRef]:
    """What serving needs: the versions that answer."""
    return (arm.version for arm in route.all_arms)


def shadows_of(route: Route) -> Iterable[VersionRef]:
    """What the shadow role needs: the versions that answer nobody."""
    return route.shadows


class RouteTable(Generic[S]):
    """Keeps the newest usable route of every model, as whatever a role scores with.

    Args:
        versions: Loads what is not warm yet.
        needs: Which of a route's versions this process scores with.
        build: Makes of a loaded route what scoring uses; it may refuse.
        herald: Is told what became of each route.
    """

    def __init__(
        self,
        *,
        versions: Versions,
        needs: VersionsOf,
        build: Callable[[LoadedRoute], S],
        herald: Herald,
        metrics: Metrics,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._versions = SharedLoads(versions, LOADS_AT_ONCE)
        self._needs = needs
        self._build = build
        self._herald = herald
        self._metrics = metrics
        self._log = log
        self._served: dict[str, S] = {}
        self._loaded: dict[str, LoadedRoute] = {}
        self._previous: dict[str, LoadedRoute] = {}
        self._refused: dict[str, Refusal] = {}
        self._uptakes: dict[str, list[_Uptake]] = {}
        self._all_warm = asyncio.Event()
        self._all_warm.set()
        self._is_complete = False

    @property
    def refusals(self) -> Mapping[str, Refusal]:
        """Newest routes that could not be taken over, by model."""
        return self._refused

    @property
    def loaded(self) -> Mapping[str, LoadedRoute]:
        """Routes followed now, by model."""
        return self._loaded

    @property
    def lacking(self) -> str | None:
        """Which models have a route but nothing to serve it with, and why, in words; None when none has."""
        unserved = [refusal for model, refusal in self._refused.items() if self._followed(model) is None]
        return "; ".join(f"{one.route.model}: {one.reason}: {one.detail}" for one in unserved) or None

    async def all_warm(self) -> None:
        """Return when no model is lacking."""
        await self._all_warm.wait()

    def find(self, model: str) -> S:
        """What scores a model now, warm.

        Raises:
            UnknownModel: It has no route.
            ModelNotReady: It has one whose versions could not be loaded, or may have one not read yet.
        """
        served = self._served.get(model)
        if served is not None:
            return served
        if model in self._refused:
            raise ModelNotReady(model, self._refused[model].detail)
        if model in self._uptakes:
            raise ModelNotReady(model, "its first route is being loaded: ask again in a second")
        if not self._is_complete:
            raise ModelNotReady(model, "routes have not been read yet")
        raise UnknownModel(model)

    def warm(self, model: str) -> Sequence[Version]:
        """The versions of a model that can score now: of its route, in order, then of the one before."""
        return list(self._warm(model).values())

    def find_version(self, model: str, name: str) -> Version:
        """A version of a model that is served, by its name.

        Raises:
            UnknownVersion: None of that name is warm here.
        """
        warm = self.warm(model)
        for version in warm:
            if version.ref.version == name:
                return version
        raise UnknownVersion(model, name, [version.ref.version for version in warm])

    def knows(self, model: str) -> bool:
        """Whether a route of a model was read, usable or not."""
        return model in self._served or model in self._refused

    def revision_seen(self, model: str) -> int:
        """The newest revision of a model's route that was read, usable or not; -1 where none was."""
        followed, refused = self._followed(model), self._refused.get(model)
        return max(followed.revision if followed else -1, refused.route.revision if refused else -1)

    def asked(self, model: str) -> None:
        """A model was asked for: told a little later than it was, and not of every request alone."""

    def complete(self) -> None:
        """Say that every route there is was read: what is not here does not exist."""
        self._is_complete = True

    async def apply(self, route: Route) -> None:
        """Follow a route from now on, or say why not and go on as before. An older revision is ignored.

        Returns when it is followed, refused, or dropped: a newer one is followed, or the model was withdrawn.
        """
        current = self._followed(route.model)
        if route.revision < self.revision_seen(route.model) or (
            current and route.revision == current.revision
        ):
            return
        uptake = _Uptake(route, asyncio.ensure_future(self._load_all(route)))
        under_way = self._uptakes.setdefault(route.model, [])
        under_way.append(uptake)
        try:
            await asyncio.wait((uptake.loading,))
            if not uptake.is_dropped:
                self._settle(uptake)
        finally:
            uptake.loading.cancel()
            under_way.remove(uptake)
            if not under_way and self._uptakes.get(route.model) is under_way:
                del self._uptakes[route.model]

    async def withdraw(self, model: str) -> None:
        """Forget a model's route, and those that are being loaded."""
        for uptake in self._uptakes.pop(model, ()):
            uptake.drop()
        for kept in (self._served, self._loaded, self._previous, self._refused):
            kept.pop(model, None)
        self._tell_whether_all_are_warm()
        self._herald.withdrawn(model)
        self._metrics.route_withdrawn(model)
        self._log.info("route withdrawn", model=model)

    async def retry_refused(self) -> None:
        """Try again what was refused: a package may have arrived since."""
        async with asyncio.TaskGroup() as tasks:
            for refusal in list(self._refused.values()):
                tasks.create_task(self.apply(refusal.route))

    def _settle(self, uptake: _Uptake) -> None:
        route = uptake.route
        try:
            loaded = LoadedRoute(route, uptake.loading.result())
            self._take_over(loaded, self._build(loaded))
        except InvalidRoute as error:
            self._refuse(Refusal(route, "INVALID_ROUTE", str(error)))
        except VersionRefused as error:
            self._refuse(Refusal(route, error.reason, str(error)))

    async def _load_all(self, route: Route) -> Mapping[str, Version]:
        check_route(route)
        warm = self._warm(route.model)
        return {
            ref.digest: warm.get(ref.digest) or await self._load(route.model, ref)
            for ref in self._needs(route)
        }

    async def _load(self, model: str, ref: VersionRef) -> Version:
        version = await self._versions.load(model, ref)
        self._metrics.model_loaded(model, version.load_seconds)
        self._log.info(
            "model loaded", model=model, version=ref.version, seconds=round(version.load_seconds, 3)
        )
        return version

    def _warm(self, model: str) -> dict[str, Version]:
        kept = [self._loaded.get(model), self._previous.get(model)]
        return {digest: version for route in kept if route for digest, version in route.versions.items()}

    def _take_over(self, loaded: LoadedRoute, served: S) -> None:
        model = loaded.route.model
        for uptake in self._uptakes.get(model, ()):
            if uptake.route.revision <= loaded.route.revision:
                uptake.drop()
        if model in self._loaded:
            self._previous[model] = self._loaded[model]
        self._loaded[model] = loaded
        self._served[model] = served
        self._say_followed(loaded.route)

    def _followed(self, model: str) -> Route | None:
        """The route that a model's requests are answered by."""
        loaded = self._loaded.get(model)
        return loaded.route if loaded else None

    def _say_followed(self, route: Route) -> None:
        refused = self._refused.get(route.model)
        if refused and refused.route.revision > route.revision:
            self._herald_refusal(refused)
        else:
            self._refused.pop(route.model, None)
            self._herald.followed(route.model, route.revision)
        self._tell_whether_all_are_warm()
        self._metrics.route_followed(route.model, route.revision)
        self._log.info("route followed", model=route.model, revision=route.revision)

    def _refuse(self, refusal: Refusal) -> None:
        model = refusal.route.model
        if self._refused.get(model) == refusal or refusal.route.revision < self.revision_seen(model):
            # Tried again in vain, which was said before; or a newer one is refused already.
            return
        self._refused[model] = refusal
        self._tell_whether_all_are_warm()
        self._herald_refusal(refusal)
        self._metrics.route_refused(model, refusal.reason)
        self._log.error(
            "route refused",
            model=model,
            revision=refusal.route.revision,
            reason=refusal.reason,
            detail=refusal.detail,
            serving_revision=self._serving_revision(model),
        )

    def _herald_refusal(self, refusal: Refusal) -> None:
        model, revision = refusal.route.model, refusal.route.revision
        serving = self._serving_revision(model)
        self._herald.refused(model, revision, serving, refusal.reason, refusal.detail)

    def _serving_revision(self, model: str) -> int:
        followed = self._followed(model)
        return followed.revision if followed else -1

    def _tell_whether_all_are_warm(self) -> None:
        if self.lacking is None:
            self._all_warm.set()
        else:
            self._all_warm.clear()

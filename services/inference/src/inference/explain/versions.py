"""Where the package of a version is: every version that was registered or routed, retired ones included."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from google.protobuf.message import DecodeError

from inference.adapters.wire import route_of
from inference.domain.routes import Role, Route, VersionRef
from inference.explain.errors import NotFound, NotReadable
from inference.explain.wire import registered_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from bus.received import Received
    from structlog.stdlib import BoundLogger


class KnownVersions:
    """A picture of `models.registered` and `routes.changed`, both read whole.

    Args:
        log: Where what cannot be read is told.
        lacking: Why the picture may lack something, in words; None where it is whole.
    """

    def __init__(self, log: BoundLogger, lacking: Callable[[], str | None] = lambda: None) -> None:
        self._log = log
        self.lacking = lacking
        self._refs: dict[tuple[str, str], VersionRef] = {}
        self._routes: dict[str, Route] = {}

    async def on_registered(self, received: Received) -> None:
        """See `bus.follow.OnEvent`."""
        try:
            model, ref = registered_of(received.event.data)
        except DecodeError as error:
            self._log.error("registration unreadable", offset=received.offset, reason=str(error))
        else:
            self._refs[model, ref.version] = ref

    async def on_route(self, received: Received) -> None:
        """See `bus.follow.OnEvent`: versions stay known when their route is withdrawn."""
        if received.event.tombstone:
            self._routes.pop(received.event.key.decode(errors="replace"), None)
            return
        try:
            route = route_of(received.event.data)
        except DecodeError as error:
            self._log.error("route unreadable", offset=received.offset, reason=str(error))
            return
        self._routes[route.model] = route
        for ref in (*(arm.version for arm in route.arms), *route.shadows):
            self._refs[route.model, ref.version] = ref

    def find(self, model: str, version: str) -> VersionRef:
        """Return where a version is; the champion's where none is named.

        Raises:
            NotFound: The model or the version is not known.
            NotReadable: The same, and not all there is has been read.
        """
        found = self._refs.get((model, version)) if version else self._champion(model)
        if found is None:
            self._refuse(model, version)
        return found

    def _refuse(self, model: str, version: str) -> NoReturn:
        lacking = self.lacking()
        if lacking is not None:
            raise NotReadable(f"version {version!r} of model {model!r} is not known yet: {lacking}")
        if version:
            of_model = sorted(name for owner, name in self._refs if owner == model)
            known = f"known are {', '.join(of_model)}" if of_model else "the model is not known either"
            raise NotFound(f"no version {version!r} of model {model!r} was registered or routed; {known}")
        raise NotFound(f"model {model!r} has no route, so no champion: name the version, or check the name")

    def _champion(self, model: str) -> VersionRef | None:
        route = self._routes.get(model)
        if route is None or not route.arms:
            return None
        champions = [arm for arm in route.arms if arm.role is Role.CHAMPION]
        return (champions or route.arms)[0].version

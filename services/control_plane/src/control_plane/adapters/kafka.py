"""`models.registered` as registrations: what cannot be registered becomes a rejection with its reason."""

from collections.abc import Sequence

from bus.received import Received, Rejection

from control_plane import handlers
from control_plane.adapters import wire
from control_plane.domain.errors import PackageRefused, VersionConflict
from control_plane.ports import Packages, Registry


class Registrations:
    """The runner's handler: registers each version in turn. A replay changes nothing."""

    def __init__(self, *, registry: Registry, packages: Packages) -> None:
        self._registry = registry
        self._packages = packages

    async def __call__(self, batch: Sequence[Received]) -> list[Rejection]:
        """Returns what was refused; raises `Unavailable` while the database or the package store is away."""
        refused = [await self._register(received) for received in batch]
        return [rejection for rejection in refused if rejection]

    async def _register(self, received: Received) -> Rejection | None:
        try:
            await handlers.register(
                wire.claim_of(received.event),
                registry=self._registry,
                packages=self._packages,
                now_us=received.event.recorded_time_us,
            )
        except (wire.UnreadableMessage, PackageRefused) as error:
            return Rejection(received, error.reason, str(error))
        except VersionConflict as error:
            return Rejection(received, "VERSION_CONFLICT", str(error))
        return None

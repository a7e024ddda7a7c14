"""What arrives on the bus as changes; what cannot be made of it becomes a rejection with its reason."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from bus import topics
from bus.clocks import Clock
from bus.received import Received, Rejection

from control_plane import handlers
from control_plane.adapters import wire
from control_plane.domain.errors import PackageRefused, UnknownModel, VersionConflict
from control_plane.ports import Packages, Registry

CONSUMED = (
    topics.MODELS_REGISTERED,
    topics.RETRAIN_REQUESTED,
    topics.VARIANTS_COMPARED,
    topics.MONITORS_MEASURED,
)

Settled = Callable[[], Awaitable[None]]


class Inbox:
    """The runner's handler: takes each event in turn. A replay changes nothing.

    Args:
        registry: What is changed.
        packages: Where versions' packages are.
        clock: The wall clock, for the audit.
        settled: Awaited after each batch: returns when what the batch led to is on the bus, so that progress
            on an event is told after its effects.
    """

    def __init__(self, *, registry: Registry, packages: Packages, clock: Clock, settled: Settled) -> None:
        self._registry = registry
        self._packages = packages
        self._clock = clock
        self._settled = settled
        self._takers: Mapping[str, Callable[[Received], Awaitable[None]]] = {
            topics.MODELS_REGISTERED.name: self._registered,
            topics.RETRAIN_REQUESTED.name: self._requested,
            topics.VARIANTS_COMPARED.name: self._compared,
            topics.MONITORS_MEASURED.name: self._measured,
        }

    async def __call__(self, batch: Sequence[Received]) -> list[Rejection]:
        """Returns what was refused; raises `Unavailable` while the database or the package store is away."""
        refused = [await self._take(received) for received in batch]
        await self._settled()
        return [rejection for rejection in refused if rejection]

    async def _take(self, received: Received) -> Rejection | None:
        try:
            await self._takers[received.topic](received)
        except (wire.UnreadableMessage, PackageRefused) as error:
            return Rejection(received, error.reason, str(error))
        except VersionConflict as error:
            return Rejection(received, "VERSION_CONFLICT", str(error))
        except UnknownModel as error:
            return Rejection(received, "UNKNOWN_MODEL", str(error))
        return None

    async def _registered(self, received: Received) -> None:
        await handlers.register(
            wire.claim_of(received.event),
            registry=self._registry,
            packages=self._packages,
            now_us=received.event.recorded_time_us,
        )

    async def _requested(self, received: Received) -> None:
        await handlers.on_retrain_requested(
            wire.retrain_request_of(received.event), registry=self._registry, now_us=self._clock()
        )

    async def _compared(self, received: Received) -> None:
        await handlers.on_variants_compared(
            wire.comparison_of(received.event), registry=self._registry, now_us=self._clock()
        )

    async def _measured(self, received: Received) -> None:
        passed = wire.measured_until_of(received.event)
        if passed is None:
            return
        model, until_us = passed
        await handlers.on_event_time_passed(model, until_us, registry=self._registry, now_us=self._clock())

"""What the control plane needs from outside, in its own words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bus.events import Event

from control_plane.domain.pages import Page, Window
from control_plane.domain.routes import Route
from control_plane.domain.versions import ModelSummary, PackageFacts, Version


class Packages(Protocol):
    """The store of frozen packages."""

    async def inspect(self, package_uri: str, digest: str) -> PackageFacts:
        """Verifies every byte of a package and returns what it says of itself.

        Raises:
            PackageRefused: it is not there, or not what the digest says.
            Unavailable: the store cannot be read now.
        """


class Registry(Protocol):
    """Versions and routes, durable; every method raises `bus.errors.Unavailable` while the store is away."""

    async def models(self, window: Window) -> Page[ModelSummary]:
        """Lists models by name."""

    async def model(self, model: str) -> ModelSummary | None:
        """Returns one model."""

    async def versions(self, model: str, window: Window) -> Page[Version]:
        """Lists a model's versions, the last registered first."""

    async def version(self, model: str, version: str) -> Version | None:
        """Returns one version."""

    async def add_version(self, version: Version) -> bool:
        """Registers a version; False when it was registered before with the same digest.

        Raises:
            VersionConflict: it was registered before with another digest.
        """

    async def route(self, model: str) -> Route | None:
        """Returns the route in force."""

    async def revisions(self, model: str, window: Window) -> Page[Route]:
        """Lists a model's routes, the one in force first."""

    async def change_route(self, route: Route, announcement: Event) -> None:
        """Puts a route in force and its announcement into the outbox: both or neither.

        Raises:
            RevisionConflict: the route in force is not the one before this.
        """


@dataclass(frozen=True, slots=True)
class Pending:
    """An event that was committed and is yet to be published; `number` is its place in the order."""

    number: int
    topic: str
    event: Event


@dataclass(frozen=True, slots=True)
class Lease:
    """Whose turn it is to publish, from when until when, in microseconds since the epoch."""

    holder: str
    from_us: int
    until_us: int


class Outbox(Protocol):
    """Events committed with the changes they announce, until they are on the bus."""

    async def claim(self, lease: Lease, limit: int) -> Sequence[Pending]:
        """Takes the turn to publish and returns the oldest unsent events in order, in one step.

        Empty, and no turn taken, when there are none or while another holder's lease lasts.
        """

    async def mark_sent(self, numbers: Sequence[int], lease: Lease, now_us: int) -> bool:
        """Marks events as published and gives up the turn; False, marking nothing, if it was over already."""

    async def repeat(self, pending: Sequence[Pending]) -> None:
        """Puts the latest event of each of these topics and keys into the outbox once more.

        For a holder that published after its turn: readers of a compacted topic must find the latest last.
        """

"""What the control plane needs from outside, in its own words."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from bus.events import Event

from control_plane.domain.approvals import Approval, ApprovalState
from control_plane.domain.audit import Head, Link
from control_plane.domain.pages import Page, Window
from control_plane.domain.rollouts import Rollout
from control_plane.domain.routes import Route
from control_plane.domain.state import Change, ModelState
from control_plane.domain.versions import ModelSummary, PackageFacts, Version


class Overtaken(Exception):
    """The model has changed since the state was read: read it again and decide again."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which approvals are wanted; None: any."""

    state: ApprovalState | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Announcement:
    """An event, and the topic it goes to."""

    topic: str
    event: Event


class Announce(Protocol):
    """Says what to publish about a change."""

    def __call__(self, change: Change, links: Sequence[Link]) -> Sequence[Announcement]:
        """Returns the events that announce a change and the audit links it added, in order."""


class Packages(Protocol):
    """The store of frozen packages."""

    async def inspect(self, package_uri: str, digest: str) -> PackageFacts:
        """Verifies every byte of a package and returns what it says of itself.

        Raises:
            PackageRefused: it is not there, or not what the digest says.
            Unavailable: the store cannot be read now.
        """


class Registry(Protocol):
    """What is registered, decided and in force, durable.

    Every method raises `bus.errors.Unavailable` while the store is away.
    """

    async def state(
        self, model: str, *, versions: Collection[str] = (), approvals: Collection[str] = ()
    ) -> ModelState:
        """Returns what decisions about a model are made on, with the versions and approvals named."""

    async def commit(self, change: Change) -> None:
        """Makes a change true, with its links of the audit and its announcements in the outbox, or nothing.

        Raises:
            Overtaken: the model's state is no longer the one that the change was decided on.
        """

    async def models(self, window: Window) -> Page[ModelSummary]:
        """Lists models by name."""

    async def model(self, model: str) -> ModelSummary | None:
        """Returns one model."""

    async def versions(self, model: str, window: Window) -> Page[Version]:
        """Lists a model's versions, the last registered first."""

    async def version(self, model: str, version: str) -> Version | None:
        """Returns one version."""

    async def route(self, model: str) -> Route | None:
        """Returns the route in force."""

    async def revisions(self, model: str, window: Window) -> Page[Route]:
        """Lists a model's routes, the one in force first."""

    async def approvals(self, wanted: Wanted, window: Window) -> Page[Approval]:
        """Lists approvals, the last opened first."""

    async def approval(self, approval_id: str) -> Approval | None:
        """Returns one approval."""

    async def rollouts(self, model: str, window: Window) -> Page[Rollout]:
        """Lists a model's rollouts, the last started first."""

    async def rollout(self, model: str, rollout_id: str) -> Rollout | None:
        """Returns one rollout."""

    async def audit(self, window: Window) -> Page[Link]:
        """Lists the audit's links from the first on; the cursor is a link's sequence number."""

    async def audit_head(self) -> Head:
        """Tells where the audit ends, as noted beside it."""


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

    async def unsent(self) -> int:
        """Counts the events that are not on the bus yet."""

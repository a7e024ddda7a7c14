"""What is decided on, and what a decision amounts to: one model's state, and a change of it.

A change becomes true whole or not at all, and only if the state it was decided on is still the one there is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from control_plane.domain.alerts import AbortAlert
from control_plane.domain.approvals import Approval
from control_plane.domain.audit import Entry
from control_plane.domain.errors import UnknownModel, UnknownVersion
from control_plane.domain.rollouts import Rollout
from control_plane.domain.routes import Route
from control_plane.domain.versions import Version


@dataclass(frozen=True, slots=True)
class ModelState:
    """A model as it was at one moment.

    Attributes:
        revision: Counts the model's changes; 0 when it is not registered.
        event_time_us: How far event time has come, as far as anybody said; 0 when nobody did.
        champions: Every version that ever was champion, once, the last first.
        rollout: The one that is running.
        rollouts: How many there ever were.
        alert: The newest abort's, firing or not.
        versions: Those in the route, in the rollout, among the champions, and those asked for, by name.
        approvals: Those that are pending, and those asked for, by id.
    """

    model: str
    revision: int = 0
    event_time_us: int = 0
    route: Route | None = None
    champions: tuple[str, ...] = ()
    rollout: Rollout | None = None
    rollouts: int = 0
    alert: AbortAlert | None = None
    versions: Mapping[str, Version] = field(default_factory=dict)
    approvals: Mapping[str, Approval] = field(default_factory=dict)

    def time_us(self, now_us: int) -> int:
        """Tells the time of a decision: event time where it is known, else the clock's."""
        return self.event_time_us or now_us

    def version(self, name: str) -> Version:
        """Returns a registered version.

        Raises:
            UnknownModel: there is no such model.
            UnknownVersion: there is no such version.
        """
        if not self.revision:
            raise UnknownModel(self.model)
        if name not in self.versions:
            raise UnknownVersion(self.model, name)
        return self.versions[name]


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes true together.

    Attributes:
        before: The state it was decided on.
        at_us: The clock's time, for the audit.
        entries: What is added to the audit.
        registered: A new version.
        versions: Known versions about which something else holds now.
        approvals: New or decided ones.
        route: What is put in force.
        rollout: A new one, or one about which something else holds now.
        alert: A new one, or one that ends.
        event_time_us: How far event time has come.
    """

    before: ModelState
    at_us: int
    entries: tuple[Entry, ...] = ()
    registered: Version | None = None
    versions: tuple[Version, ...] = ()
    approvals: tuple[Approval, ...] = ()
    route: Route | None = None
    rollout: Rollout | None = None
    alert: AbortAlert | None = None
    event_time_us: int = 0
    traceparent: str | None = None

    @property
    def model(self) -> str:
        """The model it changes."""
        return self.before.model

    @property
    def rollout_moved(self) -> bool:
        """Whether the rollout did more than note evidence."""
        known = self.before.rollout.moves if self.before.rollout else ()
        return self.rollout is not None and len(self.rollout.moves) > len(known)

    @property
    def empty(self) -> bool:
        """Whether it changes nothing."""
        parts = (self.registered, self.versions, self.approvals, self.route, self.rollout, self.alert)
        return not any(parts) and self.event_time_us <= self.before.event_time_us

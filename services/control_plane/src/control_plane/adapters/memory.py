"""The registry and the outbox in this process, for tests of what is built on them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from bus.events import Event

from control_plane.domain.alerts import AbortAlert
from control_plane.domain.approvals import Approval, ApprovalState
from control_plane.domain.audit import Head, Link, append
from control_plane.domain.pages import Item, Page, Window
from control_plane.domain.rollouts import Rollout
from control_plane.domain.routes import Canary, Route
from control_plane.domain.state import Change, ModelState
from control_plane.domain.versions import ModelSummary, Version
from control_plane.ports import Announce, Lease, Overtaken, Pending, Wanted

NOBODY = Lease("", 0, 0)


@dataclass
class MemoryOutbox:
    """See `ports.Outbox`."""

    events: list[Pending] = field(default_factory=list)
    sent: set[int] = field(default_factory=set)
    turn: Lease = NOBODY

    def add(self, topic: str, event: Event) -> None:
        """Adds an event behind all others."""
        self.events.append(Pending(len(self.events) + 1, topic, event))

    async def claim(self, lease: Lease, limit: int) -> Sequence[Pending]:
        """See `ports.Outbox.claim`."""
        unsent = [pending for pending in self.events if pending.number not in self.sent]
        if not unsent or (self.turn.holder != lease.holder and self.turn.until_us > lease.from_us):
            return []
        self.turn = lease
        return unsent[:limit]

    async def mark_sent(self, numbers: Sequence[int], lease: Lease, now_us: int) -> bool:
        """See `ports.Outbox.mark_sent`."""
        if self.turn != lease or now_us >= lease.until_us:
            return False
        self.sent.update(numbers)
        self.turn = NOBODY
        return True

    async def repeat(self, pending: Sequence[Pending]) -> None:
        """See `ports.Outbox.repeat`."""
        for topic, key in dict.fromkeys((item.topic, item.event.key) for item in pending):
            latest = [item for item in self.events if (item.topic, item.event.key) == (topic, key)][-1]
            self.add(topic, latest.event)

    async def unsent(self) -> int:
        """See `ports.Outbox.unsent`."""
        return len(self.events) - len(self.sent)


@dataclass
class _Model:
    """Everything about one model."""

    revision: int = 0
    event_time_us: int = 0
    alert: AbortAlert | None = None
    versions: dict[str, Version] = field(default_factory=dict)
    routes: list[Route] = field(default_factory=list)
    rollouts: dict[str, Rollout] = field(default_factory=dict)


class MemoryRegistry:
    """See `ports.Registry`."""

    def __init__(self, outbox: MemoryOutbox, *, announce: Announce) -> None:
        self._outbox = outbox
        self._announce = announce
        self._models: dict[str, _Model] = {}
        self._approvals: dict[str, Approval] = {}
        self._links: list[Link] = []

    async def state(
        self, model: str, *, versions: Collection[str] = (), approvals: Collection[str] = ()
    ) -> ModelState:
        """See `ports.Registry.state`."""
        known = self._models.get(model, _Model())
        running = [rollout for rollout in known.rollouts.values() if not rollout.ended]
        pending = {
            approval_id: approval
            for approval_id, approval in self._approvals.items()
            if approval_id in approvals
            or (approval.model == model and approval.state is ApprovalState.PENDING)
        }
        del versions  # all of them are at hand
        return ModelState(
            model,
            known.revision,
            known.event_time_us,
            self._current(known),
            tuple(dict.fromkeys(route.champion.version for route in reversed(known.routes))),
            running[0] if running else None,
            len(known.rollouts),
            known.alert,
            dict(known.versions),
            pending,
        )

    async def commit(self, change: Change) -> None:
        """See `ports.Registry.commit`."""
        known = self._models.get(change.model, _Model())
        if known.revision != change.before.revision:
            raise Overtaken(change.model)
        head = await self.audit_head()
        links = append(head, change.entries, recorded_at_us=change.at_us)
        announcements = self._announce(change, links)
        self._models[change.model] = known
        known.revision += 1
        known.event_time_us = max(known.event_time_us, change.event_time_us)
        known.alert = change.alert or known.alert
        written = (*([change.registered] if change.registered else []), *change.versions)
        known.versions |= {version.version: version for version in written}
        known.routes += [change.route] if change.route else []
        if change.rollout:
            known.rollouts[change.rollout.rollout_id] = change.rollout
        self._approvals |= {approval.approval_id: approval for approval in change.approvals}
        self._links += links
        for announcement in announcements:
            self._outbox.add(announcement.topic, announcement.event)

    async def models(self, window: Window) -> Page[ModelSummary]:
        """See `ports.Registry.models`."""
        names = sorted(
            name
            for name, known in self._models.items()
            if known.versions and (window.after is None or name > window.after)
        )
        summaries = [self._summary(name) for name in names[: window.limit]]
        return Page(summaries, summaries[-1].model if len(names) > window.limit else None)

    async def model(self, model: str) -> ModelSummary | None:
        """See `ports.Registry.model`."""
        return self._summary(model) if model in self._models else None

    async def versions(self, model: str, window: Window) -> Page[Version]:
        """See `ports.Registry.versions`."""
        return _newest_first(list(self._models.get(model, _Model()).versions.values()), window)

    async def version(self, model: str, version: str) -> Version | None:
        """See `ports.Registry.version`."""
        return self._models.get(model, _Model()).versions.get(version)

    async def route(self, model: str) -> Route | None:
        """See `ports.Registry.route`."""
        return self._current(self._models.get(model, _Model()))

    async def revisions(self, model: str, window: Window) -> Page[Route]:
        """See `ports.Registry.revisions`."""
        known = self._models.get(model, _Model())
        return _newest_first([_fresh(route, known) for route in known.routes], window)

    async def approvals(self, wanted: Wanted, window: Window) -> Page[Approval]:
        """See `ports.Registry.approvals`."""
        numbered = {str(number + 1): item for number, item in enumerate(self._approvals.values())}
        after = window.after_number
        found = [
            (number, item)
            for number, item in reversed(numbered.items())
            if (after is None or int(number) < after)
            and wanted.state in (None, item.state)
            and wanted.model in (None, item.model)
        ]
        shown = found[: window.limit]
        return Page([item for _, item in shown], shown[-1][0] if len(found) > len(shown) else None)

    async def approval(self, approval_id: str) -> Approval | None:
        """See `ports.Registry.approval`."""
        return self._approvals.get(approval_id)

    async def rollouts(self, model: str, window: Window) -> Page[Rollout]:
        """See `ports.Registry.rollouts`."""
        return _newest_first(list(self._models.get(model, _Model()).rollouts.values()), window)

    async def rollout(self, model: str, rollout_id: str) -> Rollout | None:
        """See `ports.Registry.rollout`."""
        return self._models.get(model, _Model()).rollouts.get(rollout_id)

    async def audit(self, window: Window) -> Page[Link]:
        """See `ports.Registry.audit`."""
        start = window.after_number or 0
        links = self._links[start : start + window.limit]
        more = start + len(links) < len(self._links)
        return Page(links, str(links[-1].sequence) if more else None)

    async def audit_head(self) -> Head:
        """See `ports.Registry.audit_head`."""
        return Head(self._links[-1].sequence, self._links[-1].hash) if self._links else Head()

    def _current(self, known: _Model) -> Route | None:
        return _fresh(known.routes[-1], known) if known.routes else None

    def _summary(self, model: str) -> ModelSummary:
        known = self._models[model]
        route = known.routes[-1] if known.routes else None
        return ModelSummary(
            model=model,
            versions=len(known.versions),
            latest_version=list(known.versions)[-1],
            champion=route.champion.version if route else None,
            shadows=route.shadow_names if route else (),
            revision=route.revision if route else 0,
        )


def _fresh(route: Route, known: _Model) -> Route:
    """A route with what is decided by now about its versions."""
    canary = route.canary
    return replace(
        route,
        champion=known.versions[route.champion.version],
        shadows=tuple(known.versions[shadow.version] for shadow in route.shadows),
        canary=Canary(known.versions[canary.version.version], canary.weight_basis_points) if canary else None,
        participants=tuple(known.versions[version.version] for version in route.participants),
    )


def _newest_first(history: Sequence[Item], window: Window) -> Page[Item]:
    end = len(history) if window.after_number is None else window.after_number - 1
    start = max(0, end - window.limit)
    return Page(history[start:end][::-1], str(start + 1) if start else None)

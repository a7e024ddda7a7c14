"""The registry and the outbox in this process, for tests of what is built on them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bus.events import Event

from control_plane.domain.errors import RevisionConflict
from control_plane.domain.pages import Item, Page, Window
from control_plane.domain.routes import Route
from control_plane.domain.versions import ModelSummary, Version
from control_plane.ports import Lease, Pending

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


class MemoryRegistry:
    """See `ports.Registry`."""

    def __init__(self, outbox: MemoryOutbox, *, routes_topic: str) -> None:
        self._outbox = outbox
        self._routes_topic = routes_topic
        self._versions: dict[str, list[Version]] = {}
        self._routes: dict[str, list[Route]] = {}

    async def models(self, window: Window) -> Page[ModelSummary]:
        """See `ports.Registry.models`."""
        names = sorted(name for name in self._versions if window.after is None or name > window.after)
        summaries = [self._summary(name) for name in names[: window.limit]]
        return Page(summaries, summaries[-1].model if len(names) > window.limit else None)

    async def model(self, model: str) -> ModelSummary | None:
        """See `ports.Registry.model`."""
        return self._summary(model) if model in self._versions else None

    async def versions(self, model: str, window: Window) -> Page[Version]:
        """See `ports.Registry.versions`."""
        return _newest_first(self._versions.get(model, []), window)

    async def version(self, model: str, version: str) -> Version | None:
        """See `ports.Registry.version`."""
        return next((known for known in self._versions.get(model, []) if known.version == version), None)

    async def add_version(self, version: Version) -> bool:
        """See `ports.Registry.add_version`."""
        known = await self.version(version.model, version.version)
        if known:
            known.expect(version.digest)
            return False
        self._versions.setdefault(version.model, []).append(version)
        return True

    async def route(self, model: str) -> Route | None:
        """See `ports.Registry.route`."""
        return self._routes[model][-1] if model in self._routes else None

    async def revisions(self, model: str, window: Window) -> Page[Route]:
        """See `ports.Registry.revisions`."""
        return _newest_first(self._routes.get(model, []), window)

    async def change_route(self, route: Route, announcement: Event) -> None:
        """See `ports.Registry.change_route`."""
        history = self._routes.get(route.model, [])
        if len(history) != route.revision - 1:
            raise RevisionConflict(route.model, current=len(history))
        self._routes[route.model] = [*history, route]
        self._outbox.add(self._routes_topic, announcement)

    def _summary(self, model: str) -> ModelSummary:
        registered = self._versions[model]
        route = self._routes[model][-1] if model in self._routes else None
        return ModelSummary(
            model=model,
            versions=len(registered),
            latest_version=registered[-1].version,
            champion=route.champion.version if route else None,
            shadows=route.shadow_names if route else (),
            revision=route.revision if route else 0,
        )


def _newest_first(history: Sequence[Item], window: Window) -> Page[Item]:
    end = len(history) if window.after_number is None else window.after_number - 1
    start = max(0, end - window.limit)
    return Page(history[start:end][::-1], str(start + 1) if start else None)

import asyncio
from functools import partial

import pytest
from bus.errors import Unavailable
from bus.events import Event
from bus.received import Received
from bus.topics import MODELS_REGISTERED, ROUTES_CHANGED
from control_plane import handlers
from control_plane.adapters.announcements import announce, route_changed
from control_plane.adapters.kafka import Inbox
from control_plane.adapters.memory import MemoryOutbox, MemoryRegistry
from control_plane.domain.approvals import Decision
from control_plane.domain.errors import (
    PackageRefused,
    RevisionConflict,
    UnknownModel,
    VersionConflict,
)
from control_plane.domain.routes import Route, RouteRequest
from control_plane.domain.state import Change
from control_plane.domain.versions import Claim
from control_plane.testing import MemoryPackages, keep, package_facts, version
from tidemark.registry.v1.model_pb2 import ModelRegistered


@pytest.fixture
async def registered(registry: MemoryRegistry, packages: MemoryPackages) -> MemoryRegistry:
    """A registry that holds versions a, b and c of one model."""
    for name in "abc":
        claim = packages.put(package_facts(name=name))
        await handlers.register(claim, registry=registry, packages=packages, now_us=5)
        await approve(registry, f"version:late:{name}")
    return registry


async def approve(registry: MemoryRegistry, approval_id: str) -> None:
    decision = Decision(approve=True, actor="ada")
    await handlers.decide_approval(approval_id, decision, handlers.Asking("ada", 6), registry=registry)


def routes_in(outbox: MemoryOutbox) -> list[Event]:
    return [pending.event for pending in outbox.events if pending.topic == ROUTES_CHANGED.name]


async def test_a_version_is_registered_with_what_its_package_says(
    registry: MemoryRegistry, packages: MemoryPackages
) -> None:
    claim = packages.put(package_facts(name="a"))
    done = await handlers.register(claim, registry=registry, packages=packages, now_us=5)
    assert done.created
    assert done.version.facts == package_facts(name="a")
    assert await registry.version("late", "a") == done.version


async def test_a_claim_without_a_name_takes_the_packages(
    registry: MemoryRegistry, packages: MemoryPackages
) -> None:
    claim = packages.put(package_facts(name="logistic-7"))
    unnamed = Claim(claim.model, None, claim.digest, claim.package_uri)
    for created in (True, False):
        done = await handlers.register(unnamed, registry=registry, packages=packages, now_us=5)
        assert (done.version.version, done.created) == ("logistic-7", created)


async def test_registering_again_changes_nothing(registry: MemoryRegistry, packages: MemoryPackages) -> None:
    claim = packages.put(package_facts(name="a"))
    first = await handlers.register(claim, registry=registry, packages=packages, now_us=5)
    again = await handlers.register(claim, registry=registry, packages=packages, now_us=6)
    assert again == handlers.Registration(first.version, created=False)


async def test_a_repeat_is_known_even_if_its_package_is_gone(
    registered: MemoryRegistry, packages: MemoryPackages
) -> None:
    claim = packages.put(package_facts(name="a"))
    packages.held.clear()
    done = await handlers.register(claim, registry=registered, packages=packages, now_us=6)
    assert not done.created


async def test_a_name_belongs_to_one_package_for_ever(
    registered: MemoryRegistry, packages: MemoryPackages
) -> None:
    other = packages.put(package_facts(name="other"))
    claim = Claim("late", "a", other.digest, other.package_uri)
    with pytest.raises(VersionConflict, match="never changes"):
        await handlers.register(claim, registry=registered, packages=packages, now_us=6)


@pytest.mark.parametrize(
    ("claim", "reason"),
    [
        (Claim("late", "a", "0" * 64, "memory:///x"), "PACKAGE_MISSING"),
        (Claim("other", "a", "", ""), "MODEL_MISMATCH"),
        (Claim("late", "a", "", "", contract_hash="f" * 64), "CONTRACT_MISMATCH"),
    ],
)
async def test_a_package_that_is_not_what_it_is_said_to_be_is_refused(
    claim: Claim, reason: str, registry: MemoryRegistry, packages: MemoryPackages
) -> None:
    packages.held[""] = package_facts(name="a")
    with pytest.raises(PackageRefused) as refused:
        await handlers.register(claim, registry=registry, packages=packages, now_us=5)
    assert refused.value.reason == reason
    assert await registry.model(claim.model) is None


async def put(
    registry: MemoryRegistry,
    packages: MemoryPackages,
    champion: str,
    *shadows: str,
    model: str = "late",
    expected: int | None = None,
) -> handlers.RouteChange:
    request = RouteRequest(model, champion, shadows, expected)
    asking = handlers.Asking("ada", 8)
    return await handlers.set_route(request, asking, registry=registry, packages=packages)


async def test_a_change_of_route_is_announced_once(
    registered: MemoryRegistry, packages: MemoryPackages, outbox: MemoryOutbox
) -> None:
    done = await put(registered, packages, "a", "b")
    again = await put(registered, packages, "a", "b")
    assert (done.changed, again.changed) == (True, False)
    assert routes_in(outbox) == [route_changed(done.route)]


async def test_a_route_of_an_unknown_model_is_refused(
    registered: MemoryRegistry, packages: MemoryPackages
) -> None:
    with pytest.raises(UnknownModel):
        await put(registered, packages, "a", model="lat")


async def test_a_package_that_was_lost_cannot_be_routed_to(
    registered: MemoryRegistry, packages: MemoryPackages, outbox: MemoryOutbox
) -> None:
    claim = packages.put(package_facts(name="b"))
    del packages.held[claim.digest]
    with pytest.raises(PackageRefused):
        await put(registered, packages, "a", "b")
    assert await registered.route("late") is None
    assert routes_in(outbox) == []


class Busy(MemoryRegistry):
    """Somebody else changes the route each time just before this one's change, `times` times."""

    times = 0

    async def commit(self, change: Change) -> None:
        if self.times:
            self.times -= 1
            current = change.before.route
            other = Route("late", current.revision + 1 if current else 1, version("c"), (), self.times)
            await super().commit(Change(change.before, 6, route=other))
        await super().commit(change)


@pytest.fixture
async def busy(outbox: MemoryOutbox, packages: MemoryPackages) -> Busy:
    registry = Busy(outbox, announce=announce)
    for name in "abc":
        packages.put(package_facts(name=name))
        await keep(registry, version(name))
    packages.held |= {version(name).digest: package_facts(name=name) for name in "abc"}
    return registry


async def test_a_change_for_any_revision_is_decided_again_when_overtaken(
    busy: Busy, packages: MemoryPackages
) -> None:
    busy.times = 2
    done = await put(busy, packages, "a", "b")
    assert (done.changed, done.route.revision) == (True, 3)


async def test_a_change_for_one_revision_is_not(busy: Busy, packages: MemoryPackages) -> None:
    busy.times = 1
    with pytest.raises(RevisionConflict, match="at revision 1"):
        await put(busy, packages, "a", "b", expected=0)


async def test_a_change_that_is_always_overtaken_gives_up(busy: Busy, packages: MemoryPackages) -> None:
    busy.times = 100
    with pytest.raises(Unavailable, match="changed by others"):
        await put(busy, packages, "a", "b")


async def test_changes_at_the_same_time_all_take_their_turn(
    registered: MemoryRegistry, packages: MemoryPackages, outbox: MemoryOutbox
) -> None:
    wanted = [("a",), ("b",), ("c",), ("a", "b"), ("b", "c")]
    done = await asyncio.gather(*(put(registered, packages, *names) for names in wanted))
    assert sorted(change.route.revision for change in done) == [1, 2, 3, 4, 5]
    assert [event.id for event in routes_in(outbox)] == [f"route:late:{n}" for n in range(1, 6)]


async def settled_at_once() -> None:
    """Nothing is ever under way to the bus."""


def received(message: ModelRegistered, offset: int) -> Received:
    event = Event.of(message, id=str(offset), source="test", key=message.model, time_us=1, recorded_time_us=4)
    return Received(MODELS_REGISTERED.name, 0, offset, event)


async def test_registrations_from_the_topic_are_made_or_rejected_with_a_reason(
    registry: MemoryRegistry, packages: MemoryPackages
) -> None:
    claims = [packages.put(package_facts(name=name)) for name in "ab"]
    message = partial(ModelRegistered, model="late")
    batch = [
        received(message(version="a", digest=claims[0].digest, package_uri="u"), 0),
        received(message(version="a", digest=claims[1].digest, package_uri="u"), 1),
        received(message(version="b", digest="0" * 64, package_uri="u"), 2),
        received(message(version="b"), 3),
        received(message(version="b", digest=claims[1].digest, package_uri="u"), 4),
    ]
    handle = Inbox(registry=registry, packages=packages, clock=lambda: 9, settled=settled_at_once)
    rejections = await handle(batch)
    assert [(rejection.received.offset, rejection.reason) for rejection in rejections] == [
        (1, "VERSION_CONFLICT"),
        (2, "PACKAGE_MISSING"),
        (3, "MISSING_FIELD"),
    ]
    kept = await registry.version("late", "a")
    assert kept is not None
    assert (kept.digest, kept.registered_at_us) == (claims[0].digest, 4)
    assert await registry.version("late", "b") is not None
    assert len(await handle(batch)) == 3, "a replay rejects the same and changes nothing"

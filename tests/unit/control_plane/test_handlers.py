import asyncio
from functools import partial

import pytest
from bus.events import Event
from bus.received import Received
from control_plane import handlers
from control_plane.adapters.kafka import Registrations
from control_plane.adapters.memory import MemoryOutbox, MemoryRegistry
from control_plane.adapters.wire import route_changed
from control_plane.domain.errors import (
    PackageRefused,
    RevisionConflict,
    UnknownModel,
    VersionConflict,
)
from control_plane.domain.routes import Route, RouteRequest
from control_plane.domain.versions import Claim
from control_plane.testing import MemoryPackages, package_facts
from tidemark.registry.v1.model_pb2 import ModelRegistered


@pytest.fixture
async def registered(registry: MemoryRegistry, packages: MemoryPackages) -> MemoryRegistry:
    """A registry that holds versions a, b and c of one model."""
    for name in "abc":
        claim = packages.put(package_facts(name=name))
        await handlers.register(claim, registry=registry, packages=packages, now_us=5)
    return registry


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
    return await handlers.set_route(
        RouteRequest(model, champion, shadows, expected),
        registry=registry,
        packages=packages,
        announce=route_changed,
        now_us=8,
    )


async def test_a_change_of_route_is_announced_once(
    registered: MemoryRegistry, packages: MemoryPackages, outbox: MemoryOutbox
) -> None:
    done = await put(registered, packages, "a", "b")
    again = await put(registered, packages, "a", "b")
    assert (done.changed, again.changed) == (True, False)
    assert [pending.event for pending in outbox.events] == [route_changed(done.route)]
    assert outbox.events[0].topic == "routes"


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
    assert outbox.events == []


class Overtaken(MemoryRegistry):
    """Somebody else changes the route each time just before this one's change, `times` times."""

    times = 0

    async def change_route(self, route: Route, announcement: Event) -> None:
        if self.times:
            self.times -= 1
            other = Route(route.model, route.revision, route.champion, (), 1)
            await super().change_route(other, announcement)
        await super().change_route(route, announcement)


@pytest.fixture
async def overtaken(outbox: MemoryOutbox, packages: MemoryPackages) -> Overtaken:
    registry = Overtaken(outbox, routes_topic="routes")
    for name in "ab":
        claim = packages.put(package_facts(name=name))
        await handlers.register(claim, registry=registry, packages=packages, now_us=5)
    return registry


async def test_a_change_for_any_revision_is_decided_again_when_overtaken(
    overtaken: Overtaken, packages: MemoryPackages
) -> None:
    overtaken.times = 2
    done = await put(overtaken, packages, "a", "b")
    assert (done.changed, done.route.revision) == (True, 3)


async def test_a_change_for_one_revision_is_not(overtaken: Overtaken, packages: MemoryPackages) -> None:
    overtaken.times = 1
    with pytest.raises(RevisionConflict, match="at revision 1"):
        await put(overtaken, packages, "a", "b", expected=0)


async def test_a_change_that_is_always_overtaken_gives_up(
    overtaken: Overtaken, packages: MemoryPackages
) -> None:
    overtaken.times = 100
    with pytest.raises(RevisionConflict):
        await put(overtaken, packages, "a", "b")


async def test_changes_at_the_same_time_all_take_their_turn(
    registered: MemoryRegistry, packages: MemoryPackages, outbox: MemoryOutbox
) -> None:
    wanted = [("a",), ("b",), ("c",), ("a", "b"), ("b", "c")]
    done = await asyncio.gather(*(put(registered, packages, *names) for names in wanted))
    assert sorted(change.route.revision for change in done) == [1, 2, 3, 4, 5]
    assert [pending.event.id for pending in outbox.events] == [f"route:late:{n}" for n in range(1, 6)]


def received(message: ModelRegistered, offset: int) -> Received:
    event = Event.of(message, id=str(offset), source="test", key=message.model, time_us=1, recorded_time_us=4)
    return Received("models", 0, offset, event)


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
    handle = Registrations(registry=registry, packages=packages)
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

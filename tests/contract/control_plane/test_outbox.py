from collections.abc import Sequence

import pytest
from bus.topics import ROUTES_CHANGED
from control_plane.adapters.announcements import route_changed
from control_plane.ports import Lease, Outbox, Pending, Registry
from control_plane.testing import keep, put_in_force, route, version

MINE = Lease("me", 0, 10)


async def announce(registry: Registry, model: str, *revisions: int) -> None:
    """Changes a route, so that its announcements are in the outbox."""
    champion = version("a", model=model)
    if not await registry.version(model, "a"):
        await keep(registry, champion)
    for revision in revisions:
        await put_in_force(registry, route(revision, champion), traceparent="00-1")


def ids(pending: Sequence[Pending]) -> list[str]:
    return [item.event.id for item in pending]


def numbers(pending: Sequence[Pending]) -> list[int]:
    return [item.number for item in pending]


async def test_an_empty_outbox_has_nothing_to_publish(outbox: Outbox) -> None:
    assert await outbox.claim(MINE, 10) == []


async def test_events_come_whole_and_in_the_order_of_their_commits(
    registry: Registry, outbox: Outbox
) -> None:
    await announce(registry, "late", 1, 2)
    await announce(registry, "early", 1)
    pending = await outbox.claim(MINE, 10)
    assert ids(pending) == ["route:late:1", "route:late:2", "route:early:1"]
    assert {item.topic for item in pending} == {ROUTES_CHANGED.name}
    assert numbers(pending) == sorted(numbers(pending))
    expected = route_changed(route(2, version("a")), traceparent="00-1")
    assert pending[1].event == expected


async def test_the_oldest_come_first_when_not_all_fit(registry: Registry, outbox: Outbox) -> None:
    await announce(registry, "late", 1, 2, 3)
    assert ids(await outbox.claim(MINE, 2)) == ["route:late:1", "route:late:2"]


async def test_what_is_marked_is_not_given_again(registry: Registry, outbox: Outbox) -> None:
    await announce(registry, "late", 1, 2)
    first = await outbox.claim(MINE, 1)
    assert await outbox.mark_sent(numbers(first), MINE, 5)
    assert ids(await outbox.claim(MINE, 10)) == ["route:late:2"]


async def test_what_is_not_marked_is_given_again(registry: Registry, outbox: Outbox) -> None:
    await announce(registry, "late", 1)
    await outbox.claim(MINE, 10)
    assert ids(await outbox.claim(MINE, 10)) == ["route:late:1"]


@pytest.mark.parametrize(("from_us", "expected"), [(9, 0), (10, 1)])
async def test_another_holder_waits_until_the_turn_is_over(
    registry: Registry, outbox: Outbox, from_us: int, expected: int
) -> None:
    await announce(registry, "late", 1)
    await outbox.claim(MINE, 10)
    assert len(await outbox.claim(Lease("other", from_us, from_us + 10), 10)) == expected


async def test_marking_gives_up_the_turn(registry: Registry, outbox: Outbox) -> None:
    await announce(registry, "late", 1, 2)
    first = await outbox.claim(MINE, 1)
    await outbox.mark_sent(numbers(first), MINE, 5)
    assert ids(await outbox.claim(Lease("other", 6, 16), 10)) == ["route:late:2"]


async def test_an_empty_outbox_leaves_the_turn_to_others(registry: Registry, outbox: Outbox) -> None:
    await outbox.claim(MINE, 10)
    await announce(registry, "late", 1)
    assert len(await outbox.claim(Lease("other", 1, 11), 10)) == 1


@pytest.mark.parametrize("taken_over", [True, False])
async def test_nothing_is_marked_after_the_turn(
    registry: Registry, outbox: Outbox, *, taken_over: bool
) -> None:
    await announce(registry, "late", 1)
    pending = await outbox.claim(MINE, 10)
    if taken_over:
        await outbox.claim(Lease("other", 10, 20), 10)
    assert not await outbox.mark_sent(numbers(pending), MINE, 12)
    assert ids(await outbox.claim(Lease("other", 25, 35), 10)) == ["route:late:1"]


async def test_the_latest_of_each_key_can_be_repeated(registry: Registry, outbox: Outbox) -> None:
    await announce(registry, "late", 1, 2, 3)
    await announce(registry, "early", 1)
    pending = await outbox.claim(MINE, 10)
    await outbox.mark_sent(numbers(pending), MINE, 5)
    await outbox.repeat(pending[:2])
    repeated = await outbox.claim(MINE, 10)
    assert ids(repeated) == ["route:late:3"]
    assert repeated[0].number > pending[-1].number
    assert repeated[0].event == pending[2].event

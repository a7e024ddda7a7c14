import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import pytest
from control_plane.adapters.announcements import route_changed
from control_plane.domain.errors import UnknownCursor
from control_plane.domain.experiments import Condition, Experiment, Segment, Share
from control_plane.domain.pages import Page, Window
from control_plane.domain.state import Change
from control_plane.domain.versions import ModelSummary
from control_plane.ports import Lease, Outbox, Overtaken, Registry
from control_plane.testing import keep, put_in_force, route, version

Item = TypeVar("Item")
ALL = Window(limit=100)
A, B, C = version("a"), version("b"), version("c")


async def walk(read: Callable[[Window], Awaitable[Page[Item]]], limit: int) -> list[list[Item]]:
    """Reads a list page by page."""
    pages, after = [], None
    while True:
        page = await read(Window(limit, after))
        pages.append(list(page.items))
        if page.next is None:
            return pages
        after = page.next


async def test_an_empty_registry_knows_nothing(registry: Registry) -> None:
    assert await registry.models(ALL) == Page([], None)
    assert await registry.model("late") is None
    assert await registry.versions("late", ALL) == Page([], None)
    assert await registry.version("late", "a") is None
    assert await registry.route("late") is None
    assert await registry.revisions("late", ALL) == Page([], None)


async def test_a_version_comes_back_as_it_was_registered(registry: Registry) -> None:
    await keep(registry, A)
    assert await registry.version("late", "a") == A
    assert await registry.version("other", "a") is None


async def test_one_of_many_registrations_at_once_makes_the_version(registry: Registry) -> None:
    seen = await registry.state("late")
    changes = (registry.commit(Change(seen, 5, registered=A)) for _ in range(8))
    made = await asyncio.gather(*changes, return_exceptions=True)
    assert [type(each) for each in made].count(Overtaken) == 7
    assert (await registry.state("late")).revision == 1


async def test_a_route_comes_back_with_its_experiment(registry: Registry) -> None:
    for one in (A, B, C):
        await keep(registry, one)
    jfk = Segment(
        "jfk",
        (
            Condition("entity", "origin", ("JFK",)),
            Condition("input", "gift", (True,)),
            Condition("input", "stops", (1.0, 2.0)),
            Condition("input", "distance", at_least=500.0),
        ),
        (Share("c", "c", 10_000),),
    )
    experiment = Experiment((Share("b", "b", 2_500),), (jfk,), "carrier")
    running = replace(route(1, A), salt="spring", experiment=experiment, participants=(B, C))
    await put_in_force(registry, running)
    assert await registry.route("late") == running
    assert (await registry.state("late")).route == running
    await put_in_force(registry, route(2, A))
    assert list((await registry.revisions("late", ALL)).items) == [route(2, A), running]


async def test_two_models_may_have_versions_of_one_name(registry: Registry) -> None:
    await keep(registry, A)
    await keep(registry, version("a", model="early"))
    assert [summary.model for summary in (await registry.models(ALL)).items] == ["early", "late"]


async def test_a_model_is_summed_up(registry: Registry) -> None:
    await keep(registry, A)
    await keep(registry, B)
    assert await registry.model("late") == ModelSummary("late", 2, "b", None, (), 0)
    await put_in_force(registry, route(1, A, (B,)))
    await put_in_force(registry, route(2, B, (A,)))
    summary = ModelSummary("late", 2, "b", "b", ("a",), 2)
    assert await registry.model("late") == summary
    assert (await registry.models(ALL)).items == [summary]


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7])
async def test_lists_come_in_pages_that_meet(registry: Registry, limit: int) -> None:
    names = [f"m{number}" for number in range(6)]
    for name in names:
        await keep(registry, version(name, model=name))
        await keep(registry, version(name))
    models = await walk(registry.models, limit)
    versions = await walk(lambda window: registry.versions("late", window), limit)
    assert [item.model for page in models for item in page] == ["late", *names]
    assert [item.version for page in versions for item in page] == names[::-1]
    sizes = [[len(page) for page in pages] for pages in (models, versions)]
    assert {size for pages in sizes for size in pages[:-1]} <= {limit}
    assert all(pages[-1] for pages in sizes), "a last page is not empty"


async def test_what_is_added_meanwhile_moves_no_page(registry: Registry) -> None:
    for added in (A, B):
        await keep(registry, added)
    first = await registry.versions("late", Window(1))
    await keep(registry, C)
    assert (await registry.versions("late", Window(1, first.next))).items == [A]


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1.5", "²", "9" * 30])
async def test_what_is_no_cursor_is_refused(registry: Registry, cursor: str) -> None:
    await keep(registry, A)
    with pytest.raises(UnknownCursor):
        await registry.versions("late", Window(10, cursor))
    with pytest.raises(UnknownCursor):
        await registry.revisions("late", Window(10, cursor))


async def test_routes_are_kept_with_their_history(registry: Registry) -> None:
    for added in (A, B, C):
        await keep(registry, added)
    history = [route(1, A), route(2, A, (B, C)), route(3, C, (B,), changed_at_us=8)]
    for changed in history:
        await put_in_force(registry, changed)
    assert await registry.route("late") == history[-1]
    pages = await walk(lambda window: registry.revisions("late", window), 2)
    assert pages == [[history[2], history[1]], [history[0]]]


async def test_a_change_of_a_state_that_is_no_more_changes_nothing(
    registry: Registry, outbox: Outbox
) -> None:
    await keep(registry, A)
    seen = await registry.state("late")
    await registry.commit(Change(seen, 7, route=route(1, A)))
    with pytest.raises(Overtaken):
        await registry.commit(Change(seen, 7, route=route(2, A), registered=B))
    assert await registry.route("late") == route(1, A)
    assert await registry.version("late", "b") is None
    assert len(await outbox.claim(Lease("me", 0, 1), 10)) == 1, "a refused change announces nothing"


async def test_one_of_many_changes_of_one_state_wins(registry: Registry, outbox: Outbox) -> None:
    await keep(registry, A)
    seen = await registry.state("late")
    changes = (registry.commit(Change(seen, 7, route=route(1, A, changed_at_us=n))) for n in range(8))
    results = await asyncio.gather(*changes, return_exceptions=True)
    assert [type(result) for result in results].count(Overtaken) == 7
    announced = await outbox.claim(Lease("me", 0, 1), 10)
    in_force = await registry.route("late")
    assert in_force is not None
    assert [pending.event for pending in announced] == [route_changed(in_force)]

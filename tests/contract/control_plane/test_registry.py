import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from control_plane.adapters.wire import route_changed
from control_plane.domain.errors import RevisionConflict, UnknownCursor, VersionConflict
from control_plane.domain.pages import Page, Window
from control_plane.domain.routes import Route
from control_plane.domain.versions import ModelSummary
from control_plane.ports import Lease, Outbox, Registry
from control_plane.testing import route, version

Item = TypeVar("Item")
ALL = Window(limit=100)
A, B, C = version("a"), version("b"), version("c")


async def change(registry: Registry, changed: Route) -> None:
    await registry.change_route(changed, route_changed(changed))


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
    assert await registry.add_version(A)
    assert await registry.version("late", "a") == A
    assert await registry.version("other", "a") is None


async def test_registering_a_version_again_keeps_the_first(registry: Registry) -> None:
    await registry.add_version(A)
    assert not await registry.add_version(version("a", at_us=99))
    assert await registry.version("late", "a") == A


async def test_a_registered_version_never_changes(registry: Registry) -> None:
    await registry.add_version(A)
    with pytest.raises(VersionConflict):
        await registry.add_version(version("a", digest="f" * 64))
    assert await registry.version("late", "a") == A


async def test_one_of_many_registrations_at_once_makes_the_version(registry: Registry) -> None:
    made = await asyncio.gather(*(registry.add_version(A) for _ in range(8)))
    assert sorted(made) == [False] * 7 + [True]


async def test_two_models_may_have_versions_of_one_name(registry: Registry) -> None:
    assert await registry.add_version(A)
    assert await registry.add_version(version("a", model="early"))
    assert [summary.model for summary in (await registry.models(ALL)).items] == ["early", "late"]


async def test_a_model_is_summed_up(registry: Registry) -> None:
    await registry.add_version(A)
    await registry.add_version(B)
    assert await registry.model("late") == ModelSummary("late", 2, "b", None, (), 0)
    await change(registry, route(1, A, (B,)))
    await change(registry, route(2, B, (A,)))
    summary = ModelSummary("late", 2, "b", "b", ("a",), 2)
    assert await registry.model("late") == summary
    assert (await registry.models(ALL)).items == [summary]


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7])
async def test_lists_come_in_pages_that_meet(registry: Registry, limit: int) -> None:
    names = [f"m{number}" for number in range(6)]
    for name in names:
        await registry.add_version(version(name, model=name))
        await registry.add_version(version(name))
    models = await walk(registry.models, limit)
    versions = await walk(lambda window: registry.versions("late", window), limit)
    assert [item.model for page in models for item in page] == ["late", *names]
    assert [item.version for page in versions for item in page] == names[::-1]
    sizes = [[len(page) for page in pages] for pages in (models, versions)]
    assert {size for pages in sizes for size in pages[:-1]} <= {limit}
    assert all(pages[-1] for pages in sizes), "a last page is not empty"


async def test_what_is_added_meanwhile_moves_no_page(registry: Registry) -> None:
    for added in (A, B):
        await registry.add_version(added)
    first = await registry.versions("late", Window(1))
    await registry.add_version(C)
    assert (await registry.versions("late", Window(1, first.next))).items == [A]


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1.5", "²", "9" * 30])
async def test_what_is_no_cursor_is_refused(registry: Registry, cursor: str) -> None:
    await registry.add_version(A)
    with pytest.raises(UnknownCursor):
        await registry.versions("late", Window(10, cursor))
    with pytest.raises(UnknownCursor):
        await registry.revisions("late", Window(10, cursor))


async def test_routes_are_kept_with_their_history(registry: Registry) -> None:
    for added in (A, B, C):
        await registry.add_version(added)
    history = [route(1, A), route(2, A, (B, C)), route(3, C, (B,), changed_at_us=8)]
    for changed in history:
        await change(registry, changed)
    assert await registry.route("late") == history[-1]
    pages = await walk(lambda window: registry.revisions("late", window), 2)
    assert pages == [[history[2], history[1]], [history[0]]]


@pytest.mark.parametrize("revision", [1, 2, 4])
async def test_only_the_next_revision_can_be_put_in_force(
    registry: Registry, outbox: Outbox, revision: int
) -> None:
    await registry.add_version(A)
    for number in (1, 2):
        await change(registry, route(number, A))
    with pytest.raises(RevisionConflict) as conflict:
        await change(registry, route(revision, A))
    assert conflict.value.current == 2
    assert len(await outbox.claim(Lease("me", 0, 1), 10)) == 2, "a refused change announces nothing"


async def test_one_of_many_changes_to_one_revision_wins(registry: Registry, outbox: Outbox) -> None:
    await registry.add_version(A)
    changes = (change(registry, route(1, A, changed_at_us=number)) for number in range(8))
    results = await asyncio.gather(*changes, return_exceptions=True)
    assert [type(result) for result in results].count(RevisionConflict) == 7
    announced = await outbox.claim(Lease("me", 0, 1), 10)
    in_force = await registry.route("late")
    assert in_force is not None
    assert [pending.event for pending in announced] == [route_changed(in_force)]

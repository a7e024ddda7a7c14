"""Models that do not fit rest: their routes stay followed, and who asks has them loaded again, once."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import structlog
from inference.domain.errors import ModelNotReady, UnknownModel
from inference.domain.routes import Arm, Role, Route, VersionRef
from inference.domain.warmth import WarmModels
from inference.metrics import Metrics
from inference.routes.bounded import BoundedRouteTable
from inference.routes.table import LoadedRoute, arms_of
from inference.routes.versions import PackageVersions, Version, VersionRefused
from inference_kit.heralds import herald
from model_package import MemoryPackageStore
from model_package.testing import facts, write_logistic_package
from prometheus_client import CollectorRegistry

CONTRACT = "c" * 64
ROOM_FOR = 2


@dataclass
class GatedVersions:
    """Versions from packages, which counts loads, holds them back and refuses some."""

    versions: PackageVersions
    loads: list[str] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    lost: set[str] = field(default_factory=set)
    slow: dict[str, asyncio.Event] = field(default_factory=dict)

    async def load(self, model: str, ref: VersionRef) -> Version:
        self.loads.append(model)
        await self.slow.get(model, self.gate).wait()
        if model in self.lost:
            raise VersionRefused("MISSING_FILE", f"the package of {model} is gone")
        return await self.versions.load(model, ref)


class Stage:
    """A table with room for two models of this size, and what it was made from."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._packages = MemoryPackageStore()
        self.versions = GatedVersions(PackageVersions(self._packages, lambda _model: CONTRACT))
        self.versions.gate.set()
        self.registry = CollectorRegistry()
        self.freed = asyncio.Event()
        size_bytes = 160_000
        loop = asyncio.get_running_loop()
        self.table: BoundedRouteTable[LoadedRoute] = BoundedRouteTable(
            warm=WarmModels(ROOM_FOR * size_bytes + size_bytes // 2),
            give_back=lambda: loop.call_soon_threadsafe(self.freed.set) and None,
            versions=self.versions,
            needs=arms_of,
            build=lambda loaded: loaded,
            herald=herald(),
            metrics=Metrics(self.registry),
            log=structlog.get_logger(),
        )

    def route(self, model: str, revision: int = 1, weight: float = 1.0) -> Route:
        folder = self._folder / f"{model}-{revision}"
        write_logistic_package(folder, facts=facts(model, ("a",), contract_hash=CONTRACT), weights=(weight,))
        put = self._packages.put(folder)
        arm = Arm("champion", Role.CHAMPION, VersionRef(put.version, put.digest, put.uri), 10_000)
        return Route(model, revision, "salt", "", (arm,))

    def unloaded(self, model: str) -> float | None:
        return self.registry.get_sample_value("inference_models_unloaded_total", {"model": model})


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    stage = Stage(tmp_path)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(stage.table.run())
        yield stage
        running.cancel()


async def test_who_was_not_asked_for_longest_makes_room(stage: Stage) -> None:
    stage.table.complete()
    for model in ("a", "b"):
        await stage.table.apply(stage.route(model))
    stage.table.asked("a")
    await stage.table.apply(stage.route("c"))
    assert sorted(stage.table.loaded) == ["a", "c"]
    assert stage.unloaded("b") == 1
    await asyncio.wait_for(stage.freed.wait(), 10)


async def test_a_model_that_rests_is_loaded_once_for_all_who_wait(stage: Stage) -> None:
    stage.table.complete()
    for model in ("a", "b", "c"):
        await stage.table.apply(stage.route(model))
    stage.versions.loads.clear()
    stage.versions.gate.clear()
    with pytest.raises(ModelNotReady, match="ask again in a second"):
        stage.table.find("a")
    waiting = [asyncio.ensure_future(stage.table.woken("a")) for _ in range(5)]
    waiting[0].cancel()
    stage.versions.gate.set()
    await asyncio.wait_for(asyncio.gather(*waiting[1:]), 10)
    assert stage.table.find("a").route.revision == 1
    assert stage.versions.loads == ["a"]
    assert sorted(stage.table.loaded) == ["a", "c"]


async def test_at_the_start_what_finds_no_room_is_followed_unloaded(stage: Stage) -> None:
    for number in range(10):
        await stage.table.apply(stage.route(f"m{number}"))
    stage.table.complete()
    assert len(stage.table.loaded) <= ROOM_FOR + 1
    assert len(stage.versions.loads) <= ROOM_FOR + 1
    assert stage.table.lacking is None
    for number in range(10):
        await asyncio.wait_for(stage.table.woken(f"m{number}"), 10)
        assert stage.table.find(f"m{number}").route.model == f"m{number}"
    assert len(stage.table.loaded) == ROOM_FOR


async def test_a_route_of_a_model_that_rests_is_refused_until_its_version_is_ready(stage: Stage) -> None:
    stage.table.complete()
    for model in ("a", "b", "c"):
        await stage.table.apply(stage.route(model))
    stage.versions.lost = {"a"}
    await stage.table.apply(stage.route("a", revision=2))
    assert stage.table.refusals["a"].route.revision == 2
    assert stage.table.lacking is None
    stage.versions.lost = set()
    await asyncio.wait_for(stage.table.woken("a"), 10)
    assert stage.table.find("a").route.revision == 1
    assert stage.table.refusals["a"].route.revision == 2
    await stage.table.retry_refused()
    assert stage.table.find("a").route.revision == 2


async def test_a_model_that_cannot_be_loaded_again_says_why_until_it_can(stage: Stage) -> None:
    stage.table.complete()
    for model in ("a", "b", "c"):
        await stage.table.apply(stage.route(model))
    stage.versions.lost = {"a"}
    await asyncio.wait_for(stage.table.woken("a"), 10)
    for _ in range(3):
        with pytest.raises(ModelNotReady, match="the package of a is gone"):
            stage.table.find("a")
    assert stage.versions.loads.count("a") == 2
    stage.versions.lost = set()
    await stage.table.retry_refused()
    await asyncio.wait_for(stage.table.woken("a"), 10)
    assert stage.table.find("a").route.model == "a"


async def test_a_newer_route_that_comes_while_the_old_one_is_loaded_wins(stage: Stage) -> None:
    stage.table.complete()
    for model in ("a", "b", "c"):
        await stage.table.apply(stage.route(model))
    stage.versions.gate.clear()
    woken = asyncio.ensure_future(stage.table.woken("a"))
    newer = asyncio.ensure_future(stage.table.apply(stage.route("a", revision=2)))
    stage.versions.gate.set()
    await asyncio.wait_for(asyncio.gather(woken, newer), 10)
    assert stage.table.find("a").route.revision == 2


async def test_a_model_that_is_withdrawn_while_it_rests_is_unknown(stage: Stage) -> None:
    stage.table.complete()
    for model in ("a", "b", "c"):
        await stage.table.apply(stage.route(model))
    await stage.table.withdraw("a")
    await asyncio.wait_for(stage.table.woken("a"), 10)
    with pytest.raises(UnknownModel):
        stage.table.find("a")


async def test_a_model_that_takes_long_to_load_again_holds_up_no_other(stage: Stage) -> None:
    stage.table.complete()
    for model in ("a", "b", "c", "d"):
        await stage.table.apply(stage.route(model))
    stage.versions.slow["a"] = asyncio.Event()
    slow = asyncio.ensure_future(stage.table.woken("a"))
    await asyncio.sleep(0)
    await asyncio.wait_for(stage.table.woken("b"), 10)
    assert stage.table.find("b").route.model == "b"
    assert not slow.done()
    stage.versions.slow["a"].set()
    await asyncio.wait_for(slow, 10)
    assert stage.table.find("a").route.model == "a"


async def test_at_the_start_routes_that_come_at_once_take_turns_until_memory_is_full(stage: Stage) -> None:
    async with asyncio.TaskGroup() as tasks:
        for number in range(10):
            tasks.create_task(stage.table.apply(stage.route(f"m{number}")))
    stage.table.complete()
    assert len(stage.versions.loads) <= ROOM_FOR + 1
    assert all(stage.table.revision_seen(f"m{number}") == 1 for number in range(10))


async def test_at_the_start_a_newer_route_of_a_model_that_has_not_had_its_turn_takes_it(stage: Stage) -> None:
    stage.versions.gate.clear()
    async with asyncio.TaskGroup() as tasks:
        for route in (stage.route("a"), stage.route("b"), stage.route("b", revision=2), stage.route("c")):
            tasks.create_task(stage.table.apply(route))
        await asyncio.sleep(0)
        await stage.table.withdraw("c")
        stage.versions.gate.set()
    stage.table.complete()
    assert stage.versions.loads == ["a", "b"]
    assert stage.table.find("b").route.revision == 2
    with pytest.raises(UnknownModel):
        stage.table.find("c")

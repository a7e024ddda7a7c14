"""A route is followed once all of it is warm; until then, or when it is refused, the one before serves on."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from inference.domain.errors import ModelNotReady, UnknownModel
from inference.domain.routes import Arm, Role, Route, VersionRef
from inference.metrics import Metrics
from inference.routes.following import Uptake
from inference.routes.table import LOADS_AT_ONCE, LoadedRoute, RouteTable, arms_of
from inference.routes.versions import PackageVersions, Version, VersionRefused
from inference_kit.heralds import Heard, herald
from model_package import MemoryPackageStore
from model_package.testing import facts, write_logistic_package
from prometheus_client import CollectorRegistry

CONTRACT = "c" * 64


class CountedVersions:
    """Versions from packages, which counts loads and can hold them back, all or those of some versions."""

    def __init__(self, packages: MemoryPackageStore) -> None:
        self._versions = PackageVersions(packages, lambda _model: CONTRACT)
        self.loads: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.loading = asyncio.Event()
        self.slow: dict[str, asyncio.Event] = {}

    async def load(self, model: str, ref: VersionRef) -> Version:
        self.loads.append(ref.version)
        self.loading.set()
        await self.slow.get(ref.version, self.gate).wait()
        return await self._versions.load(model, ref)


class Stage:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.packages = MemoryPackageStore()
        self.versions = CountedVersions(self.packages)
        self.registry = CollectorRegistry()
        self.heard = Heard()
        self.herald = herald(self.heard)
        self.table: RouteTable[LoadedRoute] = RouteTable(
            versions=self.versions,
            needs=arms_of,
            build=lambda loaded: loaded,
            herald=self.herald,
            metrics=Metrics(self.registry),
            log=structlog.get_logger(),
        )

    def written(self, weight: float, *, model: str = "m", contract: str = CONTRACT) -> Path:
        folder = self.folder / f"{model}-{weight}-{contract[:1]}"
        write_logistic_package(folder, facts=facts(model, ("a",), contract_hash=contract), weights=(weight,))
        return folder

    def version(self, weight: float, *, model: str = "m", contract: str = CONTRACT) -> VersionRef:
        put = self.packages.put(self.written(weight, model=model, contract=contract))
        return VersionRef(put.version, put.digest, put.uri)

    def refused(self, reason: str) -> float | None:
        return self.registry.get_sample_value(
            "inference_routes_refused_total", {"model": "m", "reason": reason}
        )

    def slowed(self, *versions: VersionRef) -> list[asyncio.Event]:
        """Hold loads of these back until their events are set."""
        self.versions.slow |= {version.version: asyncio.Event() for version in versions}
        return [self.versions.slow[version.version] for version in versions]

    async def said(self) -> tuple[int, int, Uptake]:
        """What is said of the model now."""
        await self.herald.leave(1)
        state = self.heard.states[-1]
        return state.revision, state.serving_revision, self.herald._states["m"].uptake

    def serving(self) -> tuple[int, list[str]]:
        loaded = self.table.find("m")
        return loaded.route.revision, [version.ref.version for version in loaded.versions.values()]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def _route(revision: int, *versions: VersionRef) -> Route:
    arms = tuple(
        Arm(f"arm-{index}", Role.CHAMPION, version, 10_000 // len(versions))
        for index, version in enumerate(versions)
    )
    return Route("m", revision, "salt", "", arms)


async def test_a_route_serves_its_versions(stage: Stage) -> None:
    one, two = stage.version(1.0), stage.version(2.0)
    await stage.table.apply(_route(1, one, two))
    assert stage.serving() == (1, [one.version, two.version])
    assert stage.table.lacking is None


async def test_a_model_without_a_route_is_unknown(stage: Stage) -> None:
    with pytest.raises(ModelNotReady, match="not been read yet"):
        stage.table.find("m")
    stage.table.complete()
    with pytest.raises(UnknownModel, match="'m' has no route"):
        stage.table.find("m")


async def test_an_older_or_equal_revision_changes_nothing(stage: Stage) -> None:
    one, two = stage.version(1.0), stage.version(2.0)
    await stage.table.apply(_route(5, one))
    await stage.table.apply(_route(4, two))
    await stage.table.apply(_route(5, two))
    assert stage.serving() == (5, [one.version])
    assert stage.versions.loads == [one.version]


async def test_the_route_before_serves_while_the_next_one_loads(stage: Stage) -> None:
    one, two = stage.version(1.0), stage.version(2.0)
    await stage.table.apply(_route(1, one))
    stage.versions.gate.clear()
    stage.versions.loading.clear()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(stage.table.apply(_route(2, two)))
        await stage.versions.loading.wait()
        assert stage.serving() == (1, [one.version])
        stage.versions.gate.set()
    assert stage.serving() == (2, [two.version])


async def test_going_back_needs_no_loading(stage: Stage) -> None:
    one, two = stage.version(1.0), stage.version(2.0)
    for revision, version in enumerate((one, two, one), start=1):
        await stage.table.apply(_route(revision, version))
    assert stage.serving() == (3, [one.version])
    assert stage.versions.loads == [one.version, two.version]


async def test_a_version_that_no_recent_route_names_is_let_go(stage: Stage) -> None:
    versions = [stage.version(float(weight)) for weight in range(3)]
    for revision, version in enumerate([*versions, versions[0]], start=1):
        await stage.table.apply(_route(revision, version))
    assert stage.versions.loads == [version.version for version in [*versions, versions[0]]]


@pytest.mark.parametrize(
    ("reason", "ref"),
    [
        ("DIGEST_MISMATCH", lambda stage: _with(stage.version(2.0), digest="0" * 64)),
        ("MISSING_FILE", lambda _stage: VersionRef("v", "1" * 64, f"memory:///{'1' * 64}")),
        ("UNSAFE_PATH", lambda _stage: VersionRef("v", "not a digest", "memory:///x")),
        ("CONTRACT_MISMATCH", lambda stage: stage.version(2.0, contract="d" * 64)),
        ("MODEL_MISMATCH", lambda stage: stage.version(2.0, model="other")),
    ],
)
async def test_a_bad_package_keeps_the_route_before(stage: Stage, reason: str, ref: object) -> None:
    one = stage.version(1.0)
    await stage.table.apply(_route(1, one))

    await stage.table.apply(_route(2, ref(stage)))  # type: ignore[operator]

    assert stage.serving() == (1, [one.version])
    assert stage.table.refusals["m"].reason == reason
    assert stage.refused(reason) == 1
    assert stage.table.lacking is None


async def test_one_bad_arm_refuses_the_whole_route(stage: Stage) -> None:
    good = stage.version(1.0)
    await stage.table.apply(_route(1, good))
    await stage.table.apply(_route(2, good, _with(stage.version(2.0), digest="0" * 64)))
    assert stage.serving() == (1, [good.version])


async def test_weights_that_make_no_sense_refuse_the_route(stage: Stage) -> None:
    one = stage.version(1.0)
    arm = Arm("champion", Role.CHAMPION, one, 9_999)
    await stage.table.apply(Route("m", 1, "", "", (arm,)))
    assert stage.table.refusals["m"].reason == "INVALID_ROUTE"


async def test_a_model_whose_only_route_was_refused_is_not_ready_until_its_package_arrives(
    stage: Stage,
) -> None:
    folder = stage.written(1.0)
    package = MemoryPackageStore().put(folder)
    ref = VersionRef(package.version, package.digest, package.uri)
    await stage.table.apply(_route(1, ref))
    with pytest.raises(ModelNotReady, match=r"has no manifest\.json"):
        stage.table.find("m")
    assert "MISSING_FILE" in (stage.table.lacking or "")

    stage.packages.put(folder)
    await stage.table.retry_refused()

    await stage.table.all_warm()
    assert stage.serving() == (1, [ref.version])


async def test_a_refused_route_is_not_tried_again_once_a_newer_one_serves(stage: Stage) -> None:
    bad, good = _with(stage.version(1.0), digest="0" * 64), stage.version(2.0)
    await stage.table.apply(_route(1, bad))
    await stage.table.apply(_route(2, good))
    stage.versions.loads.clear()
    await stage.table.retry_refused()
    assert stage.versions.loads == []


async def test_a_withdrawn_route_is_forgotten(stage: Stage) -> None:
    await stage.table.apply(_route(1, stage.version(1.0)))
    stage.table.complete()
    await stage.table.withdraw("m")
    with pytest.raises(UnknownModel):
        stage.table.find("m")
    assert stage.table.revision_seen("m") == -1


async def test_what_scores_may_refuse_a_route_too(stage: Stage) -> None:
    def refuse(_loaded: LoadedRoute) -> LoadedRoute:
        raise VersionRefused("UNKNOWN_MODEL", "the project has no such model")

    stage.table._build = refuse
    await stage.table.apply(_route(1, stage.version(1.0)))
    assert stage.table.refusals["m"].reason == "UNKNOWN_MODEL"


def _with(ref: VersionRef, *, digest: str) -> VersionRef:
    return VersionRef(ref.version, digest, ref.package_uri)


async def test_the_way_back_of_one_model_does_not_wait_for_the_load_of_another(stage: Stage) -> None:
    one, two = stage.version(1.0), stage.version(2.0)
    await stage.table.apply(_route(1, one))
    await stage.table.apply(_route(2, two))
    stage.versions.gate.clear()
    stage.versions.loading.clear()
    other = replace(_route(1, stage.version(3.0, model="other")), model="other")
    slow = asyncio.ensure_future(stage.table.apply(other))
    await asyncio.wait_for(stage.versions.loading.wait(), 10)

    await asyncio.wait_for(stage.table.apply(_route(3, one)), 10)

    assert stage.serving() == (3, [one.version])
    assert not slow.done()
    stage.versions.gate.set()
    await asyncio.wait_for(slow, 10)
    assert stage.table.find("other").route.revision == 1


async def _begun(stage: Stage, *routes: Route) -> list[asyncio.Task[None]]:
    """Apply routes side by side, and return once their loads have been asked for."""
    applying = [asyncio.ensure_future(stage.table.apply(route)) for route in routes]
    for _ in range(5):
        await asyncio.sleep(0)
    return applying


async def test_the_way_back_does_not_wait_for_the_version_that_it_leaves(stage: Stage) -> None:
    one, two = stage.version(1.0), stage.version(2.0)
    await stage.table.apply(_route(1, one))
    (gate,) = stage.slowed(two)
    (slow,) = await _begun(stage, _route(2, two))

    await asyncio.wait_for(stage.table.apply(_route(3, one)), 10)

    assert stage.serving() == (3, [one.version])
    # The one that is superseded is no longer waited for, and what is loaded of it in the end changes nothing.
    await asyncio.wait_for(slow, 10)
    gate.set()
    await asyncio.wait_for(stage.table.apply(_route(4, two)), 10)
    assert stage.serving() == (4, [two.version])
    assert stage.versions.loads == [one.version, two.version]


async def test_of_routes_that_load_side_by_side_the_newest_is_followed_whichever_is_ready_first(
    stage: Stage,
) -> None:
    one, two, three = (stage.version(weight) for weight in (1.0, 2.0, 3.0))
    gates = stage.slowed(two, three)
    await stage.table.apply(_route(1, one))
    applying = await _begun(stage, _route(2, two), _route(3, three))
    gates[0].set()
    await asyncio.wait_for(applying[0], 10)
    assert stage.serving() == (2, [two.version])
    gates[1].set()
    await asyncio.wait_for(applying[1], 10)
    assert stage.serving() == (3, [three.version])


async def test_what_is_followed_does_not_depend_on_whether_a_refusal_or_an_older_load_comes_first(
    stage: Stage,
) -> None:
    one, two, bad = stage.version(1.0), stage.version(2.0), _with(stage.version(3.0), digest="0" * 64)
    (gate,) = stage.slowed(two)
    await stage.table.apply(_route(1, one))
    slow, refused = await _begun(stage, _route(2, two), _route(3, bad))
    await asyncio.wait_for(refused, 10)
    assert stage.serving() == (1, [one.version])
    assert await stage.said() == (3, 1, Uptake.REFUSED)
    gate.set()
    await asyncio.wait_for(slow, 10)
    assert stage.serving() == (2, [two.version])
    assert await stage.said() == (3, 2, Uptake.REFUSED)
    assert stage.table.refusals["m"].route.revision == 3


async def test_an_older_route_that_fails_late_does_not_hide_what_is_followed(stage: Stage) -> None:
    one, bad = stage.version(1.0), _with(stage.version(2.0), digest="0" * 64)
    (gate,) = stage.slowed(bad)
    (slow,) = await _begun(stage, _route(1, bad))
    with pytest.raises(ModelNotReady, match="is being loaded"):
        stage.table.find("m")
    await stage.table.apply(_route(2, one))
    gate.set()
    await asyncio.wait_for(slow, 10)
    assert stage.serving() == (2, [one.version])
    assert stage.table.refusals == {}
    assert await stage.said() == (2, 2, Uptake.FOLLOWED)


async def test_a_model_that_is_withdrawn_while_it_is_loaded_stays_withdrawn(stage: Stage) -> None:
    one = stage.version(1.0)
    (gate,) = stage.slowed(one)
    stage.table.complete()
    (slow,) = await _begun(stage, _route(1, one))
    await stage.table.withdraw("m")
    gate.set()
    await asyncio.wait_for(slow, 10)
    with pytest.raises(UnknownModel):
        stage.table.find("m")
    await stage.table.apply(_route(1, one))
    assert stage.serving() == (1, [one.version])


async def test_a_bounded_number_of_versions_is_loaded_at_a_time_and_what_nobody_awaits_is_not(
    stage: Stage,
) -> None:
    one, *others = (stage.version(float(weight)) for weight in range(LOADS_AT_ONCE + 3))
    await stage.table.apply(_route(1, one))
    gates = stage.slowed(*others)
    applying = await _begun(stage, *(_route(2 + at, version) for at, version in enumerate(others)))
    begun = [version.version for version in others[:LOADS_AT_ONCE]]
    assert stage.versions.loads == [one.version, *begun]
    await stage.table.apply(_route(100, one))
    await asyncio.wait_for(asyncio.gather(*applying), 10)
    for gate in gates:
        gate.set()
    assert stage.versions.loads == [one.version, *begun]
    assert stage.serving() == (100, [one.version])

"""The commands that see and prune versions of views, on a real store and a real control plane."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from feature_store import Contract, Incoming, Project, decode_events, load_project
from feature_store.definition_document import document_of
from feature_store.definitions import Feature
from feature_store.online import Applier, MemoryClaims
from feature_store.online.epochs import Condition
from feature_store.online.keepers import Keeper, feature_group, versions_of
from feature_store.online.redis import RedisFeatureRows, connect
from feature_store.online.redis_backfill import RedisEpochs
from feature_store.online.redis_keepers import RedisKeepers
from model_package import PackageStore
from model_package.testing import facts, write_logistic_package
from tidemark_cli.testing import Cli

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from local_stack import LocalStack

pytestmark = pytest.mark.stack

OLD = Path(__file__).parents[1] / "feature"
NEW = OLD / "changed"
TRIP = b'{"trip": "t", "driver": "d", "city": "rome", "fare": 9, "ended_at": "2013-04-03T14:30:00Z"}'
RECORDED_US = 1_365_000_000_000_000


@dataclass
class Store:
    """A Valkey that two versions of a project keep rows in; the commands know the newer one."""

    url: str
    old: Project
    new: Project
    cli: Cli

    def version(self, project: Project, view: str) -> str:
        return project.views[view].digest.hex()[:8]


def loaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.delitem(sys.modules, "taxi_project", raising=False)
    monkeypatch.syspath_prepend(str(folder))
    return load_project("taxi_project")


async def keep(url: str, project: Project, *, complete: bool) -> None:
    """Apply an event, and register as a group that began."""
    client = await connect(url)
    source = project.sources["trips.ended.v1"]
    batch, _ = decode_events(source, Incoming([TRIP], ["a"], [b""], [0], [RECORDED_US], [0], [0]))
    await Applier(project.views.values(), RedisFeatureRows(client), MemoryClaims()).apply(batch)
    group, views = feature_group(project), versions_of(project.views.values())
    await RedisEpochs(client, group).begin()
    keeper = Keeper(group, project.module, views, {}, {}, complete=complete, began_us=RECORDED_US)
    await RedisKeepers(client).put(keeper)
    await client.aclose()


@pytest.fixture
async def store(
    own_stack: Callable[..., Awaitable[LocalStack]], cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Store]:
    stack = await own_stack(kafka=None)
    old, new = loaded(OLD, monkeypatch), loaded(NEW, monkeypatch)
    environment = {**cli.environment, "REDIS_URL": stack.redis_url, "TIDEMARK_PROJECT": "taxi_project"}
    environment["PACKAGES_URI"] = environment["PACKAGES"]
    yield Store(stack.redis_url, old, new, Cli(environment))
    sys.modules.pop("taxi_project", None)


async def test_versions_and_plan_say_what_lives_and_what_is_to_be_made(store: Store) -> None:
    await keep(store.url, store.old, complete=True)
    listed = await store.cli.read("features", "versions")
    told = {(one["view"], one["current"], one["state"], one["rows"]) for one in listed}
    assert told == {
        ("city_trips", False, "complete", 1),
        ("city_trips", True, "not begun", 0),
        ("driver_fares", True, "not begun", 0),
        ("driver_trips", True, "complete", 1),
    }
    assert "not begun" in await store.cli.show("features", "versions")
    missing = await store.cli.refused("features", "plan", "--redis", store.url, "--lake", "no/such/lake")
    assert "no/such/lake" in missing
    await keep(store.url, store.new, complete=False)
    planned = await store.cli.read("features", "plan", "--redis", store.url)
    assert planned["city_trips"]["state"] == "catching up"
    assert planned["city_trips"]["live_versions"] == [store.version(store.old, "city_trips")]
    assert planned["driver_trips"]["state"] == "complete"


async def test_prune_deletes_what_nobody_keeps_or_reads_and_only_when_told(
    store: Store, tmp_path: Path
) -> None:
    await keep(store.url, store.old, complete=True)
    await keep(store.url, store.new, complete=True)
    client = await connect(store.url)
    await client.set("tm:f:city_trips:rome", b"from before versions")
    first = await route_a_model_of(store, store.old, tmp_path / "first")

    # A served model reads the old version of the cities: all that is left over is what has no version.
    chosen = await store.cli.read("features", "prune")
    assert (chosen["deleted"], chosen["groups"]) == (False, [])
    assert chosen["versions"] == [{"view": "city_trips", "version": "", "rows": 1}]
    asking = ["--redis", store.url, "--control-plane", store.cli.environment["TIDEMARK_CONTROL_PLANE_URL"]]
    planned = await store.cli.read("features", "plan", *asking)
    assert planned["city_trips"]["models_on_other_versions"] == [f"cheap {first}"]
    assert planned["driver_trips"]["models_on_other_versions"] == []
    await store.cli.read("features", "prune", "--yes")
    assert await client.get("tm:f:city_trips:rome") is None
    assert {one["state"] for one in await store.cli.read("features", "versions")} == {"complete"}

    # Now nobody reads it, and the group that kept it does not run.
    await route_a_model_of(store, store.new, tmp_path / "second")
    assert "run it again with --yes" in await store.cli.show("features", "prune")
    chosen = await store.cli.read("features", "prune", "--yes")
    assert chosen["groups"] == [feature_group(store.old)]
    old_cities = store.version(store.old, "city_trips")
    assert chosen["versions"] == [{"view": "city_trips", "version": old_cities, "rows": 1}]
    left = await store.cli.read("features", "versions")
    assert [(one["view"], one["rows"], one["current"]) for one in left] == [
        ("city_trips", 1, True),
        ("driver_fares", 1, True),
        ("driver_trips", 1, True),
    ]
    assert (await RedisEpochs(client, feature_group(store.old)).read()).condition is Condition.UNMARKED
    await client.aclose()


async def route_a_model_of(store: Store, project: Project, folder: Path) -> str:
    view = project.views["city_trips"]
    contract = Contract.over(
        "cheap", [Feature(view, name, kept) for name, kept in view.aggregations.items()], {}
    )
    known = facts("cheap", contract.feature_names, contract_hash=contract.hash.hex())
    definitions = document_of(contract)
    write_logistic_package(folder, facts=known, weights=[1.0, 0.5, 0.1], definitions=definitions)
    package = PackageStore(store.cli.environment["PACKAGES"]).put(folder)
    await store.cli.show("models", "register", "cheap", "--package", package.uri, "--digest", package.digest)
    await store.cli.show("approve", package.version, "--as", "bob")
    await store.cli.show("route", "set", "cheap", "--champion", package.version)
    return package.version

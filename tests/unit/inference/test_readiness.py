"""A model whose rows are being made is not loaded; one that nobody says anything of is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from feature_store.online.keepers import Keeper, versions_of
from inference.domain.routes import VersionRef
from inference.routes.readiness import ReadyVersions, nobody
from inference.routes.serving import ServedModels
from inference.routes.versions import PackageVersions, VersionRefused
from inference_kit.stock import DURABLE_MODEL, Stock
from model_package import PackageStore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class Scene:
    def __init__(self, folder: Path) -> None:
        self.stock = Stock(folder)
        self.keepers: list[Keeper] = []

    async def who_keeps(self) -> Sequence[Keeper]:
        return self.keepers

    def ref(self) -> VersionRef:
        put = self.stock.version(model=DURABLE_MODEL)
        return VersionRef(put.version, put.digest, put.package_uri)

    def versions(self) -> ReadyVersions:
        project = self.stock.project
        packages = PackageVersions(PackageStore(self.stock.packages), ServedModels(project).contract_hash)
        return ReadyVersions(packages, project, self.who_keeps)

    def keep(self, views: Mapping[str, str], *, complete: bool, project: str | None = None) -> None:
        module = self.stock.project.module if project is None else project
        group = f"group-{len(self.keepers)}"
        self.keepers.append(Keeper(group, module, views, {}, {}, complete=complete, began_us=0))


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


async def test_versions_that_are_kept_up_to_date_may_be_served(scene: Scene) -> None:
    views = versions_of(scene.stock.project.views.values())
    scene.keep(views, complete=True)
    ref = scene.ref()
    assert (await scene.versions().load(DURABLE_MODEL, ref)).ref == ref


async def test_a_store_of_which_nothing_is_known_refuses_nothing(scene: Scene) -> None:
    scene.keep({"other": "00"}, complete=False, project="another")
    await scene.versions().load(DURABLE_MODEL, scene.ref())
    assert await nobody() == ()


@pytest.mark.parametrize("complete", [False, True])
async def test_a_version_that_is_being_made_or_was_never_made_is_refused(
    scene: Scene, *, complete: bool
) -> None:
    views = versions_of(scene.stock.project.views.values())
    scene.keep(dict.fromkeys(views, "00") if complete else views, complete=complete)
    with pytest.raises(VersionRefused, match="run `tidemark features backfill`") as refused:
        await scene.versions().load(DURABLE_MODEL, scene.ref())
    assert refused.value.reason == "VIEWS_NOT_READY"


async def test_a_model_that_reads_no_rows_waits_for_nobody(scene: Scene) -> None:
    scene.keep(dict.fromkeys(scene.stock.project.views, "00"), complete=False)
    put = scene.stock.version(model="marker")
    ref = VersionRef(put.version, put.digest, put.package_uri)
    assert (await scene.versions().load("marker", ref)).ref == ref

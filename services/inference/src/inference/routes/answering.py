"""What a table of routes takes to answer a project's requests, as calls and as events alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from feature_store.concealment import Concealment
from feature_store.secret_file import pseudonyms_for

from inference.routes.readiness import ReadyVersions
from inference.routes.serving import ServedModels
from inference.routes.table import arms_of
from inference.routes.versions import PackageVersions

if TYPE_CHECKING:
    from feature_store import Project
    from model_package import Packages

    from inference.routes.readiness import WhoKeeps
    from inference.settings import InferenceSettings


def answering(
    settings: InferenceSettings, project: Project, packages: Packages, who_keeps: WhoKeeps
) -> dict[str, Any]:
    """The parts of a `RouteTable` that say which versions answer, and with what."""
    concealment = Concealment.of(project, pseudonyms_for(project, settings.privacy_key_file))
    models = ServedModels(project, concealment)
    packaged = PackageVersions(packages, models.contract_hash)
    return {"versions": ReadyVersions(packaged, project, who_keeps), "needs": arms_of, "build": models.build}

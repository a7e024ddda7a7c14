"""Which version of a model a command scores with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from model_package import Package, PackageError, PackageStore
from model_package.store import read_folder

from tidemark_cli.control_plane import ControlPlane
from tidemark_cli.failures import Failure, Refused, WrongUsage


def package_to_score(model: str, version: str, folder: str, packages: str, control_plane: str) -> Package:
    """Returns the package of a model's version, verified.

    Args:
        model: The model.
        version: Of it, as registered; empty for the champion of its route.
        folder: Of a package, which need not be registered; empty for one that is.
        packages: The store of those that are.
        control_plane: Knows routes and versions; not asked for a folder.

    Raises:
        WrongUsage: both a version and a folder are named, or the folder holds another model.
        Failure: there is no such version, or its package cannot be used.
        OutOfReach: the control plane does not answer.
    """
    if version and folder:
        raise WrongUsage("--version names a registered version and --package a folder: give one of them")
    try:
        if folder:
            found = read_folder(Path(folder))
        else:
            ref = _reference(model, version, ControlPlane(control_plane))
            found = PackageStore(packages).open(ref["package_uri"], ref["digest"])
    except PackageError as error:
        raise Failure(f"{type(error).__name__}: {error}") from error
    if found.manifest.model != model:
        raise WrongUsage(f"package {found.uri} is of model {found.manifest.model!r}, not of {model!r}")
    return found


def _reference(model: str, version: str, control_plane: ControlPlane) -> Mapping[str, Any]:
    path = f"/v1/models/{quote(model, safe='')}"
    try:
        if version:
            found: Mapping[str, Any] = control_plane.get(f"{path}/versions/{quote(version, safe='')}")
        else:
            found = control_plane.get(f"{path}/route")["champion"]
    except Refused as refused:
        listed = f"`tidemark models versions {model}` lists what is registered"
        remedy = listed if version else f"name one with --version ({listed}), or a folder with --package"
        raise Failure(f"{refused} {remedy}") from refused
    return found

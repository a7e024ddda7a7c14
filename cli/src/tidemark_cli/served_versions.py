"""Which versions of views the models read that are served: what their packages say."""

from collections.abc import Collection, Mapping

from feature_store.definition_document import UnknownDocument, versions_in
from model_package import PackageError, PackageStore

from tidemark_cli.control_plane import ControlPlane
from tidemark_cli.failures import Failure


def served_versions(
    control_plane: ControlPlane, packages: str, views: Collection[str]
) -> dict[str, Mapping[str, str]]:
    """Returns the versions of views that each routed version of a model reads, by model and version.

    Args:
        control_plane: Knows the routes.
        packages: Where packages are.
        views: The names that are asked about: a package that does not say what it reads is no failure if its
            features are of other views.

    Raises:
        OutOfReach: the control plane does not answer.
        Failure: a package cannot be read, or does not say which versions of these views it reads.
    """
    found: dict[str, Mapping[str, str]] = {}
    store = PackageStore(packages)
    for model in control_plane.items("/v1/models"):
        if not model["revision"]:
            continue
        route = control_plane.get(f"/v1/models/{model['model']}/route")
        parts = [route, *route["segments"]]
        arms = [arm["version"] for part in parts for arm in part["arms"]]
        for ref in [route["champion"], *arms, *route["shadows"]]:
            name = f"{model['model']} {ref['version']}"
            if name not in found:
                found[name] = _read_by(store, name, ref, views)
    return found


def _read_by(
    store: PackageStore, name: str, ref: Mapping[str, str], views: Collection[str]
) -> Mapping[str, str]:
    try:
        package = store.open(ref["package_uri"], ref["digest"])
        if package.definitions is not None:
            return versions_in(package.definitions)
    except (PackageError, UnknownDocument) as error:
        raise Failure(f"what {name} reads is not known: {error}") from error
    named = {feature.partition(".")[0] for feature in package.manifest.feature_names if "." in feature}
    if named and named.isdisjoint(views):
        return {}
    raise Failure(
        f"the package of {name} is older than definitions in packages, so nobody knows which rows it reads: "
        "train it anew and route the new version first"
    )

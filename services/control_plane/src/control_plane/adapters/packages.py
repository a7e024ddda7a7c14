"""The package store, read off the event loop; the library's errors become the registry's reasons."""

import asyncio

import model_package
from bus.errors import Unavailable
from model_package import Package, PackageError

from control_plane.domain.errors import PackageRefused
from control_plane.domain.versions import PackageFacts

_REASONS: dict[type[PackageError], str] = {
    model_package.DigestMismatch: "DIGEST_MISMATCH",
    model_package.MissingFile: "PACKAGE_MISSING",
    model_package.UnsafePath: "PACKAGE_OUTSIDE_STORE",
    model_package.UnknownFormat: "UNKNOWN_FORMAT",
    model_package.MalformedPackage: "MALFORMED_PACKAGE",
}


class StorePackages:
    """See `ports.Packages`."""

    def __init__(self, store: model_package.Packages) -> None:
        self._store = store

    async def inspect(self, package_uri: str, digest: str) -> PackageFacts:
        """See `ports.Packages.inspect`."""
        try:
            package = await asyncio.to_thread(self._store.open, package_uri, digest)
        except PackageError as error:
            raise PackageRefused(_REASONS.get(type(error), "PACKAGE_REFUSED"), str(error)) from error
        except OSError as error:
            raise Unavailable(f"the package store cannot be read: {error}") from error
        return _facts(package)


def _facts(package: Package) -> PackageFacts:
    manifest = package.manifest
    return PackageFacts(
        model=manifest.model,
        name=package.version,
        algorithm=manifest.algorithm,
        label=manifest.label,
        feature_names=manifest.feature_names,
        contract_hash=manifest.contract_hash,
        dataset_snapshot=manifest.dataset_snapshot,
        code_commit=manifest.code_commit,
        decision_threshold=manifest.decision_threshold,
        metrics=manifest.metrics,
        trained_from_us=manifest.trained_from_us,
        trained_until_us=manifest.trained_until_us,
        training_rows=manifest.training_rows,
    )

"""Plausible versions, routes and packages, for tests of whatever keeps, serves or announces them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from model_package import Packages, sha256_hex
from model_package.testing import facts, write_logistic_package

from control_plane.domain.errors import PackageRefused
from control_plane.domain.routes import Route
from control_plane.domain.state import Change
from control_plane.domain.versions import Claim, PackageFacts, Provenance, Standing, Version
from control_plane.ports import Registry

CONTRACT = sha256_hex(b"contract")


def package_facts(model: str = "late", *, name: str = "logistic-1", contract: str = CONTRACT) -> PackageFacts:
    """What a package might say of itself."""
    return PackageFacts(
        model=model,
        name=name,
        algorithm="logistic",
        label="happened",
        feature_names=("a.count_1h", "hour"),
        contract_hash=contract,
        dataset_snapshot=sha256_hex(b"dataset"),
        code_commit="0" * 40,
        decision_threshold=0.3,
        metrics={"roc_auc": 0.75, "log_loss": 0.5},
        trained_from_us=0,
        trained_until_us=1_000_000,
        training_rows=100,
    )


def version(
    name: str,
    *,
    model: str = "late",
    contract: str = CONTRACT,
    digest: str | None = None,
    at_us: int = 5,
    standing: Standing = Standing.APPROVED,
    provenance: Provenance = Provenance(),  # noqa: B008 - frozen
) -> Version:
    """A registered, approved version whose digest follows from its name."""
    digest = digest or sha256_hex(name.encode())
    return Version(
        model=model,
        version=name,
        digest=digest,
        package_uri=f"memory:///{digest}",
        facts=package_facts(model, name=name, contract=contract),
        registered_at_us=at_us,
        provenance=provenance,
        standing=standing,
    )


def route(
    revision: int, champion: Version, shadows: tuple[Version, ...] = (), *, changed_at_us: int = 7
) -> Route:
    """A route of the champion's model."""
    return Route(champion.model, revision, champion, shadows, changed_at_us)


async def keep(registry: Registry, version: Version) -> None:
    """Puts a version into a registry as it is, whatever was decided about it."""
    state = await registry.state(version.model, versions=[version.version])
    await registry.commit(Change(state, version.registered_at_us, registered=version))


async def put_in_force(registry: Registry, route: Route, *, traceparent: str | None = None) -> None:
    """Puts a route into force as it is."""
    state = await registry.state(route.model)
    await registry.commit(Change(state, route.changed_at_us, route=route, traceparent=traceparent))


@dataclass
class MemoryPackages:
    """See `ports.Packages`: holds what it is told, by digest."""

    held: dict[str, PackageFacts] = field(default_factory=dict)

    def put(self, facts: PackageFacts) -> Claim:
        """Holds a package, and returns the claim that registers it."""
        digest = sha256_hex(f"{facts.model}/{facts.name}".encode())
        self.held[digest] = facts
        return Claim(facts.model, facts.name, digest, f"memory:///{digest}")

    async def inspect(self, package_uri: str, digest: str) -> PackageFacts:
        """See `ports.Packages.inspect`."""
        if digest not in self.held:
            raise PackageRefused("PACKAGE_MISSING", f"There is no package {package_uri}.")
        return self.held[digest]


def put_package(
    store: Packages, folder: Path, *, model: str, weight: float, contract: str = CONTRACT
) -> Claim:
    """Writes a real package below `folder`, puts it into a store, and returns the claim that registers it."""
    write_logistic_package(
        folder, facts=facts(model, ["a.count_1h"], contract_hash=contract), weights=[weight]
    )
    package = store.put(folder)
    return Claim(model, package.version, package.digest, package.uri)


def registration_body(claim: Claim) -> Mapping[str, object]:
    """A claim as the body of a POST."""
    return {"version": claim.version, "digest": claim.digest, "package_uri": claim.package_uri}

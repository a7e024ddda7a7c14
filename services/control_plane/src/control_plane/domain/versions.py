"""Versions: what is registered once and never changes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from control_plane.domain.errors import PackageRefused, VersionConflict


@dataclass(frozen=True, slots=True)
class Claim:
    """Somebody says: this package is a version of that model.

    Attributes:
        version: Its name; None for the one that the package gives itself.
        contract_hash: The feature contract they say it reads; None when they do not say.
    """

    model: str
    version: str | None
    digest: str
    package_uri: str
    contract_hash: str | None = None


@dataclass(frozen=True, slots=True)
class PackageFacts:
    """What a verified package says of itself; times in microseconds since the epoch, UTC."""

    model: str
    name: str
    algorithm: str
    label: str
    feature_names: tuple[str, ...]
    contract_hash: str
    dataset_snapshot: str
    code_commit: str
    decision_threshold: float
    metrics: Mapping[str, float]
    trained_from_us: int
    trained_until_us: int
    training_rows: int


@dataclass(frozen=True, slots=True)
class Version:
    """A registered version: where its frozen package is, and what that package said when it was verified."""

    model: str
    version: str
    digest: str
    package_uri: str
    facts: PackageFacts
    registered_at_us: int

    @classmethod
    def of(cls, claim: Claim, facts: PackageFacts, *, registered_at_us: int) -> Self:
        """Makes the version that a claim and its verified package amount to.

        Raises:
            PackageRefused: the package says otherwise of itself.
        """
        if claim.contract_hash not in (None, facts.contract_hash):
            raise PackageRefused(
                "CONTRACT_MISMATCH",
                f"The package at {claim.package_uri} reads feature contract {facts.contract_hash}, "
                f"not {claim.contract_hash}.",
            )
        if facts.model != claim.model:
            raise PackageRefused(
                "MODEL_MISMATCH",
                f"The package at {claim.package_uri} is of model {facts.model!r}, not {claim.model!r}.",
            )
        return cls(
            model=claim.model,
            version=claim.version or facts.name,
            digest=claim.digest,
            package_uri=claim.package_uri,
            facts=facts,
            registered_at_us=registered_at_us,
        )

    def expect(self, digest: str) -> Self:
        """Returns this version if a repeated claim means the same package.

        Raises:
            VersionConflict: it means another.
        """
        if digest != self.digest:
            raise VersionConflict(self.model, self.version, registered=self.digest, offered=digest)
        return self


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """A model at a glance: how much is registered, what serves; revision 0 means no route."""

    model: str
    versions: int
    latest_version: str
    champion: str | None
    shadows: tuple[str, ...]
    revision: int

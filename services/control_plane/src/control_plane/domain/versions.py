"""Versions: what is registered once and never changes, and what was decided about it since."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from control_plane.domain.errors import PackageRefused, VersionConflict


@dataclass(frozen=True, slots=True)
class Gate:
    """What a gate found; `reason` is a sentence with the numbers."""

    name: str
    passed: bool
    reason: str = ""
    value: float | None = None
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Quality on a part of the held-out requests, the champion's on the same requests beside it.

    Attributes:
        scope: "overall", "slice" or "window".
        part: Which slice or window; empty overall.
    """

    scope: str
    part: str
    rows: int
    metrics: Mapping[str, float]
    champion_metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Provenance:
    """What whoever registers a version says of it, which its package cannot.

    Attributes:
        registered_by: Who had it trained: approvals must come from others.
        retrain_request_id: The request that asked for it; empty for a version trained by hand.
        gates: What it was held to; empty: no gate.
    """

    registered_by: str = ""
    owner: str = ""
    risk: str = ""
    retrain_request_id: str = ""
    gates: tuple[Gate, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()

    @property
    def failed_gates(self) -> tuple[str, ...]:
        """The names of the gates it failed, in order."""
        return tuple(gate.name for gate in self.gates if not gate.passed)


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
    provenance: Provenance = field(default_factory=Provenance)


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


class Standing(StrEnum):
    """What was decided about a version."""

    UNDECIDED = "UNDECIDED"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"


class Stage(StrEnum):
    """How far a version has come; follows from its standing, its gates and the route in force."""

    REGISTERED = "REGISTERED"
    REFUSED = "REFUSED"
    APPROVED = "APPROVED"
    SHADOW = "SHADOW"
    CANARY = "CANARY"
    CHALLENGER = "CHALLENGER"
    CHAMPION = "CHAMPION"
    RETIRED = "RETIRED"


@dataclass(frozen=True, slots=True)
class Version:
    """A registered version: where its frozen package is, and what that package said when it was verified.

    Attributes:
        standing: What was decided about it; final once decided.
        routed: Whether it was ever part of a route.
        withdrawn: Whether it was champion and was rolled back from: it is not rolled back to.
    """

    model: str
    version: str
    digest: str
    package_uri: str
    facts: PackageFacts
    registered_at_us: int
    provenance: Provenance = field(default_factory=Provenance)
    standing: Standing = Standing.UNDECIDED
    routed: bool = False
    withdrawn: bool = False

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
            provenance=claim.provenance,
        )

    @property
    def approved(self) -> bool:
        """Whether it may answer requests."""
        return self.standing is Standing.APPROVED

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

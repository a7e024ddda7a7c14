"""What travels as JSON: requests, replies, and how they are made from the domain."""

from datetime import datetime
from typing import Annotated, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from control_plane.domain.approvals import version_approval_id
from control_plane.domain.routes import Route, stage_of
from control_plane.domain.times import moment
from control_plane.domain.versions import Evaluation, Gate, ModelSummary, Version

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
_DIGEST = "3f9a1c2b7d04a5b6c7d8e9f00112233445566778899aabbccddeeff001122334"

Name = Annotated[str, Field(pattern=NAME_PATTERN, examples=["gradient-boosting-3f9a1c2b7d04"])]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256, hex.", examples=[_DIGEST])]
PackageUri = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2048,
        description="Where the frozen package is: a folder inside the package store, or its file:// URI.",
        examples=[f"file:///data/packages/{_DIGEST}"],
    ),
]
Item = TypeVar("Item")


class Registration(BaseModel):
    """A package to register as a version."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[
        Name | None, Field(description="Its name, for ever; the one the package gives itself when left out.")
    ] = None
    digest: Sha256
    package_uri: PackageUri


class GateOfVersion(BaseModel):
    """What a gate found."""

    name: Annotated[str, Field(examples=["champion-metric"])]
    passed: bool
    reason: str
    value: float | None
    threshold: float | None

    @classmethod
    def of(cls, gate: Gate) -> Self:
        """Shows a gate."""
        return cls(
            name=gate.name,
            passed=gate.passed,
            reason=gate.reason,
            value=gate.value,
            threshold=gate.threshold,
        )


class EvaluationOfVersion(BaseModel):
    """Quality on a part of the held-out requests, the champion's on the same requests beside it."""

    scope: Annotated[str, Field(examples=["overall", "slice", "window"])]
    part: Annotated[str, Field(description="Which slice or window.", examples=["carrier=UA"])]
    rows: int
    metrics: dict[str, float]
    champion_metrics: dict[str, float]

    @classmethod
    def of(cls, evaluation: Evaluation) -> Self:
        """Shows an evaluation."""
        return cls(
            scope=evaluation.scope,
            part=evaluation.part,
            rows=evaluation.rows,
            metrics=dict(evaluation.metrics),
            champion_metrics=dict(evaluation.champion_metrics),
        )


class RegisteredVersion(BaseModel):
    """A version: how far it has come, on what evidence, and what its package says of itself."""

    model: Name
    version: Name
    stage: Annotated[
        str,
        Field(
            description="registered, refused, approved, shadow, canary, challenger, champion or retired.",
            examples=["champion"],
        ),
    ]
    approved: Annotated[bool, Field(description="Whether it may answer requests.")]
    approval_id: Annotated[str, Field(description="The approval it waits, or waited, for.")]
    owner: str
    risk: Annotated[str, Field(examples=["medium"])]
    registered_by: str
    retrain_request_id: Annotated[str, Field(description="Empty for one that was trained by hand.")]
    gates: Annotated[list[GateOfVersion], Field(description="Empty: it was held to no gate.")]
    evaluations: list[EvaluationOfVersion]
    digest: Sha256
    package_uri: PackageUri
    registered_at: datetime
    algorithm: str
    label: Annotated[str, Field(description="The label it predicts.", examples=["arrived_late"])]
    decision_threshold: float
    feature_names: list[str]
    contract_hash: Annotated[str, Field(description="SHA-256 of the feature contract it reads.")]
    dataset_snapshot: Annotated[str, Field(description="The data it was trained on, in one hash.")]
    code_commit: str
    metrics: Annotated[dict[str, float], Field(description="On the held-out end of the training period.")]
    trained_from: datetime
    trained_until: datetime
    training_rows: int

    @classmethod
    def of(cls, version: Version, route: Route | None) -> Self:
        """Shows a version, given the route in force."""
        facts, provenance = version.facts, version.provenance
        return cls(
            model=version.model,
            version=version.version,
            stage=stage_of(version, route).lower(),
            approved=version.approved,
            approval_id=version_approval_id(version.model, version.version),
            owner=provenance.owner,
            risk=provenance.risk,
            registered_by=provenance.registered_by,
            retrain_request_id=provenance.retrain_request_id,
            gates=[GateOfVersion.of(gate) for gate in provenance.gates],
            evaluations=[EvaluationOfVersion.of(part) for part in provenance.evaluations],
            digest=version.digest,
            package_uri=version.package_uri,
            registered_at=moment(version.registered_at_us),
            algorithm=facts.algorithm,
            label=facts.label,
            decision_threshold=facts.decision_threshold,
            feature_names=list(facts.feature_names),
            contract_hash=facts.contract_hash,
            dataset_snapshot=facts.dataset_snapshot,
            code_commit=facts.code_commit,
            metrics=dict(facts.metrics),
            trained_from=moment(facts.trained_from_us),
            trained_until=moment(facts.trained_until_us),
            training_rows=facts.training_rows,
        )


class Model(BaseModel):
    """A model at a glance."""

    model: Annotated[Name, Field(examples=["flight-delay"])]
    versions: Annotated[int, Field(description="How many are registered.", examples=[2])]
    latest_version: Name
    champion: Annotated[Name | None, Field(description="The version that answers; null without a route.")]
    shadows: list[Name]
    revision: Annotated[int, Field(description="The route's revision; 0 without a route.", examples=[3])]

    @classmethod
    def of(cls, summary: ModelSummary) -> Self:
        """Shows a model."""
        return cls(
            model=summary.model,
            versions=summary.versions,
            latest_version=summary.latest_version,
            champion=summary.champion,
            shadows=list(summary.shadows),
            revision=summary.revision,
        )


class Listed(BaseModel, Generic[Item]):
    """Part of a list."""

    items: list[Item]
    next: Annotated[str | None, Field(description="Send it as `after` for what follows; null at the end.")]

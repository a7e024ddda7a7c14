"""What travels as JSON: requests, replies, and how they are made from the domain."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from control_plane.domain.routes import Route
from control_plane.domain.versions import ModelSummary, Version

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
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


class RouteRequest(BaseModel):
    """Which versions should serve."""

    model_config = ConfigDict(extra="forbid")

    champion: Annotated[Name, Field(description="The version whose answers are returned.")]
    shadows: Annotated[
        list[Name],
        Field(
            max_length=16,
            description="Versions that score the same vectors and answer nobody.",
            examples=[["logistic-regression-a1b2c3d4e5f6"]],
        ),
    ] = []


class VersionReference(BaseModel):
    """A version and where its frozen package is."""

    version: Name
    digest: Sha256
    package_uri: PackageUri

    @classmethod
    def of(cls, version: Version) -> Self:
        """Points at a version."""
        return cls(version=version.version, digest=version.digest, package_uri=version.package_uri)


class RouteInForce(BaseModel):
    """The route of a model, whole."""

    model: Name
    revision: Annotated[int, Field(description="Counts changes from 1; also the ETag.", examples=[3])]
    champion: VersionReference
    shadows: list[VersionReference]
    changed_at: datetime

    @classmethod
    def of(cls, route: Route) -> Self:
        """Shows a route."""
        return cls(
            model=route.model,
            revision=route.revision,
            champion=VersionReference.of(route.champion),
            shadows=[VersionReference.of(shadow) for shadow in route.shadows],
            changed_at=_moment(route.changed_at_us),
        )


class RegisteredVersion(BaseModel):
    """A version, and what its package says of itself."""

    model: Name
    version: Name
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
    def of(cls, version: Version) -> Self:
        """Shows a version."""
        facts = version.facts
        return cls(
            model=version.model,
            version=version.version,
            digest=version.digest,
            package_uri=version.package_uri,
            registered_at=_moment(version.registered_at_us),
            algorithm=facts.algorithm,
            label=facts.label,
            decision_threshold=facts.decision_threshold,
            feature_names=list(facts.feature_names),
            contract_hash=facts.contract_hash,
            dataset_snapshot=facts.dataset_snapshot,
            code_commit=facts.code_commit,
            metrics=dict(facts.metrics),
            trained_from=_moment(facts.trained_from_us),
            trained_until=_moment(facts.trained_until_us),
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


def _moment(time_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=time_us)

"""Routes as they travel as JSON: who is to answer, and who does."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictStr

from control_plane.adapters.http.bodies import Name, PackageUri, Sha256
from control_plane.domain.experiments import Compared, Condition, Experiment, Segment, Share
from control_plane.domain.routes import ALL_TRAFFIC_BASIS_POINTS, Route
from control_plane.domain.times import moment
from control_plane.domain.versions import Version

FieldName = Annotated[str, Field(min_length=1, max_length=128, examples=["origin"])]
Finite = Annotated[StrictFloat, Field(allow_inf_nan=False)]
Weight = Annotated[int, Field(ge=0, le=ALL_TRAFFIC_BASIS_POINTS, description="Its share, in basis points.")]


class ShareOfRequests(BaseModel):
    """A version that is to answer a share of the requests."""

    model_config = ConfigDict(extra="forbid")

    variant: Annotated[Name, Field(description="The arm's name.", examples=["green"])]
    version: Name
    weight_basis_points: Weight

    def share(self) -> Share:
        """Reads it."""
        return Share(self.variant, self.version, self.weight_basis_points)


class ConditionOfSegment(BaseModel):
    """Something that a request must be: one of some values, or a number within a range."""

    model_config = ConfigDict(extra="forbid")

    field: Annotated[
        Literal["entity", "input"], Field(description="Whether an entity's key or an input is read.")
    ]
    name: FieldName
    any_of: Annotated[
        list[StrictBool | Finite | StrictStr] | None,
        Field(max_length=1000, description="The values it may have.", examples=[["JFK", "LGA"]]),
    ] = None
    at_least: Annotated[Finite | None, Field(description="The range's lower bound, in it.")] = None
    less_than: Annotated[Finite | None, Field(description="Its upper bound, not in it.")] = None

    def condition(self) -> Condition:
        """Reads it."""
        values: tuple[Compared, ...] | None = None if self.any_of is None else tuple(self.any_of)
        return Condition(self.field, self.name, values, self.at_least, self.less_than)

    @classmethod
    def of(cls, condition: Condition) -> Self:
        """Shows it."""
        return cls.model_validate(
            {
                "field": condition.field,
                "name": condition.name,
                "any_of": None if condition.any_of is None else list(condition.any_of),
                "at_least": condition.at_least,
                "less_than": condition.less_than,
            }
        )


class SegmentOfRequests(BaseModel):
    """Requests that have arms of their own: those of which every condition holds."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    conditions: Annotated[list[ConditionOfSegment], Field(min_length=1, max_length=16)]
    arms: Annotated[
        list[ShareOfRequests],
        Field(min_length=1, max_length=16, description="Who answers; all together: 10,000."),
    ]

    def segment(self) -> Segment:
        """Reads it."""
        return Segment(
            self.name,
            tuple(condition.condition() for condition in self.conditions),
            tuple(arm.share() for arm in self.arms),
        )


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
    arms: Annotated[
        list[ShareOfRequests],
        Field(max_length=16, description="Who answers beside the champion, which has the rest."),
    ] = []
    segments: Annotated[
        list[SegmentOfRequests],
        Field(max_length=64, description="The first that a request is of has the arms for it."),
    ] = []
    sticky_entity: Annotated[
        str,
        Field(
            max_length=128,
            description="The entity whose key says who meets which arm; the request key when empty.",
        ),
    ] = ""
    salt: Annotated[
        str,
        Field(max_length=128, description="Another one deals anew; the model's own name when empty."),
    ] = ""

    def experiment(self) -> Experiment:
        """Reads what is to answer beside the champion."""
        return Experiment(
            tuple(arm.share() for arm in self.arms),
            tuple(segment.segment() for segment in self.segments),
            self.sticky_entity,
        )


class VersionReference(BaseModel):
    """A version and where its frozen package is."""

    version: Name
    digest: Sha256
    package_uri: PackageUri

    @classmethod
    def of(cls, version: Version) -> Self:
        """Points at a version."""
        return cls(version=version.version, digest=version.digest, package_uri=version.package_uri)


class ArmOfRoute(BaseModel):
    """A version that answers a share of the requests."""

    variant: Annotated[str, Field(examples=["champion", "canary"])]
    version: VersionReference
    weight_basis_points: Annotated[int, Field(description="Its share; all arms together: 10,000.")]


class SegmentOfRoute(BaseModel):
    """Requests that have arms of their own."""

    name: Name
    conditions: list[ConditionOfSegment]
    arms: list[ArmOfRoute]

    @classmethod
    def of(cls, route: Route, segment: Segment) -> Self:
        """Shows it."""
        return cls(
            name=segment.name,
            conditions=[ConditionOfSegment.of(condition) for condition in segment.conditions],
            arms=[_arm(route, share) for share in segment.arms],
        )


class RouteInForce(BaseModel):
    """The route of a model, whole."""

    model: Name
    revision: Annotated[int, Field(description="Counts changes from 1; also the ETag.", examples=[3])]
    champion: VersionReference
    arms: Annotated[list[ArmOfRoute], Field(description="Who answers, the champion first.")]
    segments: Annotated[
        list[SegmentOfRoute], Field(description="Requests that have arms of their own, in order.")
    ]
    sticky_entity: Annotated[
        str, Field(description="Whose key says who meets which arm; the request's when empty.")
    ]
    shadows: list[VersionReference]
    salt: Annotated[str, Field(description="Salts the assignment of requests to arms.")]
    changed_at: datetime

    @classmethod
    def of(cls, route: Route) -> Self:
        """Shows a route."""
        return cls(
            model=route.model,
            revision=route.revision,
            champion=VersionReference.of(route.champion),
            arms=arms_of(route),
            shadows=[VersionReference.of(shadow) for shadow in route.shadows],
            segments=[SegmentOfRoute.of(route, segment) for segment in route.experiment.segments],
            sticky_entity=route.experiment.sticky_entity,
            salt=route.assignment_salt,
            changed_at=moment(route.changed_at_us),
        )


def arms_of(route: Route) -> list[ArmOfRoute]:
    """Shows who answers the requests that are of no segment."""
    if route.canary is None:
        others = [_arm(route, share) for share in route.experiment.arms]
        left = route.experiment.champion_basis_points
    else:
        weight, version = route.canary.weight_basis_points, VersionReference.of(route.canary.version)
        others = [ArmOfRoute(variant="canary", version=version, weight_basis_points=weight)]
        left = ALL_TRAFFIC_BASIS_POINTS - weight
    champion = VersionReference.of(route.champion)
    return [ArmOfRoute(variant="champion", version=champion, weight_basis_points=left), *others]


def _arm(route: Route, share: Share) -> ArmOfRoute:
    version = VersionReference.of(route.version_named(share.version))
    return ArmOfRoute(variant=share.variant, version=version, weight_basis_points=share.weight_basis_points)

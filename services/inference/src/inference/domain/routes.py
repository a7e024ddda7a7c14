"""Routes: which versions of a model answer, and which are scored in the shadow."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from inference.domain.assignment import BASIS_POINTS
from inference.domain.segments import NonsenseSegment, Segment, check_segments


class Role(IntEnum):
    """The part a version plays in a prediction, numbered as in the contract."""

    UNSPECIFIED = 0
    CHAMPION = 1
    CHALLENGER = 2
    SHADOW = 3


class InvalidRoute(Exception):
    """A route makes no sense; the one before it keeps serving."""


@dataclass(frozen=True, slots=True)
class VersionRef:
    """A version and where its frozen package is.

    Attributes:
        digest: SHA-256 of the package, hex.
    """

    version: str
    digest: str
    package_uri: str


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm of a route: a share of the traffic, in basis points, for one version.

    Attributes:
        segment: The segment whose arm it is; empty for the route's own.
    """

    variant: str
    role: Role
    version: VersionRef
    weight_basis_points: int
    segment: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """The route of a model, whole. A higher revision supersedes.

    Attributes:
        salt: Salts the assignment hash.
        sticky_entity: The entity whose key makes assignment sticky; the request key when empty.
        shadows: Scored from logged vectors, answered to nobody.
        segments: The first that a request is of has the arms for it; `arms` where it is of none.
    """

    model: str
    revision: int
    salt: str
    sticky_entity: str
    arms: tuple[Arm, ...]
    shadows: tuple[VersionRef, ...] = ()
    segments: tuple[Segment, ...] = ()

    @property
    def all_arms(self) -> tuple[Arm, ...]:
        """The arms of the route and of each segment."""
        return (*self.arms, *(arm for segment in self.segments for arm in segment.arms))


def weights_of(arms: tuple[Arm, ...]) -> tuple[int, ...]:
    """Basis points of arms, in order."""
    return tuple(arm.weight_basis_points for arm in arms)


def check_route(route: Route) -> None:
    """Refuse a route that cannot be followed.

    Raises:
        InvalidRoute: It names no model or no arm, weights are no shares of the whole, or a segment makes
            no sense.
    """
    if not route.model:
        raise InvalidRoute("the route names no model")
    revision = f"{route.model!r} revision {route.revision}"
    _check_arms(route.arms, revision)
    for segment in route.segments:
        _check_arms(segment.arms, f"segment {segment.name!r} of {revision}")
    try:
        check_segments(route.segments)
    except NonsenseSegment as error:
        raise InvalidRoute(f"{revision}: {error}") from error


def _check_arms(arms: tuple[Arm, ...], where: str) -> None:
    weights = weights_of(arms)
    if any(weight < 0 for weight in weights) or sum(weights) != BASIS_POINTS:
        raise InvalidRoute(
            f"the arms of {where} weigh {list(weights)}: "
            f"basis points must be 0 or more and sum to {BASIS_POINTS:,}"
        )
    variants = [arm.variant for arm in arms]
    if "" in variants or len(set(variants)) != len(variants):
        raise InvalidRoute(f"the arms of {where} are called {variants}: each needs a name of its own")

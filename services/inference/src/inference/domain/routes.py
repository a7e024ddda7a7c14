"""Routes: which versions of a model answer, and which are scored in the shadow."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from inference.domain.assignment import BASIS_POINTS


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
    """One arm of a route: a share of the traffic, in basis points, for one version."""

    variant: str
    role: Role
    version: VersionRef
    weight_basis_points: int


@dataclass(frozen=True, slots=True)
class Route:
    """The route of a model, whole. A higher revision supersedes.

    Attributes:
        salt: Salts the assignment hash.
        sticky_entity: The entity whose key makes assignment sticky; the request key when empty.
        shadows: Scored from logged vectors, answered to nobody.
    """

    model: str
    revision: int
    salt: str
    sticky_entity: str
    arms: tuple[Arm, ...]
    shadows: tuple[VersionRef, ...] = ()

    @property
    def weights(self) -> tuple[int, ...]:
        """Basis points of the arms, in order."""
        return tuple(arm.weight_basis_points for arm in self.arms)


def check_route(route: Route) -> None:
    """Refuse a route that cannot be followed.

    Raises:
        InvalidRoute: It names no model or no arm, or the weights are no shares of the whole.
    """
    if not route.model:
        raise InvalidRoute("the route names no model")
    if any(weight < 0 for weight in route.weights) or sum(route.weights) != BASIS_POINTS:
        raise InvalidRoute(
            f"the arms of {route.model!r} revision {route.revision} weigh {list(route.weights)}: "
            f"basis points must be 0 or more and sum to {BASIS_POINTS:,}"
        )
    variants = [arm.variant for arm in route.arms]
    if "" in variants or len(set(variants)) != len(variants):
        raise InvalidRoute(
            f"the arms of {route.model!r} revision {route.revision} are called {variants}: "
            "each needs a name of its own"
        )

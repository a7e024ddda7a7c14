"""Routes: which version answers, which one answers a share beside it, which ones score in the shadow."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from control_plane.domain.errors import RevisionConflict, RouteRefused, UnknownVersion
from control_plane.domain.versions import Stage, Standing, Version

ALL_TRAFFIC_BASIS_POINTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class RouteRequest:
    """What somebody wants served.

    Attributes:
        expected_revision: The revision they decided on, 0 for no route; None when any will do.
    """

    model: str
    champion: str
    shadows: tuple[str, ...] = ()
    expected_revision: int | None = None


@dataclass(frozen=True, slots=True)
class Canary:
    """A version that answers a share of the requests."""

    version: Version
    weight_basis_points: int


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Who does what in a route.

    Attributes:
        salt: Salts the assignment of requests to arms; empty for the model's own name.
    """

    champion: Version
    shadows: tuple[Version, ...] = ()
    canary: Canary | None = None
    salt: str = ""

    @property
    def versions(self) -> tuple[Version, ...]:
        """Every version that takes part, once, the champion first."""
        canary = () if self.canary is None else (self.canary.version,)
        named = {version.version: version for version in (self.champion, *canary, *self.shadows)}
        return tuple(named.values())


@dataclass(frozen=True, slots=True)
class Route:
    """The route of a model, whole; a higher revision supersedes."""

    model: str
    revision: int
    champion: Version
    shadows: tuple[Version, ...]
    changed_at_us: int
    canary: Canary | None = None
    salt: str = ""

    @property
    def assignment_salt(self) -> str:
        """Salts the assignment of requests to arms; the model's own name while there is no experiment."""
        return self.salt or self.model

    @property
    def arrangement(self) -> Arrangement:
        """Who does what in it."""
        return Arrangement(self.champion, self.shadows, self.canary, self.salt)

    def serves(self, request: RouteRequest) -> bool:
        """Whether this is already what is asked for."""
        wanted = (request.champion, request.shadows)
        return self.canary is None and (self.champion.version, self.shadow_names) == wanted

    @property
    def shadow_names(self) -> tuple[str, ...]:
        """The shadows' version names, in order."""
        return tuple(shadow.version for shadow in self.shadows)


def decide(
    request: RouteRequest, *, current: Route | None, versions: Mapping[str, Version], now_us: int
) -> Route:
    """Returns the route to put in force: the current one itself when it already does what is asked.

    Args:
        request: What is wanted.
        current: The route in force.
        versions: The registered versions among those named, by name.
        now_us: When it is decided.

    Raises:
        RevisionConflict: the route is not at the expected revision.
        RouteRefused: a version is not registered or not approved, or they do not make a route together.
    """
    revision = current.revision if current else 0
    if request.expected_revision not in (None, revision):
        raise RevisionConflict(request.model, current=revision)
    if current and current.serves(request):
        return current
    _refuse_repeats(request)
    named = (request.champion, *request.shadows)
    champion, *shadows = (_known(request.model, name, versions) for name in named)
    return arranged(request.model, current, Arrangement(champion, tuple(shadows)), now_us=now_us)


def arranged(model: str, current: Route | None, wanted: Arrangement, *, now_us: int) -> Route:
    """Returns the route that follows the current one and serves as arranged.

    Raises:
        RouteRefused: a version that would answer is not approved, or one cannot score the champion's vectors.
    """
    for version in (wanted.champion, *((wanted.canary.version,) if wanted.canary else ())):
        refuse_unapproved(version)
    refuse_other_contracts(wanted.champion, wanted.versions)
    revision = (current.revision if current else 0) + 1
    return Route(model, revision, wanted.champion, wanted.shadows, now_us, wanted.canary, wanted.salt)


def refuse_unapproved(version: Version) -> None:
    """Refuses a version that may not answer requests.

    Raises:
        RouteRefused: it is not approved.
    """
    if not version.approved:
        why = "was rejected" if version.standing is Standing.REJECTED else "is not approved yet"
        raise RouteRefused(
            "NOT_APPROVED",
            f"Version {version.version} of {version.model!r} {why}: only an approved version answers "
            f"requests. Decide on version:{version.model}:{version.version} first, or let it shadow.",
        )


def refuse_other_contracts(champion: Version, others: Sequence[Version]) -> None:
    """A shadow or canary is compared on the vectors that were served, so it must read the same features.

    Raises:
        RouteRefused: one reads another feature contract.
    """
    for other in others:
        if other.facts.contract_hash != champion.facts.contract_hash:
            raise RouteRefused(
                "CONTRACT_MISMATCH",
                f"Version {other.version} reads feature contract {other.facts.contract_hash}, the champion "
                f"{champion.version} serves {champion.facts.contract_hash}: a shadow scores the champion's "
                "vectors, so train it on the same contract.",
            )


def stage_of(version: Version, route: Route | None) -> Stage:
    """Says how far a version has come, given the route in force."""
    placed = _placed(version, route)
    if placed:
        return placed
    if version.standing is Standing.REJECTED:
        return Stage.REFUSED
    if version.routed:
        return Stage.RETIRED
    if version.approved:
        return Stage.APPROVED
    return Stage.REFUSED if version.provenance.failed_gates else Stage.REGISTERED


def _placed(version: Version, route: Route | None) -> Stage | None:
    if route is None:
        return None
    if route.champion.version == version.version:
        return Stage.CHAMPION
    if route.canary and route.canary.version.version == version.version:
        return Stage.CANARY
    return Stage.SHADOW if version.version in route.shadow_names else None


def _known(model: str, name: str, versions: Mapping[str, Version]) -> Version:
    if name not in versions:
        raise RouteRefused("UNKNOWN_VERSION", str(UnknownVersion(model, name)))
    return versions[name]


def _refuse_repeats(request: RouteRequest) -> None:
    repeated = sorted(name for name, count in Counter(request.shadows).items() if count > 1)
    if repeated:
        raise RouteRefused(
            "DUPLICATE_SHADOW", f"A version shadows once: {', '.join(repeated)} is named again."
        )
    if request.champion in request.shadows:
        raise RouteRefused(
            "CHAMPION_IS_SHADOW", f"{request.champion} is the champion: it cannot shadow itself as well."
        )

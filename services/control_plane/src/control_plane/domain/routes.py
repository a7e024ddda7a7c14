"""Routes: which version answers, which one answers a share beside it, which ones score in the shadow."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from control_plane.domain.errors import RevisionConflict, RouteRefused, UnknownVersion
from control_plane.domain.experiments import NO_EXPERIMENT, Experiment, refuse_nonsense
from control_plane.domain.versions import Stage, Standing, Version

ALL_TRAFFIC_BASIS_POINTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class RouteRequest:
    """What somebody wants served.

    Attributes:
        expected_revision: The revision they decided on, 0 for no route; None when any will do.
        experiment: What is to answer beside the champion.
        salt: Salts the assignment of requests to arms; empty for the model's own name.
    """

    model: str
    champion: str
    shadows: tuple[str, ...] = ()
    expected_revision: int | None = None
    experiment: Experiment = NO_EXPERIMENT
    salt: str = ""

    @property
    def version_names(self) -> tuple[str, ...]:
        """Every version it names."""
        return (self.champion, *self.shadows, *self.experiment.version_names)


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
        experiment: Who answers beside the champion where there is no rollout.
        participants: The versions that the experiment names.
    """

    champion: Version
    shadows: tuple[Version, ...] = ()
    canary: Canary | None = None
    salt: str = ""
    experiment: Experiment = NO_EXPERIMENT
    participants: tuple[Version, ...] = ()

    @property
    def answering(self) -> tuple[Version, ...]:
        """The versions that may answer requests, the champion first."""
        canary = () if self.canary is None else (self.canary.version,)
        return (self.champion, *canary, *self.participants)

    @property
    def versions(self) -> tuple[Version, ...]:
        """Every version that takes part, once, the champion first."""
        named = {version.version: version for version in (*self.answering, *self.shadows)}
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
    experiment: Experiment = NO_EXPERIMENT
    participants: tuple[Version, ...] = ()

    @property
    def assignment_salt(self) -> str:
        """Salts the assignment of requests to arms; the model's own name while there is no experiment."""
        return self.salt or self.model

    @property
    def arrangement(self) -> Arrangement:
        """Who does what in it."""
        return Arrangement(
            self.champion, self.shadows, self.canary, self.salt, self.experiment, self.participants
        )

    def version_named(self, name: str) -> Version:
        """Returns the version that an arm of the experiment names."""
        return next(version for version in (self.champion, *self.participants) if version.version == name)

    def serves(self, request: RouteRequest) -> bool:
        """Whether this is already what is asked for."""
        wanted = (request.champion, request.shadows, request.experiment, request.salt)
        mine = (self.champion.version, self.shadow_names, self.experiment, self.salt)
        return self.canary is None and mine == wanted

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
    refuse_nonsense(request.experiment)
    wanted = Arrangement(
        _known(request.model, request.champion, versions),
        tuple(_known(request.model, name, versions) for name in request.shadows),
        salt=request.salt,
        experiment=request.experiment,
        participants=tuple(
            _known(request.model, name, versions) for name in request.experiment.version_names
        ),
    )
    return arranged(request.model, current, wanted, now_us=now_us)


def arranged(model: str, current: Route | None, wanted: Arrangement, *, now_us: int) -> Route:
    """Returns the route that follows the current one and serves as arranged.

    Raises:
        RouteRefused: a version that would answer is not approved, or one cannot score the champion's vectors.
    """
    for version in wanted.answering:
        refuse_unapproved(version)
    refuse_other_contracts(wanted.champion, wanted.versions)
    revision = (current.revision if current else 0) + 1
    return Route(
        model,
        revision,
        wanted.champion,
        wanted.shadows,
        now_us,
        wanted.canary,
        wanted.salt,
        wanted.experiment,
        wanted.participants,
    )


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
    """A shadow, canary or arm is compared on the vectors that were served: it must read the same features.

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
    if version.version in route.experiment.version_names:
        return Stage.CHALLENGER
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
    if request.champion in request.shadows and not request.experiment.diverts_from(request.champion):
        raise RouteRefused(
            "CHAMPION_IS_SHADOW", f"{request.champion} is the champion: it cannot shadow itself as well."
        )

"""Routes: which version answers, which ones score in its shadow."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from control_plane.domain.errors import RevisionConflict, RouteRefused, UnknownVersion
from control_plane.domain.versions import Version


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
class Route:
    """The route of a model, whole; a higher revision supersedes."""

    model: str
    revision: int
    champion: Version
    shadows: tuple[Version, ...]
    changed_at_us: int

    @property
    def salt(self) -> str:
        """Salts the assignment of requests to arms; the model's own name while there is no experiment."""
        return self.model

    def serves(self, request: RouteRequest) -> bool:
        """Whether this is already what is asked for."""
        return (self.champion.version, self.shadow_names) == (request.champion, request.shadows)

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
        RouteRefused: a version is not registered, or the versions do not make a route together.
    """
    revision = current.revision if current else 0
    if request.expected_revision not in (None, revision):
        raise RevisionConflict(request.model, current=revision)
    if current and current.serves(request):
        return current
    _refuse_repeats(request)
    named = (request.champion, *request.shadows)
    champion, *shadows = (_known(request.model, name, versions) for name in named)
    _refuse_other_contracts(champion, shadows)
    return Route(request.model, revision + 1, champion, tuple(shadows), now_us)


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


def _refuse_other_contracts(champion: Version, shadows: Sequence[Version]) -> None:
    """A shadow scores the vectors that were served, so it must read the same features."""
    for shadow in shadows:
        if shadow.facts.contract_hash != champion.facts.contract_hash:
            raise RouteRefused(
                "CONTRACT_MISMATCH",
                f"Shadow {shadow.version} reads feature contract {shadow.facts.contract_hash}, the champion "
                f"{champion.version} serves {champion.facts.contract_hash}: a shadow scores the champion's "
                "vectors, so train it on the same contract.",
            )

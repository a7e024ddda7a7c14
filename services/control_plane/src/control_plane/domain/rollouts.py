"""Rollouts: a candidate goes from shadow through canary steps to champion, as far as the evidence carries it.

What moves a rollout is `observe`: a function of the rollout and of one comparison, so that the same events
make the same moves whenever and however often they are read. Rules and reasons: docs/adr/0013-rollouts.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from control_plane.domain.comparisons import Comparison, Verdict
from control_plane.domain.errors import RolloutEnded
from control_plane.domain.routes import ALL_TRAFFIC_BASIS_POINTS, Arrangement, Canary
from control_plane.domain.versions import Version

CONTROLLER: Final = "system:rollout-controller"
_PASSES: Final = frozenset({Verdict.BETTER, Verdict.EQUIVALENT})


class RolloutState(StrEnum):
    """Where a rollout stands."""

    SHADOW = "SHADOW"
    CANARY = "CANARY"
    GUARD = "GUARD"
    COMPLETED = "COMPLETED"
    ABORTED = "ABORTED"


_ENDED: Final = frozenset({RolloutState.COMPLETED, RolloutState.ABORTED})


@dataclass(frozen=True, slots=True)
class Plan:
    """How a rollout is to go; windows are matured windows of the comparison.

    Attributes:
        canary_basis_points: The candidate's share, step by step; rising, each below 10,000.
        step_windows: How many a canary step needs at least.
        unjudged: A window in which no outcome says which version is better carries the rollout on: of
            rankings and embeddings none does. What speaks against a version, people have to see.
    """

    shadow_windows: int = 7
    canary_basis_points: tuple[int, ...] = (100, 500, 1000, 2500, 5000)
    step_windows: int = 1
    guard_windows: int = 7
    skip_shadow: bool = False
    unjudged: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """The newest that was said of a window; `champion` tells which way round the two were compared."""

    champion: str
    window_start_us: int
    revision: int
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Move:
    """A rollout came into a state; `at_us` is event time as far as it was known."""

    revision: int
    state: RolloutState
    weight_basis_points: int
    reason: str
    by: str
    at_us: int
    route_revision: int = 0


@dataclass(frozen=True, slots=True)
class Rollout:
    """One candidate's way to the traffic, or off it.

    Attributes:
        previous: The champion when it began.
        step: Which of the plan's canary steps it is in.
        base_shadows: Who shadowed when it began, the candidate excepted.
        began_us: Event time when it began, as far as it was known.
        step_began_us: Event time when it came where it is.
        judged: The windows taken into account, by window and direction.
        moves: How it came here, the first first.
    """

    rollout_id: str
    model: str
    version: str
    previous: str
    plan: Plan
    state: RolloutState
    base_shadows: tuple[str, ...]
    started_by: str
    began_us: int
    step_began_us: int
    step: int = 0
    judged: tuple[Judged, ...] = ()
    moves: tuple[Move, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether it will move no more."""
        return self.state in _ENDED

    @property
    def weight_basis_points(self) -> int:
        """The candidate's share of the traffic."""
        match self.state:
            case RolloutState.CANARY:
                return self.plan.canary_basis_points[self.step]
            case RolloutState.GUARD | RolloutState.COMPLETED:
                return ALL_TRAFFIC_BASIS_POINTS
            case _:
                return 0

    @property
    def last(self) -> Move:
        """The move that brought it where it is."""
        return self.moves[-1]

    @property
    def needed_windows(self) -> int:
        """How many matured windows the state asks for at least; 0 once it has ended."""
        match self.state:
            case RolloutState.SHADOW:
                return self.plan.shadow_windows
            case RolloutState.CANARY:
                return self.plan.step_windows
            case RolloutState.GUARD:
                return self.plan.guard_windows
            case _:
                return 0

    @property
    def counted(self) -> tuple[Judged, ...]:
        """The windows that began in this state and step, in order."""
        champion = self.version if self.state is RolloutState.GUARD else self.previous
        return tuple(
            judged
            for judged in self.judged
            if judged.champion == champion and judged.window_start_us >= self.step_began_us
        )


def begin(  # noqa: PLR0913 - what a rollout is made of
    rollout_id: str,
    *,
    candidate: Version,
    champion: Version,
    shadows: tuple[str, ...],
    plan: Plan,
    by: str,
    reason: str,
    at_us: int,
    event_time_us: int,
) -> Rollout:
    """Returns the rollout in its first state.

    Args:
        rollout_id: Unique among all rollouts.
        candidate: What is rolled out.
        champion: What serves now.
        shadows: Who shadows now.
        plan: How it is to go.
        by: Who starts it.
        reason: Why.
        at_us: When, event time where it is known.
        event_time_us: How far event time has come; 0 when nothing is known, so that every window counts.
    """
    rollout = Rollout(
        rollout_id,
        candidate.model,
        candidate.version,
        champion.version,
        plan,
        RolloutState.SHADOW,
        tuple(name for name in shadows if name not in (candidate.version, champion.version)),
        by,
        event_time_us,
        event_time_us,
    )
    first = RolloutState.CANARY if plan.skip_shadow else RolloutState.SHADOW
    return _moved(rollout, first, 0, by=by, reason=reason or "it was started.", at_us=at_us)


def observe(rollout: Rollout, seen: Comparison) -> Rollout:
    """Takes a comparison into account; returns the rollout itself when it says nothing new.

    Only matured windows count, each with its newest revision. What speaks against the candidate in a window
    that began in the rollout ends it; what speaks for it counts in the step in which the window began.
    """
    if rollout.ended or seen.provisional or not _concerns(rollout, seen):
        return rollout
    known = {(judged.champion, judged.window_start_us): judged for judged in rollout.judged}
    where = (seen.champion, seen.window_start_us)
    if where in known and known[where].revision >= seen.revision:
        return rollout
    known[where] = Judged(seen.champion, seen.window_start_us, seen.revision, seen.verdict, seen.reason)
    rollout = replace(rollout, judged=tuple(known[key] for key in sorted(known)))
    if _speaks_against(rollout, seen):
        return _moved(
            rollout,
            RolloutState.ABORTED,
            rollout.step,
            by=CONTROLLER,
            reason=f"{rollout.version} did worse than {rollout.previous}: {seen.reason}",
            at_us=seen.watermark_us,
        )
    return _advanced(rollout, at_us=seen.watermark_us)


def abort(rollout: Rollout, *, by: str, reason: str, at_us: int) -> Rollout:
    """Ends a rollout because somebody says so.

    Raises:
        RolloutEnded: it has ended already.
    """
    if rollout.ended:
        raise RolloutEnded(rollout.rollout_id, rollout.state.value, rollout.last.reason)
    return _moved(rollout, RolloutState.ABORTED, rollout.step, by=by, reason=reason, at_us=at_us)


def routed(rollout: Rollout, route_revision: int) -> Rollout:
    """Notes which route puts the last move into force."""
    *before, last = rollout.moves
    return replace(rollout, moves=(*before, replace(last, route_revision=route_revision)))


def arrangement(rollout: Rollout, versions: Mapping[str, Version]) -> Arrangement:
    """Says who does what in the rollout's state.

    In a canary both versions are shadows as well: each scores what the other answered, so that every request
    has both scores and the comparison stays paired.
    """
    candidate, previous = versions[rollout.version], versions[rollout.previous]
    base = tuple(versions[name] for name in rollout.base_shadows)
    match rollout.state:
        case RolloutState.SHADOW:
            return Arrangement(previous, (*base, candidate))
        case RolloutState.CANARY:
            canary = Canary(candidate, rollout.weight_basis_points)
            return Arrangement(previous, (*base, previous, candidate), canary, rollout.rollout_id)
        case RolloutState.GUARD | RolloutState.COMPLETED:
            return Arrangement(candidate, (*base, previous))
        case _:
            return Arrangement(previous, base)


def _concerns(rollout: Rollout, seen: Comparison) -> bool:
    pair = {seen.champion, seen.challenger}
    return pair == {rollout.version, rollout.previous} and seen.window_start_us >= rollout.began_us


def _speaks_against(rollout: Rollout, seen: Comparison) -> bool:
    bad = Verdict.WORSE if seen.challenger == rollout.version else Verdict.BETTER
    return seen.verdict is bad


def _advanced(rollout: Rollout, *, at_us: int) -> Rollout:
    counted = rollout.counted
    if len(counted) < rollout.needed_windows:
        return rollout
    newest = counted[-1]
    told = f"{len(counted)} matured windows: {newest.reason}"
    if rollout.state is RolloutState.GUARD:
        reason = f"nothing turned in {told}"
        return _moved(
            rollout, RolloutState.COMPLETED, rollout.step, by=CONTROLLER, reason=reason, at_us=at_us
        )
    is_unjudged = rollout.plan.unjudged and newest.verdict is Verdict.UNDEFINED
    if newest.verdict not in _PASSES and not is_unjudged:
        return rollout
    state, step = _next(rollout)
    reason = f"{newest.verdict.lower()} after {told}"
    return _moved(rollout, state, step, by=CONTROLLER, reason=reason, at_us=at_us)


def _next(rollout: Rollout) -> tuple[RolloutState, int]:
    step = 0 if rollout.state is RolloutState.SHADOW else rollout.step + 1
    if step < len(rollout.plan.canary_basis_points):
        return RolloutState.CANARY, step
    return RolloutState.GUARD, rollout.step


def _moved(rollout: Rollout, state: RolloutState, step: int, *, by: str, reason: str, at_us: int) -> Rollout:
    began_us = rollout.step_began_us if state in _ENDED or not rollout.moves else at_us
    rollout = replace(rollout, state=state, step=step, step_began_us=began_us)
    move = Move(len(rollout.moves) + 1, state, rollout.weight_basis_points, reason, by, at_us)
    return replace(rollout, moves=(*rollout.moves, move))

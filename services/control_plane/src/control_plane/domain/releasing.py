"""Releasing: routes, rollouts and the way back, each a change that keeps exactly one champion.

Every function takes a model's state and returns a change; none of them puts an unapproved version on traffic,
for all routes are made by `routes.arranged`, which refuses it.
"""

from dataclasses import dataclass, replace
from typing import Any

from control_plane.domain import alerts, rollouts
from control_plane.domain.audit import Entry
from control_plane.domain.comparisons import Comparison
from control_plane.domain.errors import (
    CommentRequired,
    ExperimentRunning,
    NoRoute,
    NothingToRollBackTo,
    RolloutInProgress,
    RouteRefused,
    UnknownModel,
    UnknownRollout,
)
from control_plane.domain.governing import pass_time
from control_plane.domain.rollouts import Plan, Rollout, RolloutState
from control_plane.domain.routes import (
    Arrangement,
    Route,
    RouteRequest,
    arranged,
    decide,
    refuse_other_contracts,
    refuse_unapproved,
)
from control_plane.domain.state import Change, ModelState
from control_plane.domain.versions import Version


@dataclass(frozen=True, slots=True)
class RolloutRequest:
    """Somebody wants a version rolled out."""

    version: str
    plan: Plan
    actor: str
    reason: str = ""


def set_route(state: ModelState, request: RouteRequest, *, actor: str, now_us: int) -> Change:
    """Puts a route in force; asking for what is in force already changes nothing.

    Raises:
        UnknownModel: no version of the model was ever registered.
        RolloutInProgress: the route belongs to a rollout.
        RevisionConflict, RouteRefused: see `routes.decide`.
    """
    if not state.revision:
        raise UnknownModel(state.model)
    refuse_while_running(state)
    route = decide(request, current=state.route, versions=state.versions, now_us=now_us)
    if route is state.route:
        return Change(state, now_us)
    entry = Entry(actor, "route.set", state.model, str(route.revision), _told(route))
    return Change(state, now_us, entries=(entry,), route=route, versions=_marked(state, route))


def start(state: ModelState, request: RolloutRequest, *, now_us: int) -> Change:
    """Starts a rollout.

    Raises:
        UnknownModel, UnknownVersion, NoRoute: there is nothing to roll out, or nothing to roll it out beside.
        RolloutInProgress: another one is running.
        ExperimentRunning: the route has arms or segments that somebody set.
        RouteRefused: the version is not approved, serves already, or cannot be compared with the champion.
        CommentRequired: the shadow is skipped, or windows without a verdict are to pass, and nobody says why.
    """
    candidate = state.version(request.version)
    refuse_while_running(state)
    if state.route is None:
        raise NoRoute(state.model)
    _refuse_experiment(state.route)
    _refuse_candidate(candidate, state.route.champion)
    if request.plan.skip_shadow and not request.reason.strip():
        raise CommentRequired("Skipping the shadow")
    if request.plan.unjudged and not request.reason.strip():
        raise CommentRequired("Going on without a verdict")
    rollout = rollouts.begin(
        f"{state.model}-r{state.rollouts + 1}",
        candidate=candidate,
        champion=state.route.champion,
        shadows=state.route.shadow_names,
        plan=request.plan,
        by=request.actor,
        reason=request.reason,
        at_us=state.time_us(now_us),
        event_time_us=state.event_time_us,
    )
    change = _move(state, rollout, action="rollout.started", now_us=now_us)
    if state.alert and state.alert.firing:
        change = replace(change, alert=state.alert.resolved(rollout.last.at_us))
    return change


def compare(state: ModelState, seen: Comparison, *, now_us: int) -> Change:
    """Takes a comparison into account: event time goes on, and the rollout as far as it carries it."""
    time_us = max(seen.watermark_us, seen.window_end_us)
    passed = pass_time(state, time_us, now_us=now_us)
    if state.rollout is None:
        return passed
    rollout = rollouts.observe(state.rollout, seen)
    if rollout is state.rollout:
        return passed
    if len(rollout.moves) == len(state.rollout.moves):
        return replace(passed, rollout=rollout)
    moved = _move(state, rollout, action=f"rollout.{_done(rollout)}", now_us=now_us)
    if rollout.state is RolloutState.ABORTED:
        candidate = state.versions[rollout.version]
        moved = replace(moved, alert=alerts.fire(rollout, candidate, seen, state.alert))
    return replace(
        moved,
        entries=(*passed.entries, *moved.entries),
        approvals=passed.approvals,
        event_time_us=time_us,
    )


def abort(state: ModelState, rollout_id: str | None, *, actor: str, reason: str, now_us: int) -> Change:
    """Ends the running rollout; the champion of before answers everything.

    Raises:
        UnknownModel, UnknownRollout: there is no such running rollout.
    """
    if not state.revision:
        raise UnknownModel(state.model)
    if state.rollout is None or rollout_id not in (None, state.rollout.rollout_id):
        raise UnknownRollout(state.model, rollout_id)
    told = reason.strip() or "somebody stopped it, and did not say why."
    ended = rollouts.abort(state.rollout, by=actor, reason=told, at_us=state.time_us(now_us))
    return _move(state, ended, action="rollout.aborted", now_us=now_us)


def roll_back(state: ModelState, *, actor: str, reason: str, now_us: int) -> Change:
    """Makes the champion before champion again, alone, in one change.

    While a rollout runs, that is the champion of before the rollout, and the rollout is aborted. While an
    experiment gives requests to other versions, it is the champion there is, and the experiment ends. Else it
    is the last champion before the current one that was not itself rolled back from; so a second rollback
    goes further back and never forth.

    Raises:
        UnknownModel, NoRoute: nothing serves.
        NothingToRollBackTo: no such version is left.
    """
    if not state.revision:
        raise UnknownModel(state.model)
    if state.route is None:
        raise NoRoute(state.model)
    if state.rollout is not None:
        return _roll_back_rollout(state, actor=actor, reason=reason, now_us=now_us)
    if state.route.experiment.diverts_from(state.route.champion.version):
        return _end_experiment(state, state.route, actor=actor, reason=reason, now_us=now_us)
    previous = _champion_before(state, state.route.champion)
    shadows = tuple(
        shadow
        for shadow in state.route.shadows
        if shadow.version != previous.version and shadow.facts.contract_hash == previous.facts.contract_hash
    )
    route = arranged(state.model, state.route, Arrangement(previous, shadows), now_us=now_us)
    details = {"from": state.route.champion.version, "reason": reason} | _told(route)
    entry = Entry(actor, "route.rolled_back", state.model, str(route.revision), details)
    return Change(
        state,
        now_us,
        entries=(entry,),
        route=route,
        versions=_marked(state, route, withdrawn=state.route.champion.version),
    )


def _end_experiment(state: ModelState, running: Route, *, actor: str, reason: str, now_us: int) -> Change:
    shadows = tuple(shadow for shadow in running.shadows if shadow.version != running.champion.version)
    route = arranged(state.model, running, Arrangement(running.champion, shadows), now_us=now_us)
    details = {"experiment": running.experiment.told(), "reason": reason} | _told(route)
    entry = Entry(actor, "route.rolled_back", state.model, str(route.revision), details)
    return Change(state, now_us, entries=(entry,), route=route, versions=_marked(state, route))


def _refuse_experiment(route: Route) -> None:
    experiment = route.experiment
    if experiment.shares:
        named = [f"arm {share.variant}" for share in experiment.arms]
        named += [f"segment {segment.name}" for segment in experiment.segments]
        raise ExperimentRunning(route.model, ", ".join(named))


def refuse_while_running(state: ModelState) -> None:
    """Refuses what a running rollout excludes.

    Raises:
        RolloutInProgress: one is running.
    """
    running = state.rollout
    if running:
        raise RolloutInProgress(
            state.model, running.rollout_id, running.version, running.state.value, running.started_by
        )


def _roll_back_rollout(state: ModelState, *, actor: str, reason: str, now_us: int) -> Change:
    assert state.rollout is not None
    at_us = state.time_us(now_us)
    told = f"rolled back: {reason.strip() or 'nobody said why'}"
    ended = rollouts.abort(state.rollout, by=actor, reason=told, at_us=at_us)
    change = _move(state, ended, action="rollout.aborted", now_us=now_us)
    assert change.route is not None
    details = {"rollout": ended.rollout_id, "reason": reason} | _told(change.route)
    entry = Entry(actor, "route.rolled_back", state.model, str(change.route.revision), details)
    return replace(change, entries=(entry, *change.entries))


def _champion_before(state: ModelState, champion: Version) -> Version:
    for name in state.champions:
        version = state.versions[name]
        if name != champion.version and not version.withdrawn and version.approved:
            return version
    raise NothingToRollBackTo(state.model)


def _refuse_candidate(candidate: Version, champion: Version) -> None:
    if candidate.version == champion.version:
        raise RouteRefused("ALREADY_CHAMPION", f"{candidate.version} answers every request already.")
    refuse_unapproved(candidate)
    refuse_other_contracts(champion, (candidate,))


def _move(state: ModelState, rollout: Rollout, *, action: str, now_us: int) -> Change:
    """Puts a rollout's last move into force; a completed one leaves the route as it is."""
    if rollout.state is RolloutState.COMPLETED:
        assert state.route is not None
        route, rollout = None, rollouts.routed(rollout, state.route.revision)
        versions: tuple[Version, ...] = ()
    else:
        wanted = rollouts.arrangement(rollout, state.versions)
        route = arranged(state.model, state.route, wanted, now_us=now_us)
        rollout = rollouts.routed(rollout, route.revision)
        versions = _marked(state, route, withdrawn=_withdrawn(state, rollout))
    return Change(
        state,
        now_us,
        entries=(Entry(rollout.last.by, action, state.model, rollout.rollout_id, _moved(rollout)),),
        rollout=rollout,
        route=route,
        versions=versions,
    )


def _withdrawn(state: ModelState, rollout: Rollout) -> str | None:
    guarded = state.rollout is not None and state.rollout.state is RolloutState.GUARD
    return rollout.version if guarded and rollout.state is RolloutState.ABORTED else None


def _marked(state: ModelState, route: Route, *, withdrawn: str | None = None) -> tuple[Version, ...]:
    """Returns the versions about which the route says something new."""
    marked = {}
    for version in route.arrangement.versions:
        is_champion = version.version == route.champion.version
        known = state.versions[version.version]
        marked[version.version] = replace(known, routed=True, withdrawn=known.withdrawn and not is_champion)
    if withdrawn:
        marked[withdrawn] = replace(state.versions[withdrawn], routed=True, withdrawn=True)
    return tuple(version for name, version in marked.items() if version != state.versions[name])


def _done(rollout: Rollout) -> str:
    match rollout.state:
        case RolloutState.GUARD:
            return "promoted"
        case RolloutState.CANARY:
            return "advanced"
        case state:
            return state.lower()


def _moved(rollout: Rollout) -> dict[str, Any]:
    last = rollout.last
    return {
        "version": rollout.version,
        "previous": rollout.previous,
        "state": last.state.value,
        "weight_basis_points": last.weight_basis_points,
        "reason": last.reason,
        "skip_shadow": rollout.plan.skip_shadow,
        "unjudged": rollout.plan.unjudged,
        "event_time_us": last.at_us,
        "route_revision": last.route_revision,
    }


def _told(route: Route) -> dict[str, Any]:
    told = {"champion": route.champion.version, "shadows": list(route.shadow_names)}
    return told | route.experiment.told()

"""From what is known and what is told to what is known then and what is said: event time only, no clock.

A wish meets, in this order: an open request, the rest after the last one, broken data, immature labels.
What was told before changes nothing when it is told again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from monitoring.monitors import MonitorKind

from retrain_trigger.domain import alarms
from retrain_trigger.domain.effects import Approved, Asked, Refused
from retrain_trigger.domain.facts import Decided, Measured, Registered, Routed
from retrain_trigger.domain.state import Figure, ModelState, Refusal, Request, Route, Settled, Version
from retrain_trigger.domain.times import iso, words
from retrain_trigger.domain.windows import (
    broken_quality,
    new_labels,
    newest_labelled,
    quality_is_sound,
    take_in,
)
from retrain_trigger.domain.wishes import Occasion, wish_of

if TYPE_CHECKING:
    from monitoring.policies import Policy

    from retrain_trigger.domain.effects import Effect
    from retrain_trigger.domain.facts import Fact
    from retrain_trigger.domain.rules import Rules
    from retrain_trigger.domain.state import Window
    from retrain_trigger.domain.wishes import Wish

    Step = tuple[ModelState, tuple[Effect, ...]]

APPROVED: Final = "APPROVED"
_MOST_VERSIONS: Final = 100
_MOST_SETTLED: Final = 100
_MOST_ROUTES: Final = 50


class VoidDecision(Exception):
    """Somebody decided what cannot be decided; it changes nothing.

    Attributes:
        reason: UPPER_SNAKE.
        detail: A sentence.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class _Refusing:
    """A refusal with what speaks for it."""

    refusal: Refusal
    reason: str
    figures: tuple[Figure, ...]
    monitor: str = ""


def apply(state: ModelState, fact: Fact, rules: Rules) -> Step:
    """Return what is known after a fact of the model, and what is to be told.

    Raises:
        VoidDecision: A decision on a request that does not exist, or is settled; nothing changes.
    """
    match fact:
        case Measured():
            return _on_measured(state, fact, rules)
        case Registered():
            return _on_registered(state, fact), ()
        case Routed():
            return _on_routed(state, fact), ()
        case Decided():
            return _on_decided(state, fact)


def _on_measured(state: ModelState, measured: Measured, rules: Rules) -> Step:
    before_us = state.now_us
    state, is_news = take_in(state, measured, rules)
    state, effects = _expire(state, measured.model)
    if measured.kind is MonitorKind.DATA_QUALITY and is_news and measured.clear and quality_is_sound(state):
        state, calmed = alarms.resolve(measured.model, state, alarms.VETOED)
        effects += calmed
    occasion = Occasion(measured, before_us, is_news)
    for policy in rules.policies:
        wish = wish_of(policy, state, occasion)
        if wish is not None and _may_speak(state, policy):
            state, said = _meet(state, policy, wish, rules)
            effects += said
    return state, effects


def _may_speak(state: ModelState, policy: Policy) -> bool:
    """Tell whether a policy's wish is heard: nothing open, the rest over, and once for an event time."""
    rested = state.rested_from_us is None or state.now_us >= state.rested_from_us + policy.cooldown_us
    return state.request is None and rested and state.spoke_at_us.get(policy.name) != state.now_us


def _meet(state: ModelState, policy: Policy, wish: Wish, rules: Rules) -> Step:
    state = replace(state, spoke_at_us={**state.spoke_at_us, policy.name: state.now_us})
    name = f"{policy.model}:{policy.name}:{iso(state.now_us)}"
    broken = broken_quality(state, policy.veto_within_us)
    if broken is not None:
        return _veto(state, policy.model, policy.name, name, broken)
    state, effects = alarms.resolve(policy.model, state, alarms.VETOED)
    immature = _immature(state, policy, rules)
    if immature is not None:
        return state, (*effects, _refused(name, policy.name, immature, state.now_us))
    request = _request(state, policy, name, wish)
    state, over = alarms.resolve(policy.model, replace(state, request=request), alarms.EXPIRED)
    return state, (*effects, Asked(request), *over)


def _request(state: ModelState, policy: Policy, name: str, wish: Wish) -> Request:
    champion = state.versions.get(state.champion)
    now_us, window_us = state.now_us, policy.train_window_us
    return Request(
        request_id=name,
        policy=policy.name,
        champion=state.champion,
        algorithm=policy.algorithm or (champion.algorithm if champion else ""),
        train_from_us=None if window_us is None else max(0, now_us - window_us),
        train_until_us=now_us,
        requested_at_us=now_us,
        expires_at_us=now_us + policy.expires_after_us,
        veto_within_us=policy.veto_within_us,
        new_labels=new_labels(state),
        reason=wish.reason,
        figures=wish.figures,
    )


def _immature(state: ModelState, policy: Policy, rules: Rules) -> _Refusing | None:
    least = policy.least_label_coverage
    if not rules.tells_labels or not least:
        return None
    newest = newest_labelled(state)
    if newest is None:
        reason = f"no window's labels have matured yet, {least:.0%} of the latest must be known"
        return _Refusing(Refusal.LABELS_IMMATURE, reason, ())
    if newest.coverage >= least:
        return None
    reason = (
        f"labels of {newest.coverage:.1%} of the {newest.rows:,} requests up to {words(newest.end_us)} are "
        f"known, {least:.0%} must be"
    )
    figure = Figure("", "", "label_coverage", None, newest.coverage, least, newest.rows)
    return _Refusing(Refusal.LABELS_IMMATURE, reason, (figure,))


def _expire(state: ModelState, model: str) -> Step:
    request = state.request
    if request is None or state.now_us <= request.expires_at_us:
        return state, ()
    reason = (
        f"nobody decided by {words(request.expires_at_us)} on what {request.policy} asked: {request.reason}"
    )
    why = _Refusing(Refusal.EXPIRED, reason, request.figures)
    refused = _refused(request.request_id, request.policy, why, state.now_us, was_asked=True)
    state = _settle(state, request, Refusal.EXPIRED, "")
    state, told = alarms.fire(model, state, alarms.EXPIRED, alarms.Cause(reason, request.figures))
    return state, (refused, told)


def _veto(
    state: ModelState,
    model: str,
    policy: str,
    name: str,
    broken: tuple[str, Window],
    *,
    was_asked: bool = False,
) -> Step:
    monitor, window = broken
    reason = f"{monitor} found broken data up to {words(window.end_us)}"
    why = _Refusing(Refusal.VETOED, f"{reason}: {window.reason}" if window.reason else reason, window.figures)
    cause = alarms.Cause(f"{policy} may not retrain: {why.reason}", why.figures, monitor)
    state, told = alarms.fire(model, state, alarms.VETOED, cause)
    return state, (_refused(name, policy, why, state.now_us, was_asked=was_asked), told)


def _on_decided(state: ModelState, decided: Decided) -> Step:
    request = state.request
    if request is None or request.request_id != decided.request_id:
        _refuse_unless_repeated(state, decided)
        return state, ()
    if not decided.approved:
        said = f": {decided.comment}" if decided.comment else ""
        why = _Refusing(Refusal.REJECTED, f"{decided.decided_by} said no{said}", request.figures)
        refused = _refused(request.request_id, request.policy, why, state.now_us, was_asked=True)
        return _settle(state, request, Refusal.REJECTED, decided.approval_id), (refused,)
    broken = broken_quality(state, request.veto_within_us)
    if broken is not None:
        # Somebody wants it: once the data is sound it may be asked again, without a rest.
        state = _settle(state, request, Refusal.VETOED, decided.approval_id, rests=False)
        return _veto(state, decided.model, request.policy, request.request_id, broken, was_asked=True)
    approved = Approved(request, decided.decided_by, decided.comment, decided.decided_at_us)
    return _settle(state, request, APPROVED, decided.approval_id), (approved,)


def _refuse_unless_repeated(state: ModelState, decided: Decided) -> None:
    settled = next((one for one in state.settled if one.request_id == decided.request_id), None)
    if settled is None:
        known = state.request.request_id if state.request else "none"
        detail = f"{decided.model} has no request {decided.request_id!r}; open: {known}"
        raise VoidDecision("UNKNOWN_REQUEST", detail)
    if settled.approval_id == decided.approval_id:
        return
    if settled.outcome == Refusal.EXPIRED:
        raise VoidDecision(
            "EXPIRED_REQUEST", f"{decided.request_id} expired before {decided.decided_by} decided"
        )
    detail = f"{decided.request_id} is settled by {settled.approval_id}: {settled.outcome}"
    raise VoidDecision("ALREADY_DECIDED", detail)


def _settle(
    state: ModelState, request: Request, outcome: str, approval_id: str, *, rests: bool = True
) -> ModelState:
    settled = (*state.settled, Settled(request.request_id, outcome, approval_id))[-_MOST_SETTLED:]
    rested_from_us = state.now_us if rests else state.rested_from_us
    return replace(state, request=None, settled=settled, rested_from_us=rested_from_us)


def _refused(
    wish: str, policy: str, why: _Refusing, refused_at_us: int, *, was_asked: bool = False
) -> Refused:
    return Refused(wish, was_asked, policy, why.refusal, why.reason, why.figures, refused_at_us)


def _on_registered(state: ModelState, registered: Registered) -> ModelState:
    if registered.version in state.versions:
        return state
    versions = {
        **state.versions,
        registered.version: Version(registered.trained_until_us, registered.algorithm, registered.owner),
    }
    # A champion may be the oldest of them all.
    champions = {route.champion for route in state.routes}
    for name in [name for name in versions if name not in champions][:-_MOST_VERSIONS]:
        del versions[name]
    rested_from_us = state.now_us if registered.request_id else state.rested_from_us
    return replace(state, versions=versions, rested_from_us=rested_from_us)


def _on_routed(state: ModelState, routed: Routed) -> ModelState:
    if state.routes and routed.revision <= state.routes[-1].revision:
        return state
    route = Route(routed.revision, routed.champion, routed.since_us)
    return replace(state, routes=(*state.routes, route)[-_MOST_ROUTES:])

"""What each policy wants, looked at alone: whether it may is decided in `deciding`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitoring.monitors import MonitorKind
from monitoring.policies import NewLabels, PerformanceDecay, PersistentDrift, Policy, Schedule

from retrain_trigger.domain.state import Figure
from retrain_trigger.domain.times import is_due, words
from retrain_trigger.domain.windows import new_labels, row_of_breaches

if TYPE_CHECKING:
    from retrain_trigger.domain.facts import Measured
    from retrain_trigger.domain.state import ModelState


@dataclass(frozen=True, slots=True)
class Occasion:
    """A measurement that was just taken in.

    Attributes:
        before_us: The event time that had come until then; 0 when it is the first.
        is_news: Whether it is the first final word on its monitor's newest window.
    """

    measured: Measured
    before_us: int
    is_news: bool


@dataclass(frozen=True, slots=True)
class Wish:
    """A retraining that a policy wants, and why."""

    reason: str
    figures: tuple[Figure, ...]


def wish_of(policy: Policy, state: ModelState, occasion: Occasion) -> Wish | None:
    """Return what a policy wants on an occasion; a model without a champion has nothing to retrain."""
    if not state.champion:
        return None
    match policy:
        case PersistentDrift():
            return _drift(policy, state, occasion)
        case PerformanceDecay():
            return _persistent(policy.monitor, policy.windows, state, occasion)
        case NewLabels():
            return _enough_labels(policy, state, occasion)
        case Schedule():
            return _time(policy, state, occasion)
    raise NotImplementedError(f"there is no rule for a {type(policy).__name__}, as {policy.name} is")


def _drift(policy: PersistentDrift, state: ModelState, occasion: Occasion) -> Wish | None:
    found = _persistent(policy.monitor, policy.windows, state, occasion)
    count = new_labels(state)
    if found is None or count < policy.least_new_labels:
        return None
    if not policy.least_new_labels:
        return found
    figure = _labels(count, policy.least_new_labels)
    return Wish(f"{found.reason}; {count:,} new labels", (*found.figures, figure))


def _enough_labels(policy: NewLabels, state: ModelState, occasion: Occasion) -> Wish | None:
    if not occasion.is_news or occasion.measured.kind is not MonitorKind.PERFORMANCE:
        return None
    count = new_labels(state)
    if count < policy.count:
        return None
    reason = f"{count:,} labelled requests that {state.champion} has not learned from, of {policy.count:,}"
    return Wish(reason, (_labels(count, policy.count),))


def _time(policy: Schedule, state: ModelState, occasion: Occasion) -> Wish | None:
    # Time that nobody saw pass was nobody's to act in.
    if not occasion.before_us or not is_due(policy.cron, occasion.before_us, state.now_us):
        return None
    count = new_labels(state)
    reason = f"it is time ({policy.cron}) on {words(state.now_us)}; {count:,} new labels"
    return Wish(reason, (_labels(count, None),))


def _persistent(monitor: str, windows: int, state: ModelState, occasion: Occasion) -> Wish | None:
    if not occasion.is_news or occasion.measured.monitor != monitor:
        return None
    row = row_of_breaches(state, monitor)
    if len(row) < windows:
        return None
    newest = row[-1]
    since = f"{monitor} breached in {len(row)} windows in a row up to {words(newest.end_us)}"
    return Wish(f"{since}: {newest.reason}" if newest.reason else since, newest.figures)


def _labels(count: int, wanted: int | None) -> Figure:
    return Figure("", "", "new_labels", None, count, wanted, count)

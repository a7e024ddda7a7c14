"""The life of the trigger's two alerts: a retraining was vetoed, a request expired."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from retrain_trigger.domain.effects import AlarmChanged
from retrain_trigger.domain.state import Alarm

if TYPE_CHECKING:
    from retrain_trigger.domain.state import Figure, ModelState

VETOED: Final = "retrain-vetoed"
EXPIRED: Final = "retrain-expired"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why an alert fires."""

    summary: str
    figures: tuple[Figure, ...]
    monitor: str = ""


def fire(model: str, state: ModelState, name: str, cause: Cause) -> tuple[ModelState, AlarmChanged]:
    """Fire an alert, or say anew why one that fires does."""
    last = state.alarms.get(name)
    goes_on = last is not None and last.firing
    after = Alarm(
        name=name,
        firing=True,
        episode=last.episode + (not goes_on) if last else 1,
        revision=last.revision + 1 if last and goes_on else 0,
        monitor=cause.monitor,
        version=state.champion,
        owner=state.owner,
        summary=cause.summary,
        figures=cause.figures,
        fired_at_us=last.fired_at_us if last and goes_on else state.now_us,
        changed_at_us=state.now_us,
        resolved_at_us=None,
        times=last.times + 1 if last and goes_on else 1,
    )
    return _with(model, state, after)


def resolve(model: str, state: ModelState, name: str) -> tuple[ModelState, tuple[AlarmChanged, ...]]:
    """End an alert, if it fires."""
    last = state.alarms.get(name)
    if last is None or not last.firing:
        return state, ()
    over = replace(
        last,
        firing=False,
        revision=last.revision + 1,
        changed_at_us=state.now_us,
        resolved_at_us=state.now_us,
    )
    state, told = _with(model, state, over)
    return state, (told,)


def _with(model: str, state: ModelState, alarm: Alarm) -> tuple[ModelState, AlarmChanged]:
    return replace(state, alarms={**state.alarms, alarm.name: alarm}), AlarmChanged(model, alarm)

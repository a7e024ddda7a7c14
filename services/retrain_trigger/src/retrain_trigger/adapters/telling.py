"""From effects to events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bus.events import Event
from google.protobuf.timestamp_pb2 import Timestamp
from tidemark.monitoring.v1 import alert_pb2 as monitoring
from tidemark.monitoring.v1.alert_pb2 import AlertChanged, Evidence
from tidemark.retraining.v1 import retrain_pb2 as retraining
from tidemark.retraining.v1.retrain_pb2 import RetrainApproved, RetrainRefused, RetrainRequested

from retrain_trigger.domain.alarms import EXPIRED, VETOED
from retrain_trigger.domain.effects import AlarmChanged, Approved, Asked, Refused
from retrain_trigger.ports import Addressed

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from retrain_trigger.adapters.topics import Topics
    from retrain_trigger.domain.effects import Effect
    from retrain_trigger.domain.state import Figure
    from retrain_trigger.handlers import Address

SOURCE: Final = "retrain_trigger"
_TYPES: Final = {
    VETOED: monitoring.ALERT_TYPE_RETRAIN_VETOED,
    EXPIRED: monitoring.ALERT_TYPE_RETRAIN_EXPIRED,
}


def addressing(topics: Topics) -> Address:
    """Say where effects go."""

    def address(effect: Effect, model: str, cause: Event) -> Addressed:
        topic, key, message, time_us = _say(effect, model, topics)
        event = Event.of(
            message,
            id=effect.id,
            source=SOURCE,
            key=key,
            time_us=time_us,
            recorded_time_us=max(time_us, cause.recorded_time_us),
            traceparent=cause.traceparent,
        )
        return Addressed(topic, event)

    return address


def _say(effect: Effect, model: str, topics: Topics) -> tuple[str, str, Message, int]:
    match effect:
        case Asked():
            return topics.requested, model, _requested(effect, model), effect.request.requested_at_us
        case Approved():
            return topics.approved, model, _approved(effect, model), effect.approved_at_us
        case Refused():
            return topics.refused, model, _refused(effect, model), effect.refused_at_us
        case AlarmChanged():
            return topics.alerts, effect.fingerprint, _alert(effect), effect.alarm.changed_at_us


def _requested(effect: Asked, model: str) -> RetrainRequested:
    request = effect.request
    return RetrainRequested(
        request_id=request.request_id,
        model=model,
        policy=request.policy,
        reason=request.reason,
        evidence=map(_evidence, request.figures),
        champion=request.champion,
        algorithm=request.algorithm,
        train_from=_timestamp(request.train_from_us),
        train_until=_timestamp(request.train_until_us),
        new_labels=request.new_labels,
        requested_at=_timestamp(request.requested_at_us),
        expires_at=_timestamp(request.expires_at_us),
    )


def _approved(effect: Approved, model: str) -> RetrainApproved:
    request = effect.request
    return RetrainApproved(
        request_id=request.request_id,
        model=model,
        algorithm=request.algorithm,
        train_from=_timestamp(request.train_from_us),
        train_until=_timestamp(request.train_until_us),
        approved_by=effect.approved_by,
        comment=effect.comment,
        approved_at=_timestamp(effect.approved_at_us),
        policy=request.policy,
    )


def _refused(effect: Refused, model: str) -> RetrainRefused:
    return RetrainRefused(
        request_id=effect.wish if effect.was_asked else "",
        model=model,
        policy=effect.policy,
        refusal=retraining.RetrainRefusal.Value(f"RETRAIN_REFUSAL_{effect.refusal.value}"),
        reason=effect.reason,
        evidence=map(_evidence, effect.figures),
        refused_at=_timestamp(effect.refused_at_us),
    )


def _alert(effect: AlarmChanged) -> AlertChanged:
    alarm = effect.alarm
    return AlertChanged(
        fingerprint=effect.fingerprint,
        type=_TYPES[alarm.name],
        state=monitoring.ALERT_STATE_FIRING if alarm.firing else monitoring.ALERT_STATE_RESOLVED,
        severity=monitoring.SEVERITY_WARNING,
        model=effect.model,
        monitor=alarm.monitor,
        version=alarm.version,
        owner=alarm.owner,
        runbook=f"docs/runbooks/{alarm.name}.md",
        summary=alarm.summary,
        evidence=map(_evidence, alarm.figures),
        episode=alarm.episode,
        revision=alarm.revision,
        pending_since=_timestamp(alarm.fired_at_us),
        firing_since=_timestamp(alarm.fired_at_us),
        resolved_at=_timestamp(alarm.resolved_at_us),
        changed_at=_timestamp(alarm.changed_at_us),
        breached_windows=alarm.times if alarm.firing else 0,
    )


def _evidence(figure: Figure) -> Evidence:
    return Evidence(
        subject=figure.subject,
        slice=figure.part,
        statistic=figure.statistic,
        before=figure.before,
        now=figure.now,
        threshold=figure.threshold,
        rows=figure.rows,
    )


def _timestamp(time_us: int | None) -> Timestamp | None:
    if time_us is None:
        return None
    seconds, micros = divmod(time_us, 1_000_000)
    return Timestamp(seconds=seconds, nanos=micros * 1_000)

"""The domain on one side, protobuf on the other: what is told of a change, each fact under an id of its own.

Ids follow from what they announce, so that a repeat is recognised.
"""

from collections.abc import Sequence

from bus import topics
from bus.events import Event
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from tidemark.common.v1.value_pb2 import Value
from tidemark.governance.v1 import approval_pb2
from tidemark.governance.v1.audit_pb2 import AuditRecorded
from tidemark.governance.v1.erasure_pb2 import SubjectErased
from tidemark.monitoring.v1 import alert_pb2
from tidemark.registry.v1 import rollout_pb2
from tidemark.registry.v1.route_pb2 import Arm, NumberRange, RouteChanged, VersionRef
from tidemark.registry.v1.route_pb2 import Condition as ConditionMessage
from tidemark.registry.v1.route_pb2 import Segment as SegmentMessage
from tidemark.scoring.v1.prediction_pb2 import ROLE_CHALLENGER, ROLE_CHAMPION

from control_plane.domain import erasing
from control_plane.domain.alerts import RUNBOOK, AbortAlert
from control_plane.domain.approvals import Approval, ApprovalState, Subject
from control_plane.domain.audit import Link
from control_plane.domain.erasing import Erasure
from control_plane.domain.experiments import Compared, Condition, Segment, Share
from control_plane.domain.rollouts import Rollout
from control_plane.domain.routes import ALL_TRAFFIC_BASIS_POINTS, Route
from control_plane.domain.state import Change
from control_plane.domain.versions import Version
from control_plane.ports import Announcement

SOURCE = "tidemark/control_plane"


def announce(change: Change, links: Sequence[Link]) -> Sequence[Announcement]:
    """See `ports.Announce`; the route comes first, for it is what traffic waits for."""
    trace = change.traceparent
    told = []
    if change.route:
        told.append((topics.ROUTES_CHANGED, route_changed(change.route, traceparent=trace)))
    if change.rollout and change.rollout_moved:
        told.append((topics.ROLLOUTS_CHANGED, rollout_changed(change.rollout, traceparent=trace)))
    told += [
        (topics.APPROVALS_DECIDED, approval_decided(approval, traceparent=trace))
        for approval in change.approvals
        if approval.decided and approval.subject is not Subject.ERASURE
    ]
    told += [
        (topics.SUBJECTS_ERASED, subject_erased(erasure, traceparent=trace))
        for erasure in map(erasing.newly_erased, change.approvals)
        if erasure is not None
    ]
    if change.alert:
        told.append((topics.ALERTS_CHANGED, alert_changed(change.alert)))
    told += [(topics.AUDIT_RECORDED, audit_recorded(link)) for link in links]
    return [Announcement(topic.name, event) for topic, event in told]


def route_changed(route: Route, *, traceparent: str | None = None) -> Event:
    """Announces a route."""
    message = RouteChanged(
        model=route.model,
        revision=route.revision,
        salt=route.assignment_salt,
        arms=_arms(route),
        shadows=[_reference(shadow) for shadow in route.shadows],
        sticky_entity=route.experiment.sticky_entity,
        segments=[_segment(route, segment) for segment in route.experiment.segments],
    )
    return _event(
        message,
        id=f"route:{route.model}:{route.revision}",
        key=route.model,
        time_us=route.changed_at_us,
        traceparent=traceparent,
    )


def rollout_changed(rollout: Rollout, *, traceparent: str | None = None) -> Event:
    """Announces a rollout's last move."""
    last = rollout.last
    message = rollout_pb2.RolloutChanged(
        rollout_id=rollout.rollout_id,
        model=rollout.model,
        version=rollout.version,
        previous=rollout.previous,
        state=rollout_pb2.RolloutState.Value(f"ROLLOUT_STATE_{rollout.state.value}"),
        weight_basis_points=last.weight_basis_points,
        revision=last.revision,
        reason=last.reason,
        changed_by=last.by,
        changed_at=_timestamp(last.at_us),
        route_revision=last.route_revision,
    )
    return _event(
        message,
        id=f"rollout:{rollout.rollout_id}:{last.revision}",
        key=rollout.model,
        time_us=last.at_us,
        traceparent=traceparent,
    )


def approval_decided(approval: Approval, *, traceparent: str | None = None) -> Event:
    """Announces a decision."""
    assert approval.decided_at_us is not None
    approved = approval.state is ApprovalState.APPROVED
    message = approval_pb2.ApprovalDecided(
        approval_id=approval.approval_id,
        kind=(
            approval_pb2.SUBJECT_KIND_VERSION
            if approval.subject is Subject.VERSION
            else approval_pb2.SUBJECT_KIND_RETRAIN
        ),
        subject_id=approval.subject_id,
        model=approval.model,
        decision=approval_pb2.DECISION_APPROVED if approved else approval_pb2.DECISION_REJECTED,
        decided_by=approval.decided_by,
        comment=approval.comment,
        decided_at=_timestamp(approval.decided_at_us),
    )
    return _event(
        message,
        id=f"decision:{approval.approval_id}",
        key=approval.model,
        time_us=approval.decided_at_us,
        traceparent=traceparent,
    )


def subject_erased(erasure: Erasure, *, traceparent: str | None = None) -> Event:
    """Announces that nobody is to write a subject's past again."""
    message = SubjectErased(
        erasure_id=erasure.erasure_id,
        entity=erasure.entity,
        subject=erasure.subject,
        key_id=erasure.key_id,
        until=_timestamp(erasure.until_us),
    )
    return _event(
        message,
        id=f"erased:{erasure.erasure_id}",
        key=erasure.subject,
        time_us=erasure.approved_at_us,
        traceparent=traceparent,
    )


def alert_changed(alert: AbortAlert) -> Event:
    """Announces that the alert of an abort fires, or ends."""
    changed_at_us = alert.fired_at_us if alert.resolved_at_us is None else alert.resolved_at_us
    revision = 0 if alert.firing else 1
    message = alert_pb2.AlertChanged(
        fingerprint=alert.fingerprint,
        type=alert_pb2.ALERT_TYPE_ROLLOUT_ABORTED,
        state=alert_pb2.ALERT_STATE_FIRING if alert.firing else alert_pb2.ALERT_STATE_RESOLVED,
        severity=alert_pb2.SEVERITY_WARNING,
        model=alert.model,
        monitor="rollout-aborted",
        version=alert.version,
        owner=alert.owner,
        runbook=RUNBOOK,
        summary=alert.summary,
        evidence=[
            alert_pb2.Evidence(
                statistic=figure.statistic, before=figure.before, now=figure.now, rows=figure.rows
            )
            for figure in alert.evidence
        ],
        episode=alert.episode,
        revision=revision,
        pending_since=_timestamp(alert.fired_at_us),
        firing_since=_timestamp(alert.fired_at_us),
        changed_at=_timestamp(changed_at_us),
        requests_affected=alert.requests_affected,
    )
    if alert.resolved_at_us is not None:
        message.resolved_at.CopyFrom(_timestamp(alert.resolved_at_us))
    return _event(
        message,
        id=f"alert:{alert.fingerprint}:{alert.episode}:{revision}",
        key=alert.fingerprint,
        time_us=changed_at_us,
    )


def audit_recorded(link: Link) -> Event:
    """Announces a link of the audit."""
    message = AuditRecorded(
        sequence=link.sequence,
        recorded_at=_timestamp(link.recorded_at_us),
        actor=link.actor,
        action=link.action,
        model=link.model,
        subject=link.subject,
        details=link.details,
        previous_hash=link.previous_hash,
        hash=link.hash,
    )
    return _event(
        message, id=f"audit:{link.sequence}:{link.hash[:12]}", key="audit", time_us=link.recorded_at_us
    )


def _arms(route: Route) -> list[Arm]:
    if route.canary is None:
        left = route.experiment.champion_basis_points
        return [_arm("champion", ROLE_CHAMPION, route.champion, left), *_shares(route, route.experiment.arms)]
    weight = route.canary.weight_basis_points
    return [
        _arm("champion", ROLE_CHAMPION, route.champion, ALL_TRAFFIC_BASIS_POINTS - weight),
        _arm("canary", ROLE_CHALLENGER, route.canary.version, weight),
    ]


def _shares(route: Route, shares: Sequence[Share]) -> list[Arm]:
    return [
        _arm(
            share.variant,
            ROLE_CHAMPION if share.version == route.champion.version else ROLE_CHALLENGER,
            route.version_named(share.version),
            share.weight_basis_points,
        )
        for share in shares
    ]


def _segment(route: Route, segment: Segment) -> SegmentMessage:
    return SegmentMessage(
        name=segment.name,
        conditions=[_condition(condition) for condition in segment.conditions],
        arms=_shares(route, segment.arms),
    )


def _condition(condition: Condition) -> ConditionMessage:
    told = ConditionMessage()
    setattr(told, condition.field, condition.name)
    if condition.any_of is not None:
        told.any_of.values.extend(_value(value) for value in condition.any_of)
    else:
        told.within.CopyFrom(NumberRange(at_least=condition.at_least, less_than=condition.less_than))
    return told


def _value(value: Compared) -> Value:
    # A bool is an int to Python: it is asked first.
    if isinstance(value, bool):
        return Value(flag=value)
    return Value(text=value) if isinstance(value, str) else Value(number=value)


def _arm(variant: str, role: int, version: Version, weight_basis_points: int) -> Arm:
    return Arm(
        variant=variant,
        role=role,  # type: ignore[arg-type] # a number of the enum
        version=_reference(version),
        weight_basis_points=weight_basis_points,
    )


def _reference(version: Version) -> VersionRef:
    return VersionRef(version=version.version, digest=version.digest, package_uri=version.package_uri)


def _event(
    message: Message,
    *,
    id: str,  # noqa: A002 - CloudEvents' own word
    key: str,
    time_us: int,
    traceparent: str | None = None,
) -> Event:
    return Event.of(
        message,
        id=id,
        source=SOURCE,
        key=key,
        time_us=time_us,
        recorded_time_us=time_us,
        traceparent=traceparent,
    )


def _timestamp(time_us: int) -> Timestamp:
    seconds, micros = divmod(time_us, 1_000_000)
    return Timestamp(seconds=seconds, nanos=micros * 1000)

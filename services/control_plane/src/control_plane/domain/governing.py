"""Governing: versions are registered, retrainings asked for, humans decide, what nobody decides expires."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from control_plane.domain import approvals
from control_plane.domain.approvals import Approval, ApprovalState, Decision, Subject
from control_plane.domain.audit import Entry
from control_plane.domain.errors import UnknownApproval
from control_plane.domain.state import Change, ModelState
from control_plane.domain.versions import Standing, Version

CLOCKWORK: Final = "system:control-plane"


@dataclass(frozen=True, slots=True)
class RetrainRequest:
    """Somebody, a policy, asks for a retraining.

    Attributes:
        requested_at_us: Event time.
        expires_at_us: Event time after which nobody waits for a decision any more.
        details: What it was asked for with, JSON, for whoever decides.
    """

    request_id: str
    model: str
    policy: str
    requested_at_us: int
    expires_at_us: int | None
    details: Mapping[str, Any]


def register(state: ModelState, version: Version, *, now_us: int) -> Change:
    """Registers a version, which then waits for approval; a repeat changes nothing.

    Raises:
        VersionConflict: the name is taken by another package.
    """
    known = state.versions.get(version.version)
    if known:
        known.expect(version.digest)
        return Change(state, now_us)
    provenance = version.provenance
    details = {
        "digest": version.digest,
        "failed_gates": list(provenance.failed_gates),
        "gates": [gate.name for gate in provenance.gates],
        "retrain_request_id": provenance.retrain_request_id,
    }
    actor = provenance.registered_by or "unknown"
    return Change(
        state,
        now_us,
        entries=(Entry(actor, "version.registered", version.model, version.version, details),),
        registered=version,
        approvals=(Approval.of_version(version, opened_at_us=state.time_us(now_us)),),
    )


def request(state: ModelState, wanted: RetrainRequest, *, now_us: int) -> Change:
    """Opens the approval that a retraining waits for; a repeat changes nothing."""
    approval_id = approvals.retrain_approval_id(wanted.request_id)
    if approval_id in state.approvals:
        return Change(state, now_us)
    opened = Approval(
        approval_id,
        Subject.RETRAIN,
        wanted.request_id,
        wanted.model,
        wanted.requested_at_us,
        wanted.expires_at_us,
        wanted.details,
    )
    actor = f"system:{wanted.policy or 'retrain-trigger'}"
    entry = Entry(actor, "retrain.requested", wanted.model, wanted.request_id, {"policy": wanted.policy})
    return Change(state, now_us, entries=(entry,), approvals=(opened,), event_time_us=wanted.requested_at_us)


def decide(state: ModelState, approval_id: str, decision: Decision, *, now_us: int) -> Change:
    """Decides on what waits for approval.

    Raises:
        UnknownApproval: nobody asked for it.
        RegistryError: it cannot be decided so, see `approvals.decide`.
    """
    approval = state.approvals.get(approval_id)
    if approval is None:
        raise UnknownApproval(approval_id)
    version = state.version(approval.subject_id) if approval.subject is Subject.VERSION else None
    decided = approvals.decide(
        approval,
        decision,
        version=version,
        event_time_us=state.event_time_us,
        now_us=state.time_us(now_us),
    )
    standing = Standing.APPROVED if decision.approve else Standing.REJECTED
    return Change(
        state,
        now_us,
        entries=tuple(_entries(decided)),
        approvals=(decided,),
        versions=() if version is None else (replace(version, standing=standing),),
    )


def pass_time(state: ModelState, event_time_us: int, *, now_us: int) -> Change:
    """Moves event time on; approvals whose end it passes expire."""
    if not state.revision or event_time_us <= state.event_time_us:
        return Change(state, now_us)
    expired = tuple(
        replace(approval, state=ApprovalState.EXPIRED)
        for approval in state.approvals.values()
        if approval.expired_by(event_time_us)
    )
    entries = tuple(_entry(approval, CLOCKWORK, "expired") for approval in expired)
    return Change(state, now_us, entries=entries, approvals=expired, event_time_us=event_time_us)


def _entries(decided: Approval) -> list[Entry]:
    waived = [
        Entry(
            decided.decided_by,
            "gate.waived",
            decided.model,
            decided.subject_id,
            {"gate": gate, "comment": decided.comment},
        )
        for gate in decided.waived_gates
    ]
    return [*waived, _entry(decided, decided.decided_by, decided.state.lower())]


def _entry(approval: Approval, actor: str, what: str) -> Entry:
    action = f"{approval.subject.lower()}.{what}"
    return Entry(actor, action, approval.model, approval.subject_id, {"comment": approval.comment})

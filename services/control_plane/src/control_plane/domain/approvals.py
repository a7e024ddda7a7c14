"""Approvals: what waits for a human, and what they may decide."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Self

from control_plane.domain.errors import (
    AlreadyDecided,
    ApprovalExpired,
    CommentRequired,
    GatesFailed,
    OwnErasure,
    OwnVersion,
    UnknownGate,
)
from control_plane.domain.times import words
from control_plane.domain.versions import Version


class ApprovalState(StrEnum):
    """Where an approval stands; all but PENDING are final."""

    PENDING = "PENDING"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"


class Subject(StrEnum):
    """What is to be approved."""

    VERSION = "VERSION"
    RETRAIN = "RETRAIN"
    ERASURE = "ERASURE"


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody decides.

    Attributes:
        waive_gates: Failed gates that they take the responsibility for.
    """

    approve: bool
    actor: str
    comment: str = ""
    waive_gates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Approval:
    """Something that waits for a decision, or the decision.

    Attributes:
        subject_id: A version's name, a retrain request's id, or an erasure's.
        opened_at_us: Event time as far as it was known.
        expires_at_us: Event time after which a decision is void; None: never.
        request: What a retraining or an erasure was asked for with; JSON. Empty for a version, which has its
            own evidence.
    """

    approval_id: str
    subject: Subject
    subject_id: str
    model: str
    opened_at_us: int
    expires_at_us: int | None = None
    request: Mapping[str, Any] = field(default_factory=dict)
    state: ApprovalState = ApprovalState.PENDING
    decided_by: str = ""
    comment: str = ""
    waived_gates: tuple[str, ...] = ()
    decided_at_us: int | None = None

    @classmethod
    def of_version(cls, version: Version, *, opened_at_us: int) -> Self:
        """The approval that a registered version waits for."""
        return cls(
            version_approval_id(version.model, version.version),
            Subject.VERSION,
            version.version,
            version.model,
            opened_at_us,
        )

    @property
    def decided(self) -> bool:
        """Whether a human said yes or no."""
        return self.state in (ApprovalState.APPROVED, ApprovalState.REJECTED)

    def expired_by(self, event_time_us: int) -> bool:
        """Whether it waits in vain, event time having come so far."""
        waits = self.state is ApprovalState.PENDING
        return waits and self.expires_at_us is not None and event_time_us > self.expires_at_us


def version_approval_id(model: str, version: str) -> str:
    """Names the approval of a version."""
    return f"version:{model}:{version}"


def retrain_approval_id(request_id: str) -> str:
    """Names the approval of a requested retraining."""
    return f"retrain:{request_id}"


def decide(
    approval: Approval, decision: Decision, *, version: Version | None, event_time_us: int, now_us: int
) -> Approval:
    """Returns the approval as decided.

    Args:
        approval: What is decided on.
        decision: What is decided.
        version: The version it is about; None for a retraining.
        event_time_us: How far event time has come for the model; 0 when nothing is known.
        now_us: When it is decided: event time where it is known.

    Raises:
        AlreadyDecided: somebody was before.
        ApprovalExpired: event time has passed its end.
        OwnVersion: the actor registered the version.
        OwnErasure: the actor asked for the erasure.
        GatesFailed: the version failed a gate that is not waived.
        UnknownGate: a gate is waived that was not failed.
        CommentRequired: a rejection or a waiver without a comment.
    """
    _refuse_settled(approval, event_time_us)
    if not decision.approve:
        _refuse_silence(decision, f"Rejecting {approval.approval_id}")
    elif version is not None:
        _refuse_approval(version, decision)
    elif approval.subject is Subject.ERASURE and decision.actor == approval.request["requested_by"]:
        raise OwnErasure(approval.subject_id, decision.actor)
    return replace(
        approval,
        state=ApprovalState.APPROVED if decision.approve else ApprovalState.REJECTED,
        decided_by=decision.actor,
        comment=decision.comment,
        waived_gates=decision.waive_gates,
        decided_at_us=now_us,
    )


def _refuse_settled(approval: Approval, event_time_us: int) -> None:
    if approval.decided:
        assert approval.decided_at_us is not None
        raise AlreadyDecided(
            approval.approval_id, approval.state.value, approval.decided_by, words(approval.decided_at_us)
        )
    if approval.state is ApprovalState.EXPIRED or approval.expired_by(event_time_us):
        raise ApprovalExpired(approval.approval_id, words(approval.expires_at_us or 0))


def _refuse_approval(version: Version, decision: Decision) -> None:
    provenance = version.provenance
    if decision.actor == provenance.registered_by:
        raise OwnVersion(version.version, decision.actor)
    failed = {gate.name: gate.reason for gate in provenance.gates if not gate.passed}
    strange = tuple(name for name in decision.waive_gates if name not in failed)
    if strange:
        raise UnknownGate(version.version, strange, provenance.failed_gates)
    held = {name: reason for name, reason in failed.items() if name not in decision.waive_gates}
    if held:
        raise GatesFailed(version.version, held)
    if decision.waive_gates:
        _refuse_silence(decision, f"Waiving a gate of {version.version}")


def _refuse_silence(decision: Decision, what: str) -> None:
    if not decision.comment.strip():
        raise CommentRequired(what)

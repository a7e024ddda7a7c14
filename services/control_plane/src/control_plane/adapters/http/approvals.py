"""Approvals: what waits for somebody's word, on what evidence, and giving it."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator

from control_plane import handlers
from control_plane.adapters.http import problems
from control_plane.adapters.http.bodies import NAME_PATTERN, Listed, RegisteredVersion
from control_plane.adapters.http.core import AskingOfCaller, Core, CoreOfApp, Wanted
from control_plane.domain.approvals import Approval, ApprovalState, Subject
from control_plane.domain.approvals import Decision as DomainDecision
from control_plane.domain.errors import UnknownApproval
from control_plane.domain.times import moment
from control_plane.domain.versions import Version
from control_plane.ports import Wanted as WantedApprovals

router = APIRouter(prefix="/v1/approvals", tags=["approvals"])

_EXAMPLE = "version:flight-delay:gradient-boosting-3f9a1c2b7d04"
ApprovalId = Annotated[
    str, Path(min_length=1, max_length=512, description="The approval's id.", examples=[_EXAMPLE])
]


class Decision(BaseModel):
    """Somebody's word."""

    model_config = ConfigDict(extra="forbid")

    decision: Literal["approve", "reject"]
    comment: Annotated[
        str, Field(max_length=4000, description="Why; needed for a rejection and for a waiver.")
    ] = ""
    waive_gates: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=128)]],
        Field(
            max_length=32,
            description="Failed gates that shall not count; only with `approve`.",
            examples=[["latency"]],
        ),
    ] = []

    @model_validator(mode="after")
    def _waive_to_approve(self) -> Self:
        if self.waive_gates and self.decision != "approve":
            raise ValueError("waive_gates goes with approve: a rejection needs no waiver")
        return self


class ApprovalShown(BaseModel):
    """What waits for a decision, or what was decided."""

    approval_id: Annotated[str, Field(examples=[_EXAMPLE])]
    subject: Annotated[str, Field(description="version, retrain or erasure.")]
    subject_id: Annotated[str, Field(description="The version's name, or the retrain request's id.")]
    model: Annotated[str, Field(description="The model; @erasures for an erasure, which has none.")]
    state: Annotated[str, Field(description="pending, approved, rejected or expired.")]
    requested_by: str
    requested_at: Annotated[datetime, Field(description="Event time as far as it was known.")]
    expires_at: Annotated[datetime | None, Field(description="Event time after which it is void.")]
    reason: Annotated[str, Field(description="Why it is asked, or what the gates found.")]
    decided_by: str
    decided_at: datetime | None
    comment: str
    waived_gates: list[str]


class ApprovalWithEvidence(ApprovalShown):
    """An approval and what to decide it on."""

    request: Annotated[
        dict[str, Any] | None, Field(description="What a retraining was asked for with: evidence, period.")
    ]
    version: Annotated[RegisteredVersion | None, Field(description="The version: its gates and evaluations.")]


_LOOK = (problems.INVALID_REQUEST, problems.UNAVAILABLE)


@router.get("", responses=problems.documented(*_LOOK))
async def list_approvals(
    core: CoreOfApp,
    window: Wanted,
    state: Annotated[
        Literal["pending", "approved", "rejected", "expired"] | None,
        Query(description="Only those in this state."),
    ] = None,
    model: Annotated[str | None, Query(pattern=NAME_PATTERN, description="Only those of this model.")] = None,
) -> Listed[ApprovalShown]:
    """List approvals, the last opened first."""
    wanted = WantedApprovals(ApprovalState(state.upper()) if state else None, model)
    page = await core.registry.approvals(wanted, window)
    shown = [ApprovalShown(**_shown(one, await _version_of(one, core))) for one in page.items]
    return Listed(items=shown, next=page.next)


@router.get("/{approval_id}", responses=problems.documented(problems.UNKNOWN_APPROVAL, *_LOOK))
async def get_approval(core: CoreOfApp, approval_id: ApprovalId) -> ApprovalWithEvidence:
    """Show an approval with the evidence to decide on."""
    approval = await core.registry.approval(approval_id)
    if approval is None:
        raise UnknownApproval(approval_id)
    return await _with_evidence(approval, core)


@router.post(
    "/{approval_id}/decision",
    responses=problems.documented(
        problems.ACTOR_REQUIRED,
        problems.OWN_VERSION,
        problems.OWN_ERASURE,
        problems.UNKNOWN_APPROVAL,
        problems.ALREADY_DECIDED,
        problems.APPROVAL_EXPIRED,
        problems.GATES_FAILED,
        problems.TOO_LARGE,
        problems.INVALID_REQUEST,
        problems.UNKNOWN_GATE,
        problems.COMMENT_REQUIRED,
        problems.UNAVAILABLE,
    ),
)
async def decide(
    core: CoreOfApp, approval_id: ApprovalId, body: Decision, asking: AskingOfCaller
) -> ApprovalWithEvidence:
    """Approve or reject; a decision is final.

    Nobody approves a version that they registered. A version that failed a gate is approved only with that
    gate waived, with a comment that says why: both stay in the audit.
    """
    decision = DomainDecision(
        body.decision == "approve", asking.actor, body.comment.strip(), tuple(body.waive_gates)
    )
    decided = await handlers.decide_approval(approval_id, decision, asking, registry=core.registry)
    core.committed()
    return await _with_evidence(decided, core)


async def _with_evidence(approval: Approval, core: Core) -> ApprovalWithEvidence:
    version = await _version_of(approval, core)
    route = await core.registry.route(approval.model)
    return ApprovalWithEvidence(
        **_shown(approval, version),
        request=dict(approval.request) or None,
        version=RegisteredVersion.of(version, route) if version else None,
    )


async def _version_of(approval: Approval, core: Core) -> Version | None:
    if approval.subject is not Subject.VERSION:
        return None
    return await core.registry.version(approval.model, approval.subject_id)


def _shown(approval: Approval, version: Version | None) -> dict[str, Any]:
    asked = approval.request
    asked_by = version.provenance.registered_by if version else asked.get("policy", "")
    return {
        "approval_id": approval.approval_id,
        "subject": approval.subject.lower(),
        "subject_id": approval.subject_id,
        "model": approval.model,
        "state": approval.state.lower(),
        "requested_by": asked_by or asked.get("requested_by", ""),
        "requested_at": moment(approval.opened_at_us),
        "expires_at": None if approval.expires_at_us is None else moment(approval.expires_at_us),
        "reason": _gates_in_words(version) if version else approval.request.get("reason", ""),
        "decided_by": approval.decided_by,
        "decided_at": None if approval.decided_at_us is None else moment(approval.decided_at_us),
        "comment": approval.comment,
        "waived_gates": list(approval.waived_gates),
    }


def _gates_in_words(version: Version) -> str:
    provenance = version.provenance
    if not provenance.gates:
        return "held to no gate"
    failed = provenance.failed_gates
    if not failed:
        return f"passed all {len(provenance.gates)} gates"
    return f"failed {', '.join(failed)} of {len(provenance.gates)} gates"

"""Erasures: asking that a subject be forgotten, and the receipt of what was erased."""

from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from control_plane import handlers
from control_plane.adapters.http import problems
from control_plane.adapters.http.bodies import Listed
from control_plane.adapters.http.core import AskingOfCaller, CoreOfApp, Wanted
from control_plane.domain import erasing
from control_plane.domain.approvals import Approval, ApprovalState
from control_plane.domain.errors import UnknownErasure
from control_plane.domain.times import moment
from control_plane.ports import Wanted as WantedApprovals

router = APIRouter(prefix="/v1/erasures", tags=["erasures"])

ErasureId = Annotated[str, Path(min_length=1, max_length=256, description="The erasure's id.")]
_LOOK = (problems.INVALID_REQUEST, problems.UNAVAILABLE)


class ErasureAsked(BaseModel):
    """A subject that is to be forgotten, known by a keyed hash: its key is not told."""

    model_config = ConfigDict(extra="forbid")

    entity: Annotated[str, Field(min_length=1, max_length=128, examples=["customer"])]
    subject: Annotated[str, Field(pattern="^[0-9a-f]{32}$", description="Keyed hash of entity and key.")]
    key_id: Annotated[str, Field(pattern="^[0-9a-f]{8}$", description="Which secret it is hashed with.")]
    reason: Annotated[str, Field(min_length=1, max_length=4000)]
    until_us: Annotated[
        int | None,
        Field(ge=0, description="What was recorded up to then goes; the time of the approval when left out."),
    ] = None


class Receipt(BaseModel):
    """What was erased, where."""

    model_config = ConfigDict(extra="forbid")

    receipt: dict[str, Any]


class ErasureShown(BaseModel):
    """An erasure, and how far it is."""

    erasure_id: str
    approval_id: str
    state: Annotated[str, Field(description="pending, approved, rejected, expired or completed.")]
    entity: str
    subject: str
    key_id: str
    reason: str
    requested_by: str
    requested_at: datetime
    decided_by: str
    until_us: Annotated[int | None, Field(description="None until it is approved, unless it was asked for.")]
    receipt: dict[str, Any] | None

    @classmethod
    def of(cls, approval: Approval) -> Self:
        """Shows an erasure."""
        asked = approval.request
        approved = approval.state is ApprovalState.APPROVED
        receipt = asked.get("receipt")
        return cls(
            erasure_id=approval.subject_id,
            approval_id=approval.approval_id,
            state="completed" if receipt is not None else approval.state.lower(),
            entity=asked["entity"],
            subject=asked["subject"],
            key_id=asked["key_id"],
            reason=asked["reason"],
            requested_by=asked["requested_by"],
            requested_at=moment(approval.opened_at_us),
            decided_by=approval.decided_by,
            until_us=erasing.erased(approval).until_us if approved else asked["until_us"],
            receipt=receipt,
        )


@router.get("", responses=problems.documented(*_LOOK))
async def list_erasures(core: CoreOfApp, window: Wanted) -> Listed[ErasureShown]:
    """List erasures, the last asked for first."""
    page = await core.registry.approvals(WantedApprovals(model=erasing.ERASURES), window)
    return Listed(items=[ErasureShown.of(one) for one in page.items], next=page.next)


@router.get("/{erasure_id}", responses=problems.documented(problems.UNKNOWN_ERASURE, *_LOOK))
async def get_erasure(core: CoreOfApp, erasure_id: ErasureId) -> ErasureShown:
    """Show an erasure."""
    approval = await core.registry.approval(erasing.approval_id_of(erasure_id))
    if approval is None:
        raise UnknownErasure(erasure_id)
    return ErasureShown.of(approval)


@router.post(
    "",
    status_code=201,
    responses={
        200: {"description": "It was asked for already, and is open.", "model": ErasureShown},
        **problems.documented(problems.ACTOR_REQUIRED, problems.TOO_LARGE, *_LOOK),
    },
)
async def ask(
    core: CoreOfApp, body: ErasureAsked, asking: AskingOfCaller, response: Response
) -> ErasureShown:
    """Ask that a subject be forgotten; somebody else has to approve it (`/v1/approvals`).

    Once approved it is announced, and from then on nobody writes the subject's past again.
    """
    wish = erasing.Wish(body.entity, body.subject, body.key_id, body.reason.strip(), body.until_us)
    approval, created = await handlers.ask_erasure(wish, asking, registry=core.registry)
    if created:
        core.committed()
    else:
        response.status_code = 200
    return ErasureShown.of(approval)


@router.post(
    "/{erasure_id}/receipt",
    responses=problems.documented(
        problems.ACTOR_REQUIRED, problems.UNKNOWN_ERASURE, problems.NOT_APPROVED, problems.TOO_LARGE, *_LOOK
    ),
)
async def complete(
    core: CoreOfApp, erasure_id: ErasureId, body: Receipt, asking: AskingOfCaller
) -> ErasureShown:
    """Close an erasure with what was erased, which goes into the audit."""
    closed = await handlers.complete_erasure(erasure_id, body.receipt, asking, registry=core.registry)
    core.committed()
    return ErasureShown.of(closed)

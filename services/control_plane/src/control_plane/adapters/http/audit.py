"""The audit: who changed what, and whether that record is whole. And whether everything was announced."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter
from pydantic import BaseModel, Field, Json

from control_plane import handlers
from control_plane.adapters.http import problems
from control_plane.adapters.http.bodies import Listed
from control_plane.adapters.http.core import CoreOfApp, Wanted
from control_plane.domain.audit import Link
from control_plane.domain.times import moment

router = APIRouter(prefix="/v1", tags=["audit"])


class LinkOfAudit(BaseModel):
    """Something that somebody did; its hash covers all of it and the hash of the link before."""

    sequence: int
    recorded_at: datetime
    actor: str
    action: Annotated[str, Field(examples=["version.approved"])]
    model: str
    subject: str
    details: Json[dict[str, object]]
    previous_hash: str
    hash: str

    @classmethod
    def of(cls, link: Link) -> Self:
        """Shows a link."""
        return cls(
            sequence=link.sequence,
            recorded_at=moment(link.recorded_at_us),
            actor=link.actor,
            action=link.action,
            model=link.model,
            subject=link.subject,
            details=link.details,
            previous_hash=link.previous_hash,
            hash=link.hash,
        )


class AuditVerified(BaseModel):
    """What reading the whole audit found."""

    verified: bool
    links: Annotated[int, Field(description="Links that hold, from the first on.")]
    head_hash: Annotated[str, Field(description="The last link's hash, as noted beside the chain.")]
    broken_at: Annotated[int | None, Field(description="The first link that does not hold.")]
    reason: Annotated[str | None, Field(description="Why it does not.")]


class Unsent(BaseModel):
    """What was committed and is not on the bus yet."""

    unsent: int


_LOOK = problems.documented(problems.UNAVAILABLE)


@router.get("/audit", responses=problems.documented(problems.INVALID_REQUEST, problems.UNAVAILABLE))
async def list_links(core: CoreOfApp, window: Wanted) -> Listed[LinkOfAudit]:
    """List what was done, by whom, the first one first."""
    page = await core.registry.audit(window)
    return Listed(items=[LinkOfAudit.of(link) for link in page.items], next=page.next)


@router.get("/audit/verify", responses=_LOOK)
async def verify_audit(core: CoreOfApp) -> AuditVerified:
    """Compute every hash anew, and name the first link that does not hold."""
    found = await handlers.verify_audit(registry=core.registry)
    return AuditVerified(
        verified=found.broken is None,
        links=found.links,
        head_hash=found.head.hash,
        broken_at=found.broken.sequence if found.broken else None,
        reason=found.broken.why if found.broken else None,
    )


@router.get("/outbox", responses=_LOOK)
async def count_unsent(core: CoreOfApp) -> Unsent:
    """Count the announcements that were committed and are not on the bus yet; 0: everybody can know."""
    return Unsent(unsent=await core.outbox.unsent())

"""Erasing: somebody asks that a subject be forgotten, somebody else approves, and the receipt closes it.

Erasures are no model's. They are kept as one, of a name that no model can have, so that a change of theirs is
held to the same revision, the same audit and the same outbox as any other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from control_plane.domain.approvals import Approval, ApprovalState, Subject
from control_plane.domain.audit import Entry
from control_plane.domain.errors import ErasureNotApproved, UnknownErasure
from control_plane.domain.state import Change, ModelState

ERASURES: Final = "@erasures"
_PREFIX: Final = "erasure:"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for.

    Attributes:
        subject: The keyed hash of the entity and its key; the key itself is told to nobody.
        key_id: Which secret it is hashed with.
        until_us: What was recorded up to this time is to go; None for the time of the approval.
    """

    entity: str
    subject: str
    key_id: str
    reason: str
    until_us: int | None


@dataclass(frozen=True, slots=True)
class Erasure:
    """An approved erasure."""

    erasure_id: str
    entity: str
    subject: str
    key_id: str
    until_us: int
    approved_at_us: int


def approval_id_of(erasure_id: str) -> str:
    """Names the approval of an erasure."""
    return _PREFIX + erasure_id


def is_open(approval: Approval) -> bool:
    """Whether an erasure waits to be approved or to be carried out."""
    waits = approval.state in (ApprovalState.PENDING, ApprovalState.APPROVED)
    return waits and "receipt" not in approval.request


def of_subject(approvals: Mapping[str, Approval], subject: str) -> Approval | None:
    """Finds the open erasure of a subject."""
    for approval in approvals.values():
        if approval.request.get("subject") == subject and is_open(approval):
            return approval
    return None


def ask(state: ModelState, wish: Wish, *, actor: str, now_us: int) -> Change:
    """Asks for an erasure; where one of the subject is open, nothing changes."""
    if of_subject(state.approvals, wish.subject):
        return Change(state, now_us)
    erasure_id = f"{wish.entity}-{wish.subject[:12]}-{now_us}"
    request = {
        "requested_by": actor,
        "reason": wish.reason,
        "entity": wish.entity,
        "subject": wish.subject,
        "key_id": wish.key_id,
        "until_us": wish.until_us,
    }
    opened = Approval(
        approval_id_of(erasure_id), Subject.ERASURE, erasure_id, ERASURES, now_us, request=request
    )
    details = {name: told for name, told in request.items() if name != "requested_by"}
    entry = Entry(actor, "erasure.requested", ERASURES, erasure_id, details)
    return Change(state, now_us, entries=(entry,), approvals=(opened,))


def complete(
    state: ModelState, erasure_id: str, receipt: Mapping[str, Any], *, actor: str, now_us: int
) -> Change:
    """Closes an erasure with what was erased; a receipt that comes again changes nothing.

    Raises:
        UnknownErasure: nobody asked for it.
        ErasureNotApproved: nobody approved it.
    """
    approval = state.approvals.get(approval_id_of(erasure_id))
    if approval is None or approval.subject is not Subject.ERASURE:
        raise UnknownErasure(erasure_id)
    if approval.state is not ApprovalState.APPROVED:
        raise ErasureNotApproved(erasure_id, approval.state.value)
    if not is_open(approval):
        return Change(state, now_us)
    closed = replace(approval, request={**approval.request, "receipt": dict(receipt)})
    entry = Entry(actor, "erasure.completed", ERASURES, erasure_id, dict(receipt))
    return Change(state, now_us, entries=(entry,), approvals=(closed,))


def newly_erased(approval: Approval) -> Erasure | None:
    """Returns what an approval that was just decided on announces as erased; None for any other."""
    approved = approval.subject is Subject.ERASURE and approval.state is ApprovalState.APPROVED
    if not approved or not is_open(approval):
        return None
    return erased(approval)


def erased(approval: Approval) -> Erasure:
    """Returns an approved erasure."""
    assert approval.decided_at_us is not None
    asked = approval.request
    until_us = asked["until_us"]
    return Erasure(
        approval.subject_id,
        asked["entity"],
        asked["subject"],
        asked["key_id"],
        approval.decided_at_us if until_us is None else until_us,
        approval.decided_at_us,
    )

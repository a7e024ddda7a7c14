"""Rows to domain values and back: approvals, rollouts, the audit, and a model's alert."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from control_plane.domain.alerts import AbortAlert, Figure
from control_plane.domain.approvals import Approval, ApprovalState, Subject
from control_plane.domain.audit import Link
from control_plane.domain.comparisons import Verdict
from control_plane.domain.rollouts import Judged, Move, Plan, Rollout, RolloutState

Columns = Mapping[str, Any]

_LINK = tuple(field.name for field in fields(Link))


def of_approval(approval: Approval) -> dict[str, Any]:
    """An approval as its row."""
    return asdict(approval) | {
        "subject": approval.subject.value,
        "state": approval.state.value,
        "waived_gates": list(approval.waived_gates),
    }


def to_approval(row: Columns) -> Approval:
    """A row of `approvals` as an approval."""
    return Approval(
        approval_id=row["approval_id"],
        subject=Subject(row["subject"]),
        subject_id=row["subject_id"],
        model=row["model"],
        opened_at_us=row["opened_at_us"],
        expires_at_us=row["expires_at_us"],
        request=row["request"],
        state=ApprovalState(row["state"]),
        decided_by=row["decided_by"],
        comment=row["comment"],
        waived_gates=tuple(row["waived_gates"]),
        decided_at_us=row["decided_at_us"],
    )


def of_rollout(rollout: Rollout) -> dict[str, Any]:
    """A rollout as its row."""
    return asdict(rollout) | {
        "state": rollout.state.value,
        "base_shadows": list(rollout.base_shadows),
    }


def to_rollout(row: Columns) -> Rollout:
    """A row of `rollouts` as a rollout."""
    plan = row["plan"]
    return Rollout(
        rollout_id=row["rollout_id"],
        model=row["model"],
        version=row["version"],
        previous=row["previous"],
        plan=Plan(**plan | {"canary_basis_points": tuple(plan["canary_basis_points"])}),
        state=RolloutState(row["state"]),
        base_shadows=tuple(row["base_shadows"]),
        started_by=row["started_by"],
        began_us=row["began_us"],
        step_began_us=row["step_began_us"],
        step=row["step"],
        judged=tuple(Judged(**judged | {"verdict": Verdict(judged["verdict"])}) for judged in row["judged"]),
        moves=tuple(Move(**move | {"state": RolloutState(move["state"])}) for move in row["moves"]),
    )


def of_alert(alert: AbortAlert) -> dict[str, Any]:
    """A model's alert as JSON."""
    return asdict(alert)


def to_alert(value: Mapping[str, Any] | None) -> AbortAlert | None:
    """JSON as a model's alert."""
    if value is None:
        return None
    evidence = tuple(Figure(**figure) for figure in value["evidence"])
    return AbortAlert(**{**value, "evidence": evidence})


def of_link(link: Link) -> dict[str, Any]:
    """A link of the audit as its row."""
    return asdict(link)


def to_link(row: Columns) -> Link:
    """A row of `audit` as a link."""
    return Link(**{name: row[name] for name in _LINK})

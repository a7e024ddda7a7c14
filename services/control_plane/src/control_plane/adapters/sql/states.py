"""A model's state, gathered in one transaction."""

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.adapters.sql import governance_rows, rows
from control_plane.adapters.sql.tables import approvals, models, rollouts, routes, versions
from control_plane.domain.approvals import Approval, ApprovalState
from control_plane.domain.rollouts import Rollout, RolloutState
from control_plane.domain.state import ModelState
from control_plane.domain.versions import Version

# More champions than these are not looked through for one to roll back to.
_CHAMPIONS = 50
_ENDED = [RolloutState.COMPLETED.value, RolloutState.ABORTED.value]


async def read_state(
    connection: AsyncConnection, model: str, named: Collection[str], approval_ids: Collection[str]
) -> ModelState:
    """Reads a model's state; its revision first, so that what changes meanwhile is found at the commit."""
    query = select(models).where(models.c.name == model)
    row = (await connection.execute(query)).mappings().first()
    if row is None:
        return ModelState(model, approvals=await _approvals(connection, model, approval_ids))
    in_force = await _route(connection, model)
    champions = await _champions(connection, model)
    running = await _running(connection, model)
    names = {*named, *champions, *(rows.names_in_route(in_force) if in_force else ())}
    if running:
        names |= {running.version, running.previous, *running.base_shadows}
    known = await versions_named(connection, model, names)
    count = await connection.scalar(
        select(func.count()).select_from(rollouts).where(rollouts.c.model == model)
    )
    return ModelState(
        model=model,
        revision=row["revision"],
        event_time_us=row["event_time_us"],
        route=rows.to_route(in_force, known) if in_force else None,
        champions=champions,
        rollout=running,
        rollouts=count or 0,
        alert=governance_rows.to_alert(row["abort_alert"]),
        versions=known,
        approvals=await _approvals(connection, model, approval_ids),
    )


async def versions_named(connection: AsyncConnection, model: str, names: Iterable[str]) -> dict[str, Version]:
    """Reads the registered ones among the versions named."""
    query = select(versions).where(versions.c.model == model, versions.c.version.in_(list(names)))
    found = (await connection.execute(query)).mappings().all()
    return {row["version"]: rows.to_version(dict(row)) for row in found}


async def _route(connection: AsyncConnection, model: str) -> dict[str, Any] | None:
    query = select(routes).where(routes.c.model == model).order_by(routes.c.revision.desc()).limit(1)
    row = (await connection.execute(query)).mappings().first()
    return None if row is None else dict(row)


async def _champions(connection: AsyncConnection, model: str) -> tuple[str, ...]:
    query = (
        select(routes.c.champion)
        .where(routes.c.model == model)
        .group_by(routes.c.champion)
        .order_by(func.max(routes.c.revision).desc())
        .limit(_CHAMPIONS)
    )
    return tuple((await connection.execute(query)).scalars())


async def _running(connection: AsyncConnection, model: str) -> Rollout | None:
    query = select(rollouts).where(rollouts.c.model == model, rollouts.c.state.not_in(_ENDED))
    row = (await connection.execute(query)).mappings().first()
    return None if row is None else governance_rows.to_rollout(dict(row))


async def _approvals(
    connection: AsyncConnection, model: str, approval_ids: Collection[str]
) -> dict[str, Approval]:
    pending = (approvals.c.model == model) & (approvals.c.state == ApprovalState.PENDING.value)
    query = select(approvals).where(or_(pending, approvals.c.approval_id.in_(list(approval_ids))))
    found = (await connection.execute(query.order_by(approvals.c.number))).mappings().all()
    return {row["approval_id"]: governance_rows.to_approval(dict(row)) for row in found}

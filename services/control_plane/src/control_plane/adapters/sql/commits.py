"""A change in one transaction: on the state it was decided on, with its audit and its announcements."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.adapters.sql import governance_rows, rows
from control_plane.adapters.sql.database import Database
from control_plane.adapters.sql.tables import (
    approvals,
    audit,
    audit_head,
    models,
    outbox,
    rollouts,
    routes,
    versions,
)
from control_plane.domain.approvals import Approval
from control_plane.domain.audit import Head, Link, append
from control_plane.domain.rollouts import Rollout
from control_plane.domain.state import Change
from control_plane.domain.versions import Version
from control_plane.ports import Announce, Overtaken


async def commit(database: Database, change: Change, announce: Announce) -> None:
    """See `ports.Registry.commit`."""
    async with database.writing() as connection:
        await _take(connection, change)
        await _write(connection, change)
        links = await _append(connection, change)
        for announcement in announce(change, links):
            row = rows.of_event(announcement.topic, announcement.event)
            await connection.execute(insert(outbox).values(row))


async def _take(connection: AsyncConnection, change: Change) -> None:
    """Takes the model's next revision, which fails if somebody else has."""
    revision = change.before.revision
    values: dict[str, Any] = {
        "revision": revision + 1,
        "event_time_us": max(change.event_time_us, change.before.event_time_us),
    }
    if change.alert:
        values["abort_alert"] = governance_rows.of_alert(change.alert)
    if not revision:
        row = {"name": change.model, "registered_at_us": change.at_us}
        try:
            await connection.execute(insert(models).values(row | values))
        except IntegrityError as error:
            raise Overtaken(change.model) from error
        return
    known = (models.c.name == change.model) & (models.c.revision == revision)
    if (await connection.execute(update(models).where(known).values(**values))).rowcount != 1:
        raise Overtaken(change.model)


async def _write(connection: AsyncConnection, change: Change) -> None:
    if change.registered:
        await connection.execute(insert(versions).values(rows.of_version(change.registered)))
    for version in change.versions:
        await _write_version(connection, version)
    for approval in change.approvals:
        await _write_approval(connection, approval, known=approval.approval_id in change.before.approvals)
    if change.route:
        await connection.execute(insert(routes).values(rows.of_route(change.route)))
    if change.rollout:
        await _write_rollout(connection, change.rollout, known=change.before.rollout is not None)


async def _write_version(connection: AsyncConnection, version: Version) -> None:
    this = (versions.c.model == version.model) & (versions.c.version == version.version)
    await connection.execute(update(versions).where(this).values(rows.decided_of_version(version)))


async def _write_approval(connection: AsyncConnection, approval: Approval, *, known: bool) -> None:
    values = governance_rows.of_approval(approval)
    if known:
        this = approvals.c.approval_id == approval.approval_id
        await connection.execute(update(approvals).where(this).values(values))
    else:
        await connection.execute(insert(approvals).values(values))


async def _write_rollout(connection: AsyncConnection, rollout: Rollout, *, known: bool) -> None:
    values = governance_rows.of_rollout(rollout)
    if known:
        this = rollouts.c.rollout_id == rollout.rollout_id
        await connection.execute(update(rollouts).where(this).values(values))
    else:
        await connection.execute(insert(rollouts).values(values))


async def _append(connection: AsyncConnection, change: Change) -> Sequence[Link]:
    if not change.entries:
        return []
    row = (await connection.execute(select(audit_head).with_for_update())).mappings().one()
    links = append(Head(row["sequence"], row["hash"]), change.entries, recorded_at_us=change.at_us)
    await connection.execute(insert(audit), [governance_rows.of_link(link) for link in links])
    last = links[-1]
    await connection.execute(update(audit_head).values(sequence=last.sequence, hash=last.hash))
    return links

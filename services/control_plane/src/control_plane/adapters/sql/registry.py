"""The registry in SQL: what is registered, decided and in force."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Select, and_, func, select

from control_plane.adapters.sql import commits, governance_rows, rows
from control_plane.adapters.sql.database import Database
from control_plane.adapters.sql.states import read_state, versions_named
from control_plane.adapters.sql.tables import (
    approvals,
    audit,
    audit_head,
    models,
    rollouts,
    routes,
    versions,
)
from control_plane.domain.approvals import Approval
from control_plane.domain.audit import Head, Link
from control_plane.domain.pages import Page, Window
from control_plane.domain.rollouts import Rollout
from control_plane.domain.routes import Route
from control_plane.domain.state import Change, ModelState
from control_plane.domain.versions import ModelSummary, Version
from control_plane.ports import Announce, Wanted


class SqlRegistry:
    """See `ports.Registry`."""

    def __init__(self, database: Database, *, announce: Announce) -> None:
        self._database = database
        self._announce = announce

    async def state(
        self, model: str, *, versions: Collection[str] = (), approvals: Collection[str] = ()
    ) -> ModelState:
        """See `ports.Registry.state`."""
        async with self._database.reading() as connection:
            return await read_state(connection, model, versions, approvals)

    async def commit(self, change: Change) -> None:
        """See `ports.Registry.commit`."""
        await commits.commit(self._database, change, self._announce)

    async def models(self, window: Window) -> Page[ModelSummary]:
        """See `ports.Registry.models`; the cursor is the last model's name."""
        query = _summaries().order_by(models.c.name)
        if window.after is not None:
            query = query.where(models.c.name > window.after)
        found, more = await self._fetch(query, window.limit)
        summaries = [rows.to_summary(row) for row in found]
        return Page(summaries, summaries[-1].model if more else None)

    async def model(self, model: str) -> ModelSummary | None:
        """See `ports.Registry.model`."""
        found, _ = await self._fetch(_summaries().where(models.c.name == model), 1)
        return rows.to_summary(found[0]) if found else None

    async def versions(self, model: str, window: Window) -> Page[Version]:
        """See `ports.Registry.versions`; the cursor is the last row's number."""
        query = select(versions).where(versions.c.model == model).order_by(versions.c.number.desc())
        if window.after_number is not None:
            query = query.where(versions.c.number < window.after_number)
        found, more = await self._fetch(query, window.limit)
        return Page([rows.to_version(row) for row in found], str(found[-1]["number"]) if more else None)

    async def version(self, model: str, version: str) -> Version | None:
        """See `ports.Registry.version`."""
        async with self._database.reading() as connection:
            return (await versions_named(connection, model, [version])).get(version)

    async def route(self, model: str) -> Route | None:
        """See `ports.Registry.route`."""
        found = await self.revisions(model, Window(limit=1))
        return found.items[0] if found.items else None

    async def revisions(self, model: str, window: Window) -> Page[Route]:
        """See `ports.Registry.revisions`; the cursor is the last revision."""
        query = select(routes).where(routes.c.model == model).order_by(routes.c.revision.desc())
        if window.after_number is not None:
            query = query.where(routes.c.revision < window.after_number)
        found, more = await self._fetch(query, window.limit)
        names = {name for row in found for name in rows.names_in_route(row)}
        async with self._database.reading() as connection:
            known = await versions_named(connection, model, names)
        return Page(
            [rows.to_route(row, known) for row in found], str(found[-1]["revision"]) if more else None
        )

    async def approvals(self, wanted: Wanted, window: Window) -> Page[Approval]:
        """See `ports.Registry.approvals`; the cursor is the last row's number."""
        query = select(approvals).order_by(approvals.c.number.desc())
        if wanted.state is not None:
            query = query.where(approvals.c.state == wanted.state.value)
        if wanted.model is not None:
            query = query.where(approvals.c.model == wanted.model)
        if window.after_number is not None:
            query = query.where(approvals.c.number < window.after_number)
        found, more = await self._fetch(query, window.limit)
        items = [governance_rows.to_approval(row) for row in found]
        return Page(items, str(found[-1]["number"]) if more else None)

    async def approval(self, approval_id: str) -> Approval | None:
        """See `ports.Registry.approval`."""
        found, _ = await self._fetch(select(approvals).where(approvals.c.approval_id == approval_id), 1)
        return governance_rows.to_approval(found[0]) if found else None

    async def rollouts(self, model: str, window: Window) -> Page[Rollout]:
        """See `ports.Registry.rollouts`; the cursor is the last row's number."""
        query = select(rollouts).where(rollouts.c.model == model).order_by(rollouts.c.number.desc())
        if window.after_number is not None:
            query = query.where(rollouts.c.number < window.after_number)
        found, more = await self._fetch(query, window.limit)
        items = [governance_rows.to_rollout(row) for row in found]
        return Page(items, str(found[-1]["number"]) if more else None)

    async def rollout(self, model: str, rollout_id: str) -> Rollout | None:
        """See `ports.Registry.rollout`."""
        this = (rollouts.c.model == model) & (rollouts.c.rollout_id == rollout_id)
        found, _ = await self._fetch(select(rollouts).where(this), 1)
        return governance_rows.to_rollout(found[0]) if found else None

    async def audit(self, window: Window) -> Page[Link]:
        """See `ports.Registry.audit`."""
        query = select(audit).order_by(audit.c.sequence)
        if window.after_number is not None:
            query = query.where(audit.c.sequence > window.after_number)
        found, more = await self._fetch(query, window.limit)
        items = [governance_rows.to_link(row) for row in found]
        return Page(items, str(items[-1].sequence) if more else None)

    async def audit_head(self) -> Head:
        """See `ports.Registry.audit_head`."""
        found, _ = await self._fetch(select(audit_head), 1)
        return Head(found[0]["sequence"], found[0]["hash"])

    async def _fetch(self, query: Select[Any], limit: int) -> tuple[list[rows.Columns], bool]:
        """Returns up to `limit` rows and whether there are more."""
        async with self._database.reading() as connection:
            found = (await connection.execute(query.limit(limit + 1))).mappings().all()
        return [dict(row) for row in found[:limit]], len(found) > limit


def _summaries() -> Select[Any]:
    counted = (
        select(versions.c.model, func.count().label("versions"), func.max(versions.c.number).label("number"))
        .group_by(versions.c.model)
        .subquery("counted")
    )
    in_force = (
        select(routes.c.model, func.max(routes.c.revision).label("revision"))
        .group_by(routes.c.model)
        .subquery("in_force")
    )
    return (
        select(
            models.c.name.label("model"),
            counted.c.versions,
            versions.c.version.label("latest_version"),
            routes.c.champion,
            routes.c.shadows,
            routes.c.revision,
        )
        .join(counted, counted.c.model == models.c.name)
        .join(versions, versions.c.number == counted.c.number)
        .outerjoin(in_force, in_force.c.model == models.c.name)
        .outerjoin(routes, and_(routes.c.model == models.c.name, routes.c.revision == in_force.c.revision))
    )

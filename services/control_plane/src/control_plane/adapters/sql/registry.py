"""Versions and routes in SQL."""

from collections.abc import Iterable, Sequence
from typing import Any

from bus.events import Event
from sqlalchemy import Select, and_, func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.adapters.sql import rows
from control_plane.adapters.sql.database import Database
from control_plane.adapters.sql.tables import models, outbox, routes, versions
from control_plane.domain.errors import RevisionConflict
from control_plane.domain.pages import Page, Window
from control_plane.domain.routes import Route
from control_plane.domain.versions import ModelSummary, Version


class SqlRegistry:
    """See `ports.Registry`."""

    def __init__(self, database: Database, *, routes_topic: str) -> None:
        self._database = database
        self._routes_topic = routes_topic

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
            return (await _versions_named(connection, model, [version])).get(version)

    async def add_version(self, version: Version) -> bool:
        """See `ports.Registry.add_version`."""
        try:
            return await self._add_version(version)
        except IntegrityError:  # another process was faster; its row is there now
            return await self._add_version(version)

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
        names = {name for row in found for name in (row["champion"], *row["shadows"])}
        async with self._database.reading() as connection:
            known = await _versions_named(connection, model, names)
        return Page([_to_route(row, known) for row in found], str(found[-1]["revision"]) if more else None)

    async def change_route(self, route: Route, announcement: Event) -> None:
        """See `ports.Registry.change_route`."""
        try:
            async with self._database.writing() as connection:
                await _expect_revision(connection, route.model, route.revision - 1)
                await connection.execute(insert(routes).values(_of_route(route)))
                await connection.execute(
                    insert(outbox).values(rows.of_event(self._routes_topic, announcement))
                )
        except IntegrityError as error:
            in_force = await self.route(route.model)
            if in_force is None or in_force.revision < route.revision:
                raise
            # Another process was faster, between the check and the insert.
            raise RevisionConflict(route.model, current=in_force.revision) from error

    async def _fetch(self, query: Select[Any], limit: int) -> tuple[list[rows.Columns], bool]:
        """Returns up to `limit` rows and whether there are more."""
        async with self._database.reading() as connection:
            found = (await connection.execute(query.limit(limit + 1))).mappings().all()
        return [dict(row) for row in found[:limit]], len(found) > limit

    async def _add_version(self, version: Version) -> bool:
        async with self._database.writing() as connection:
            known = await _versions_named(connection, version.model, [version.version])
            if known:
                known[version.version].expect(version.digest)
                return False
            if not await connection.scalar(select(models.c.name).where(models.c.name == version.model)):
                row = {"name": version.model, "registered_at_us": version.registered_at_us}
                await connection.execute(insert(models).values(row))
            await connection.execute(insert(versions).values(rows.of_version(version)))
            return True


async def _versions_named(
    connection: AsyncConnection, model: str, names: Iterable[str]
) -> dict[str, Version]:
    query = select(versions).where(versions.c.model == model, versions.c.version.in_(list(names)))
    found = (await connection.execute(query)).mappings().all()
    return {row["version"]: rows.to_version(dict(row)) for row in found}


async def _expect_revision(connection: AsyncConnection, model: str, revision: int) -> None:
    current = await connection.scalar(select(func.max(routes.c.revision)).where(routes.c.model == model)) or 0
    if current != revision:
        raise RevisionConflict(model, current=current)


def _of_route(route: Route) -> dict[str, Any]:
    return {
        "model": route.model,
        "revision": route.revision,
        "champion": route.champion.version,
        "shadows": list(route.shadow_names),
        "changed_at_us": route.changed_at_us,
    }


def _to_route(row: rows.Columns, known: dict[str, Version]) -> Route:
    shadows: Sequence[str] = row["shadows"]
    return Route(
        model=row["model"],
        revision=row["revision"],
        champion=known[row["champion"]],
        shadows=tuple(known[name] for name in shadows),
        changed_at_us=row["changed_at_us"],
    )


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

"""What only a real database can show."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from bus.errors import Unavailable
from control_plane.adapters.announcements import announce
from control_plane.adapters.sql import Database, SqlOutbox, SqlRegistry, UnusableUrl, migrate
from control_plane.adapters.sql.tables import metadata
from control_plane.domain.pages import Window
from control_plane.ports import Lease
from control_plane.testing import keep, put_in_force, route, version
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

WEEK_US = 7 * 86_400_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "registry.sqlite"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    async with Database(f"sqlite:///{path}", busy_timeout_ms=50) as database:
        await migrate(database)
        yield database


async def test_the_migrations_end_with_the_tables_that_the_code_reads(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async with database.reading() as connection:
        assert await connection.run_sync(differences) == []


async def test_migrating_again_and_at_once_changes_nothing(database: Database, path: Path) -> None:
    registry = SqlRegistry(database, announce=announce)
    await keep(registry, version("a"))
    async with Database(f"sqlite:///{path}") as second, Database(f"sqlite:///{path}") as third:
        await asyncio.gather(migrate(database), migrate(second), migrate(third))
    assert await registry.version("late", "a") == version("a")


async def test_readers_read_while_somebody_writes(database: Database, path: Path) -> None:
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    registry = SqlRegistry(database, announce=announce)
    assert (await registry.models(Window(1))).items == []
    with pytest.raises(Unavailable, match="database is locked"):
        await keep(registry, version("a"))
    writer.execute("ROLLBACK")
    writer.close()
    await keep(registry, version("a"))
    assert await registry.version("late", "a") == version("a")


async def test_what_happens_in_a_transaction_that_fails_never_happened(database: Database) -> None:
    registry, outbox = SqlRegistry(database, announce=announce), SqlOutbox(database)
    await keep(registry, version("a"))
    changed = route(1, version("not registered"))
    with pytest.raises(IntegrityError):
        await put_in_force(registry, changed)
    assert await registry.route("late") is None
    assert await outbox.claim(Lease("me", 0, 1), 10) == []


async def test_what_was_sent_is_forgotten_after_a_week(database: Database, path: Path) -> None:
    registry, outbox = SqlRegistry(database, announce=announce), SqlOutbox(database)
    champion = version("a")
    await keep(registry, champion)
    for revision, now_us in ((1, 0), (2, WEEK_US), (3, WEEK_US + 1)):
        changed = route(revision, champion)
        await put_in_force(registry, changed)
        lease = Lease("me", now_us, now_us + 10)
        [pending] = await outbox.claim(lease, 10)
        assert await outbox.mark_sent([pending.number], lease, now_us)
    left = sqlite3.connect(path)
    assert left.execute("SELECT event_id FROM outbox ORDER BY number").fetchall() == [
        ("route:late:2",),
        ("route:late:3",),
    ]
    left.close()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("nonsense", "no database URL"),
        ("postgresql+psycopg2://h/x", "needs the package psycopg2"),
        ("sqlite:////proc/no/file", "/proc/no cannot be made"),
        ("sqlite+pysqlite:///file", "pysqlite cannot be used"),
    ],
)
def test_a_url_that_cannot_work_is_refused_with_the_reason(url: str, told: str) -> None:
    with pytest.raises(UnusableUrl, match=told):
        Database(url)

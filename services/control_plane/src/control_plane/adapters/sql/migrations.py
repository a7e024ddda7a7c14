"""Brings the database to the newest schema, once, however many processes start together."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from control_plane.adapters.sql.database import Database

_SCRIPTS = Path(__file__).parent / "alembic"
# Any number that nothing else in the same PostgreSQL database uses as an advisory lock.
_LOCK = 0x7469_6465


async def migrate(database: Database) -> None:
    """Runs the missing migrations in one transaction under a lock; who comes later waits, and finds none.

    Raises:
        Unavailable: the database is away, or another process held the lock too long.
    """
    async with database.writing() as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        await connection.run_sync(_upgrade)


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")

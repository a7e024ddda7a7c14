"""The database: SQLite set up for several processes, or PostgreSQL; outages get the bus's name."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Self

from bus.errors import Unavailable
from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.exc import ArgumentError, InterfaceError, InvalidRequestError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

_BUSY_TIMEOUT_MS = 10_000
_ASYNC_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
}


class UnusableUrl(ValueError):
    """A database URL that cannot work here; the message says why."""


class Database:
    """Transactions on one database; async context manager that closes the connections.

    Raises:
        UnusableUrl: the URL is not understood, or its driver or folder is not there.

    On SQLite: write-ahead log, so that readers and the writer do not block each other; a writer takes the
    lock when its transaction begins, so that it waits for its turn instead of failing half-way.
    """

    def __init__(self, url: str, *, busy_timeout_ms: int = _BUSY_TIMEOUT_MS) -> None:
        self.url = _with_async_driver(url)
        self._engine = _engine(self.url)
        self._writer = self._engine.execution_options(tidemark_writes=True)
        if self.url.get_backend_name() == "sqlite":
            _set_up_sqlite(self._engine, self.url, busy_timeout_ms)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._engine.dispose()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that reads.

        Raises:
            Unavailable: the database is away or locked.
        """
        with _naming_outages(self.url):
            async with self._engine.begin() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that writes: committed when the block ends, rolled back when it raises.

        Raises:
            Unavailable: the database is away or locked.
        """
        with _naming_outages(self.url):
            async with self._writer.begin() as connection:
                yield connection


@contextmanager
def _naming_outages(url: URL) -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout, OSError) as error:
        place = url.render_as_string(hide_password=True)
        raise Unavailable(
            f"the database {place} does not answer: {getattr(error, 'orig', None) or error}"
        ) from error


def _with_async_driver(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise UnusableUrl(
            "it is no database URL such as sqlite:///folder/file or postgresql://..."
        ) from error
    return parsed.set(drivername=_ASYNC_DRIVERS.get(parsed.drivername, parsed.drivername))


def _engine(url: URL) -> AsyncEngine:
    try:
        return create_async_engine(url, pool_pre_ping=url.get_backend_name() != "sqlite")
    except ModuleNotFoundError as error:
        raise UnusableUrl(f"it needs the package {error.name}, which is not installed here") from error
    except (ArgumentError, InvalidRequestError) as error:
        raise UnusableUrl(f"{url.drivername} cannot be used: {error}") from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnusableUrl(f"its folder {folder} cannot be made: {error.strerror}") from error


def _set_up_sqlite(engine: AsyncEngine, url: URL, busy_timeout_ms: int) -> None:
    if url.database and url.database != ":memory:":
        _make_folder(Path(url.database).parent)

    @event.listens_for(engine.sync_engine, "connect")
    def connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # `begin` below says where transactions begin, not the driver
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout = {busy_timeout_ms}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("tidemark_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

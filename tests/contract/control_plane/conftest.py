"""The two adapters of each port: every test here runs over both."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from control_plane.adapters.announcements import announce
from control_plane.adapters.memory import MemoryOutbox, MemoryRegistry
from control_plane.adapters.sql import Database, SqlOutbox, SqlRegistry, migrate
from control_plane.ports import Outbox, Registry


@dataclass(frozen=True)
class Store:
    """A registry and the outbox it writes to."""

    registry: Registry
    outbox: Outbox


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "memory":
        outbox = MemoryOutbox()
        yield Store(MemoryRegistry(outbox, announce=announce), outbox)
        return
    async with Database(f"sqlite:///{tmp_path}/registry.sqlite") as database:
        await migrate(database)
        yield Store(SqlRegistry(database, announce=announce), SqlOutbox(database))


@pytest.fixture
def registry(store: Store) -> Registry:
    return store.registry


@pytest.fixture
def outbox(store: Store) -> Outbox:
    return store.outbox

"""The REST API in this process, on memory adapters."""

from collections.abc import AsyncIterator

import httpx
import pytest
from control_plane.adapters.announcements import announce
from control_plane.adapters.following import Followers
from control_plane.adapters.http import Core, create_app
from control_plane.adapters.memory import MemoryOutbox, MemoryRegistry
from control_plane.testing import MemoryPackages
from fastapi import FastAPI

NOW_US = 1_357_020_000_000_000


@pytest.fixture
def outbox() -> MemoryOutbox:
    return MemoryOutbox()


@pytest.fixture
def registry(outbox: MemoryOutbox) -> MemoryRegistry:
    return MemoryRegistry(outbox, announce=announce)


@pytest.fixture
def packages() -> MemoryPackages:
    return MemoryPackages()


@pytest.fixture
def woken() -> list[bool]:
    """Grows each time the relay is told that something was committed."""
    return []


@pytest.fixture
def followers() -> Followers:
    return Followers(lambda: NOW_US)


@pytest.fixture
def app(
    registry: MemoryRegistry,
    packages: MemoryPackages,
    followers: Followers,
    outbox: MemoryOutbox,
    woken: list[bool],
) -> FastAPI:
    core = Core(
        registry=registry,
        packages=packages,
        outbox=outbox,
        followers=followers,
        clock=lambda: NOW_US,
        committed=lambda: woken.append(True),
    )
    return create_app(core)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://control-plane", headers={"Tidemark-Actor": "ada"}
    ) as client:
        yield client

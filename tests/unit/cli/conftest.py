"""A control plane in this process, over HTTP as the real one is, on memory adapters."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Thread

import pytest
from bus.clocks import Clock
from control_plane.adapters.announcements import announce
from control_plane.adapters.following import Followers
from control_plane.adapters.http import Core, create_app, listen, serve
from control_plane.adapters.memory import MemoryOutbox, MemoryRegistry
from control_plane.testing import MemoryPackages
from tidemark_cli.testing import Cli

NOW_US = 1_357_020_000_000_000


@dataclass
class Served:
    """What the API stands on, and where it answers."""

    outbox: MemoryOutbox = field(default_factory=MemoryOutbox)
    packages: MemoryPackages = field(default_factory=MemoryPackages)
    clock: Clock = lambda: NOW_US
    url: str = ""

    def __post_init__(self) -> None:
        self.registry = MemoryRegistry(self.outbox, announce=announce)
        self.followers = Followers(self.clock)

    @property
    def core(self) -> Core:
        return Core(
            registry=self.registry,
            packages=self.packages,
            outbox=self.outbox,
            followers=self.followers,
            clock=self.clock,
            committed=lambda: None,
        )


@pytest.fixture
def served() -> Iterator[Served]:
    served, listener = Served(), listen(0)
    served.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    running: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def answer() -> None:
        stop = asyncio.Event()
        running.set_result((asyncio.get_running_loop(), stop))
        await serve(create_app(served.core), listener, stop)

    thread = Thread(target=asyncio.run, args=[answer()])
    thread.start()
    yield served
    loop, stop = running.result()
    loop.call_soon_threadsafe(stop.set)
    thread.join()


@pytest.fixture
def cli(served: Served) -> Cli:
    """Commands against the control plane, by a user who is called `ada`."""
    environment = {"TIDEMARK_CONTROL_PLANE_URL": served.url, "TIDEMARK_ACTOR": "ada", "COLUMNS": "250"}
    return Cli(environment)

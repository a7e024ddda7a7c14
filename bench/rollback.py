"""A rollback as callers see it: from publishing the route to the last replica's first answer by it.

Two replicas answer a steady load while the route goes back and forth between two warm versions, published as
the control plane's outbox publishes it. A call that fails, whenever, fails the figure.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc
import numpy as np
from bus.producer import KafkaPublisher
from bus.topics import ROUTES_CHANGED
from feature_store import load_project
from local_stack import LocalStack
from tidemark.scoring.v1.scoring_service_pb2_grpc import ScoringServiceStub

from bench.placement import APART, measured_from
from bench.scoring_servers import (
    PROJECT,
    put_version,
    replica,
    route_to,
    score_request,
    scoring_server,
    tree_model,
)

if TYPE_CHECKING:
    from bench.scoring_servers import Server

FLIPS: Final = 30
WARMING: Final = 2
CALLERS: Final = 4
PAUSE_S: Final = 0.01
BETWEEN_S: Final = 0.2
MODEL: Final = "sixteen-0"
MUST_MS: Final = 200.0
Row = dict[str, Any]


@dataclass(slots=True)
class Board:
    """What the callers saw: failed calls, and which replicas have answered by the version that is awaited."""

    replicas: int
    version: str = ""
    seen: set[str] = field(default_factory=set)
    calls: int = 0
    failed: list[str] = field(default_factory=list)
    all_seen: asyncio.Event = field(default_factory=asyncio.Event)

    def wait_for(self, version: str) -> None:
        """Look out for a version from now on."""
        self.version, self.seen = version, set()
        self.all_seen.clear()

    def answered(self, address: str, version: str) -> None:
        """A replica has answered."""
        self.calls += 1
        if version == self.version:
            self.seen.add(address)
            if len(self.seen) == self.replicas:
                self.all_seen.set()


def run() -> list[Row]:
    """Measure on a stack of its own."""
    return measured_from(APART, measure)


async def measure() -> list[Row]:
    """Flip the route and tell the tail of how long each flip took."""
    project = load_project(PROJECT)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with (
            LocalStack(folder / "stack") as stack,
            scoring_server(folder / "one", stack, APART.server) as one,
            replica(folder / "two", stack, folder / "one" / "packages", APART.server) as two,
            KafkaPublisher(stack.kafka_bootstrap, client_id="bench-routes") as publisher,
        ):
            packages = folder / "one" / "packages"
            versions = [
                put_version(project, packages, MODEL, tree_model(seed), 100 + seed) for seed in (1, 2)
            ]
            board = Board(replicas=2)
            callers = [
                asyncio.ensure_future(call(server, board)) for server in (one, two) for _ in range(CALLERS)
            ]
            times_ms = []
            for flip in range(WARMING + FLIPS):
                named = versions[flip % 2]
                board.wait_for(named[1].version)
                began_s = time.perf_counter()
                await publisher.publish(ROUTES_CHANGED.name, route_to(named, 2 + flip))
                await asyncio.wait_for(board.all_seen.wait(), 30)
                times_ms.append((time.perf_counter() - began_s) * 1000)
                await asyncio.sleep(BETWEEN_S)
            for caller in callers:
                caller.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*callers)
    return [row(times_ms[WARMING:], board)]


async def call(server: Server, board: Board) -> None:
    """Ask a replica again and again, a hundred times a second at most, and tell the board."""
    async with grpc.aio.insecure_channel(server.address) as channel:
        stub = ScoringServiceStub(channel)
        number = 0
        while True:
            number += 1
            try:
                reply = await stub.Score(score_request(number), timeout=5)
            except grpc.aio.AioRpcError as error:
                board.failed.append(str(error.code()))
            else:
                board.answered(server.address, reply.version)
            await asyncio.sleep(PAUSE_S)


def row(times_ms: list[float], board: Board) -> Row:
    """Return the figure; a failed call is worse than any time."""
    slowest = float(np.quantile(times_ms, 0.99))
    return {
        "name": "scoring.rollback_p99_ms",
        "value": slowest,
        "unit": "ms",
        "reference": (
            f"{len(times_ms)} flips, median {np.median(times_ms):.1f} ms; "
            f"{len(board.failed)} of {board.calls + len(board.failed):,} calls failed"
        ),
        "reference_value": None,
        "ratio": None,
        "must": f"< {MUST_MS:g} ms, no call failed",
        "met": slowest < MUST_MS and not board.failed,
    }

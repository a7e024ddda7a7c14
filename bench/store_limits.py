"""A vector against one bare GET, and a hundred against one bare MGET of the same bytes.

One blocking socket and hiredis for both, so that what differs is what the store adds. Where the client runs
decides as much as what it does: with the server on another core, and with both on one. Rounds of ours and of
the reference take turns; the figures are medians of five rounds' medians.
"""

from __future__ import annotations

import os
import socket
import statistics
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import numpy as np
import psutil
from feature_store import Contract, Requests, VectorAssembler
from hiredis import Reader, pack_command

from bench.store_events import (
    AIRCRAFT,
    AIRPORTS,
    CARRIERS,
    EVENTS,
    FLIGHTS_AN_HOUR,
    HOUR_US,
    START_US,
    Row,
    row,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from feature_store import Project

ROUNDS, CALLS = 5, 2_000
MANY = 100
FEATURES = {
    "origin_departures": 5,
    "destination_departures": 4,
    "carrier_departures": 4,
    "aircraft_departures": 3,
}
"""How many of each view: sixteen over four rows."""
OTHER, SAME = "server on another core", "server on the same core"


class Connection:
    """A blocking connection."""

    def __init__(self, redis_url: str) -> None:
        host, port = redis_url.removeprefix("redis://").split("/")[0].split(":")
        self._socket = socket.create_connection((host, int(port)))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = Reader()
        self.peer = int(port)

    def ask(self, *command: bytes) -> object:
        """Send a command and return its reply."""
        self._socket.sendall(pack_command(cast("tuple[bytes]", command)))
        while (reply := self._reader.gets()) is False:
            self._reader.feed(self._socket.recv(1 << 20))
        return reply


def measure_limits(redis_url: str, project: Project, model: str) -> list[Row]:
    """Measure on a store that holds the rows of the departures."""
    contract = sixteen_features(project, model)
    connection = Connection(redis_url)
    assembler = VectorAssembler(contract)
    one, many = asked(contract, 1), asked(contract, MANY)
    keys_of_many = assembler.row_keys(many)
    key = assembler.row_keys(one)[0]

    def vectors(requests: Requests) -> object:
        return assembler.assemble(requests, connection.ask(b"MGET", *assembler.row_keys(requests)))  # type: ignore[arg-type]

    rows: list[Row] = []
    for placement, name in ((OTHER, "other_core"), (SAME, "same_core")):
        with placed(connection.peer, same=placement == SAME):
            one_us, get_us = alternately(lambda: vectors(one), lambda: connection.ask(b"GET", key), CALLS)
            many_us, mget_us = alternately(
                lambda: vectors(many), lambda: connection.ask(b"MGET", *keys_of_many), CALLS // 10
            )
        rows += [
            row(f"store.read_one.{name}", one_us, "us", (f"a bare GET, {placement}", get_us)),
            row(f"store.read_{MANY}.{name}", many_us, "us", (f"a bare MGET, {placement}", mget_us)),
        ]
    return rows


def sixteen_features(project: Project, model: str) -> Contract:
    """Return the contract of sixteen features over four views."""
    spec = project.models[model]
    chosen = [
        feature
        for view, count in FEATURES.items()
        for feature in [one for one in spec.features if one.full_name.startswith(f"{view}.")][:count]
    ]
    return Contract.over("", chosen, spec.examples.inputs)


def asked(contract: Contract, count: int) -> Requests:
    """Ask for random flights."""
    random, now_us = np.random.default_rng(5), START_US + EVENTS * HOUR_US // FLIGHTS_AN_HOUR
    names = {
        "origin": [str(one) for one in random.choice(["EWR", "JFK", "LGA"], count)],
        "destination": [f"D{one:03}" for one in random.integers(0, AIRPORTS, count)],
        "carrier": [f"C{one}" for one in random.integers(0, CARRIERS, count)],
        "tail_number": [f"N{one:05}" for one in random.integers(0, AIRCRAFT, count)],
    }
    entities = {name: np.array(names[name], np.object_) for name in contract.entities}
    return Requests(np.full(count, now_us), entities, {})


@contextmanager
def placed(port: int, *, same: bool) -> Iterator[None]:
    """Put this process on the first core, and the server on it too or on the last one."""
    server = psutil.Process(listening(port))
    cores = sorted(os.sched_getaffinity(0))
    before = server.cpu_affinity()
    os.sched_setaffinity(0, {cores[0]})
    server.cpu_affinity([cores[0] if same else cores[-1]])
    try:
        yield
    finally:
        server.cpu_affinity(before or cores)
        os.sched_setaffinity(0, cores)


def listening(port: int) -> int:
    """Return the process that listens on a port."""
    for one in psutil.net_connections("tcp"):
        if one.laddr and one.laddr.port == port and one.status == psutil.CONN_LISTEN and one.pid:
            return one.pid
    raise LookupError(f"nobody listens on port {port}")


def alternately(
    ours: Callable[[], object], reference: Callable[[], object], calls: int
) -> tuple[float, float]:
    """Return the p50 of both in microseconds."""
    told: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for measured, medians in zip((ours, reference), told, strict=True):
            medians.append(p50_us(measured, calls))
    return statistics.median(told[0]), statistics.median(told[1])


def p50_us(measured: Callable[[], object], calls: int) -> float:
    took: list[float] = []
    for _ in range(calls):
        start = time.perf_counter()
        measured()
        took.append(time.perf_counter() - start)
    return statistics.median(took) * 1e6

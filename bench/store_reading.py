"""Rows into vectors, and vectors of the past."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, cast

import numpy as np
import redis.asyncio
from feature_store import (
    AsOf,
    Contract,
    Project,
    Requests,
    VectorAssembler,
    decode_events,
    point_in_time,
)
from feature_store.events import empty
from feature_store.online.redis import RedisRowReader, connect
from hiredis import Reader, pack_command

from bench.store_events import EVENTS, FLIGHTS_AN_HOUR, HOUR_US, MODEL, START_US, TOPIC, Row, dealt, row

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bus.events import Event
    from feature_store import EventBatch

PAST_REQUESTS = 27_000

# Rows into vectors


async def measure_reading(redis_url: str, contract: Contract) -> list[Row]:
    assembler = VectorAssembler(contract)
    client = await connect(redis_url)
    reader = RedisRowReader(client, deadline_s=5.0, on_failure=print)
    one = requests(contract, 1)
    keys = assembler.row_keys(one)
    raw_us = await p50_us(await raw_mget(redis_url, keys))
    plain = redis.asyncio.Redis.from_url(redis_url)
    client_us = await p50_us(lambda: plain.mget(keys))
    reader_us = await p50_us(lambda: reader.read(keys))

    async def vector() -> object:
        return assembler.assemble(one, (await reader.read(assembler.row_keys(one))).rows)

    vector_us = await p50_us(vector)
    rows = (await reader.read(keys)).rows
    many, many_rows = requests(contract, 256), list(rows) * 256
    await plain.aclose()
    await client.aclose()
    assemble_us, floor_us = cpu_us(lambda: assembler.assemble(one, rows)), cpu_us(lambda: added_up(rows))
    batch_us = cpu_us(lambda: assembler.assemble(many, many_rows), 256)
    batch_floor_us = cpu_us(lambda: added_up(many_rows), 256)
    raw = ("raw sockets and hiredis", raw_us)
    floor = "joining the rows and adding up their words in numpy"
    return [
        row("store.mget_p50", reader_us, "us", raw),
        row("store.redis_asyncio_mget_p50", client_us, "us", raw),
        row("store.vector_p50", vector_us, "us", raw),
        row(
            "store.assemble_one",
            assemble_us,
            "us",
            (floor, floor_us),
            ("value <= 120", assemble_us <= 120),
        ),
        row(
            "store.assemble_of_256",
            batch_us,
            "us a request",
            (floor, batch_floor_us),
            ("value <= 15", batch_us <= 15),
        ),
    ]


def requests(contract: Contract, count: int) -> Requests:
    """Ask for flights whose every row is there."""
    now_us = START_US + EVENTS * HOUR_US // FLIGHTS_AN_HOUR
    known = {"origin": "JFK", "destination": "D001", "carrier": "C1", "tail_number": "N00001"}
    entities = {name: np.full(count, known[name], np.object_) for name in contract.entities}
    context = {
        name: np.full(count, now_us) if kind == "time" else np.full(count, 500.0)
        for name, kind in contract.inputs.items()
    }
    return Requests(np.full(count, now_us), entities, context)


def added_up(rows: Sequence[bytes | None]) -> object:
    return np.frombuffer(b"".join([one for one in rows if one is not None]), "<i8").sum()


def cpu_us(measured: Callable[[], object], divided_by: int = 1) -> float:
    """Return the processor time of a call in microseconds, the best of several rounds."""
    calls, best = max(5, 1_000 // divided_by), float("inf")
    for _ in range(7):
        start = time.process_time()
        for _ in range(calls):
            measured()
        best = min(best, time.process_time() - start)
    return best / calls / divided_by * 1e6


async def p50_us(measured: Callable[[], Awaitable[object]], calls: int = 2_000) -> float:
    took = []
    for _ in range(calls):
        start = time.perf_counter()
        await measured()
        took.append(time.perf_counter() - start)
    return sorted(took)[calls // 2] * 1e6


async def raw_mget(redis_url: str, keys: Sequence[bytes]) -> Callable[[], Awaitable[object]]:
    """Return the least that an asyncio client can do: one write, and replies parsed in C."""
    host, port = redis_url.removeprefix("redis://").split("/")[0].split(":")
    loop = asyncio.get_running_loop()

    class Replies(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport, self.reader = cast("asyncio.Transport", transport), Reader()

        def data_received(self, data: bytes) -> None:
            self.reader.feed(data)
            if (reply := self.reader.gets()) is not False:
                self.reply.set_result(reply)

        def ask(self) -> asyncio.Future[object]:
            self.reply = loop.create_future()
            self.transport.write(pack_command(cast("tuple[bytes]", (b"MGET", *keys))))
            return self.reply

    _, replies = await loop.create_connection(Replies, host, int(port))
    return replies.ask


# The past


def measure_past(project: Project, events: Sequence[Event]) -> list[Row]:
    contract = project.contract(MODEL)
    source = project.sources[TOPIC]
    log, rejects = decode_events(source, dealt(source, events))
    assert not rejects
    logs = {topic: log if topic == TOPIC else empty(one) for topic, one in project.sources.items()}
    asked = np.random.default_rng(3).integers(0, EVENTS, PAST_REQUESTS)
    past = Requests(
        log.event_time_us[asked] - HOUR_US,
        {name: log.columns[name][asked] for name in contract.entities},
        {
            name: (log.event_time_us if kind == "time" else log.columns["distance_miles"])[asked]
            for name, kind in contract.inputs.items()
        },
    )
    rate = PAST_REQUESTS / best_s(lambda: point_in_time(contract, logs, past, AsOf()))
    floor = PAST_REQUESTS / best_s(lambda: sorted_once_a_view(contract, log))
    sorting = f"sorting {EVENTS:,} events by entity and time once a view, in numpy"
    must = ("value >= 13,500", rate >= 13_500)
    return [row("store.point_in_time", rate, "vectors/s", (sorting, floor), must)]


def sorted_once_a_view(contract: Contract, log: EventBatch) -> object:
    views = [view for view in contract.views if view.source is log.source]
    return [
        np.lexsort((log.event_time_us, np.unique(view.keys_of(log).astype(str), return_inverse=True)[1]))
        for view in views
    ]


def best_s(measured: Callable[[], object]) -> float:
    took = []
    for _ in range(3):
        start = time.perf_counter()
        measured()
        took.append(time.perf_counter() - start)
    return min(took)

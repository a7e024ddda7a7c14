"""Which form of server costs what: sync gRPC with threads, grpc.aio on two loops, bidirectional streams.

Each as an empty echo and as the least that a score is, at one call and at 32 at once, in turns. Beside rates
and latencies stands the processor time of a call, which other work on the machine moves least.
"""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import redis
from local_stack import LocalStack
from rich.console import Console
from rich.table import Table

from bench.forms_servers import ENTITIES, FORMS, METHODS, row_key
from bench.load import a_second, build_load, drive, write_requests
from bench.placement import APART, UNPINNED, measured_from
from bench.processor import cpu_us_a_call
from bench.rounds import Rounds
from bench.scoring_servers import process_server, score_request, tree_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.figures import Row
    from bench.placement import Placement
    from bench.scoring_servers import Server

ROUNDS: Final = 5
SECONDS: Final = 1.0
CONCURRENCY: Final = 32
REQUESTS: Final = 1_000
DESCRIBED: Final = {
    "sync_4": "sync, 4 threads",
    "sync_16": "sync, 16 threads",
    "aio": "grpc.aio, asyncio",
    "aio_uvloop": "grpc.aio, uvloop",
    "stream": "grpc.aio, uvloop, bidirectional stream",
}


@dataclass(frozen=True, slots=True)
class Form:
    """One form at one work, as it is running."""

    form: str
    work: str
    server: Server
    requests: Path

    @property
    def name(self) -> str:
        """What its figures are called."""
        return f"scoring.forms.{self.form}.{self.work}"


def run() -> list[Row]:
    """Measure the forms on a core of their own, and then with everything on all cores."""
    build_load()
    rows = [
        row
        for placement in (APART, UNPINNED)
        for row in measured_from(placement, partial(measure, placement))
    ]
    console = Console()
    for placement in (APART, UNPINNED):
        console.print(table(rows, placement))
    return rows


async def measure(placement: Placement) -> list[Row]:
    """Start every form, and call them in turns."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asked = [score_request(number) for number in range(REQUESTS)]
        requests = {
            "echo": write_requests(folder / "empty.bin", [b""]),
            "score": write_requests(folder / "one.bin", asked),
        }
        graph, _ = tree_model(seed=0)
        (folder / "model.onnx").write_bytes(graph)
        async with LocalStack(folder / "stack", kafka=None) as stack, AsyncExitStack() as servers:
            await asyncio.to_thread(fill, stack.redis_url, asked)
            environment = {"FORM_REDIS_URL": stack.redis_url, "FORM_MODEL": str(folder / "model.onnx")}
            forms = []
            for form in FORMS:
                started = process_server(
                    folder, ["bench.forms_servers", form], r"form on (\d+)", environment, placement.server
                )
                server = await servers.enter_async_context(started)
                forms += [Form(form, work, server, requests[work]) for work in METHODS]
            return await asyncio.to_thread(in_turns, forms, placement)


def fill(redis_url: str, asked: Sequence[object]) -> None:
    """Write four numbers for every entity that is asked about."""
    random = np.random.default_rng(0)
    keys = {row_key(entity, request.entities[entity]) for request in asked for entity in ENTITIES}  # type: ignore[attr-defined]
    numbers = random.normal(10.0, 20.0, (len(keys), 4)).astype(np.float32)
    with redis.Redis.from_url(redis_url) as client:
        client.mset({key: row.tobytes() for key, row in zip(sorted(keys), numbers, strict=True)})


def in_turns(forms: Sequence[Form], placement: Placement) -> list[Row]:
    """Call each form alone and together, round after round; the first round warms up."""
    rounds = Rounds()
    for number in range(ROUNDS + 1):
        for form in forms:
            for concurrency in (1, CONCURRENCY):
                told, cpu_us = call(form, concurrency, placement)
                if number:
                    value = told["p50_us"] if concurrency == 1 else a_second(told)
                    rounds.add(f"{form.name} {concurrency}", value)
                    rounds.add(f"{form.name} {concurrency} cpu", cpu_us)
    return [row for form in forms for row in rows_of(form, rounds, placement)]


def call(form: Form, concurrency: int, placement: Placement) -> tuple[dict[str, float], float]:
    """Return what the load told, and the server's processor time a call."""
    options = ["-concurrency", str(concurrency), "-seconds", str(SECONDS)]
    if form.form == "stream":
        options.append("-stream")
    return cpu_us_a_call(
        form.server.pid,
        lambda: drive(form.server.address, METHODS[form.work], form.requests, placement.others, *options),
    )


def rows_of(form: Form, rounds: Rounds, placement: Placement) -> list[Row]:
    """Return a form's two figures, each with the processor time of a call."""
    figures = (("p50", 1, "us"), (f"at_{CONCURRENCY}", CONCURRENCY, "1/s"))
    return [
        rounds.alone(
            f"{form.name}_{figure}{placement.suffix}",
            f"{form.name} {concurrency}",
            unit,
            reference=f"{DESCRIBED[form.form]}; "
            f"{rounds.median(f'{form.name} {concurrency} cpu'):.0f} us of processor a call",
        )
        | {"processor_us": rounds.median(f"{form.name} {concurrency} cpu")}
        for figure, concurrency, unit in figures
    ]


def table(rows: Sequence[Row], placement: Placement) -> Table:
    """Return the forms side by side, as docs/performance.md has them."""
    by_name = {row["name"]: row for row in rows}
    columns = [
        f"{work}, {figure}, us of processor"
        for work in METHODS
        for figure in ("p50 us", f"1/s at {CONCURRENCY}")
    ]
    made = Table("form", *columns, title=placement.words())
    for form in FORMS:
        cells = []
        for work in METHODS:
            for figure in ("p50", f"at_{CONCURRENCY}"):
                row = by_name[f"scoring.forms.{form}.{work}_{figure}{placement.suffix}"]
                cells.append(f"{row['value']:,.0f}, {row['processor_us']:.0f}")
        made.add_row(DESCRIBED[form], *cells)
    return made

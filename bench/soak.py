"""Ten minutes of half of what one process can do: nothing fails, memory does not grow, the tail stays."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil
from local_stack import LocalStack

from bench.load import a_second, build_load, drive, write_requests
from bench.scoring import CONCURRENCY, REQUESTS, SCORE
from bench.scoring_servers import OTHER_CORES, on_other_cores, score_request, scoring_server
from bench.store_events import Row, row

if TYPE_CHECKING:
    from bench.scoring_servers import Server

MINUTES: Final = 10
CALLERS: Final = 200
MOST_GROWTH: Final = 1.02
MOST_TAIL: Final = 1.3


def run() -> list[Row]:
    """Measure on a stack of its own."""
    build_load()
    return on_other_cores(measure)


async def measure() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with LocalStack(folder / "stack") as stack, scoring_server(folder / "one", stack) as scoring:
            return await asyncio.to_thread(soak, folder, scoring)


def soak(folder: Path, scoring: Server) -> list[Row]:
    """Find what it can do, and ask for half of that; a failed call ends the measurement."""
    requests = write_requests(folder / "one.bin", [score_request(number) for number in range(REQUESTS)])
    process = psutil.Process(scoring.pid)

    def call(*options: str) -> dict[str, Any]:
        return drive(scoring.address, SCORE, requests, OTHER_CORES, *options)

    half = a_second(call("-concurrency", str(CONCURRENCY), "-seconds", "10")) / 2
    steady = ("-concurrency", str(CALLERS), "-rate", str(half))
    call(*steady, "-seconds", "30")
    before_mb = process.memory_info().rss / 1e6
    told = call(*steady, "-seconds", str(60 * MINUTES))
    after_mb = process.memory_info().rss / 1e6
    first_ms, last_ms = (told[f"p99_of_{part}_tenth_us"] / 1000 for part in ("first", "last"))
    growth, tail = after_mb / before_mb, last_ms / first_ms
    return [
        row(
            "soak.memory",
            after_mb,
            "MB",
            (f"before {told['calls']:,} calls", before_mb),
            (f"ratio <= {MOST_GROWTH:g}", growth <= MOST_GROWTH),
        ),
        row(
            "soak.p99_of_last_minute",
            last_ms,
            "ms",
            (f"first minute, {half:.0f} calls/s", first_ms),
            (f"ratio <= {MOST_TAIL:g}", tail <= MOST_TAIL),
        ),
    ]

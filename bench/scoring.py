"""Scoring as a caller sees it, against an empty echo of the same server type, in the same run.

Model: a hundred trees over sixteen features in four rows of Redis; every prediction is logged on Kafka. What
is claimed is claimed of the server on a core of its own; the same figures with every process on all cores are
told beside it, under names that end in `.unpinned`.
"""

from __future__ import annotations

import asyncio
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil
from local_stack import LocalStack

from bench import forms, scoring_batch, streaming
from bench.figures import Claim, measured
from bench.load import build_load, drive, write_requests
from bench.placement import APART, UNPINNED, measured_from
from bench.scoring_calls import CONCURRENCY, REQUESTS, ROUNDS, SCORE, Subject, measure_calls
from bench.scoring_peers import measure_peers
from bench.scoring_project import MODELS
from bench.scoring_servers import echo_server, prepared, replica, score_request, scoring_server

if TYPE_CHECKING:
    from bench.figures import Row
    from bench.placement import Placement
    from bench.scoring_servers import Server

MEMORY: Final = Claim("<", 600)


def run() -> list[Row]:
    """Measure everything on stacks of its own."""
    build_load()
    return [
        *measured_from(APART, partial(calls, APART)),
        *measured_from(UNPINNED, partial(calls, UNPINNED)),
        *measured_from(APART, memory),
        *forms.run(),
        *streaming.run(),
        *scoring_batch.measure(),
    ]


async def calls(placement: Placement) -> list[Row]:
    """Measure calls of one process against an echo and against peers."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with (
            LocalStack(folder / "stack") as stack,
            echo_server(folder, placement.server) as echo,
            scoring_server(folder / "one", stack, placement.server) as scoring,
        ):
            subject = Subject(folder, placement, echo, scoring, stack.kafka_bootstrap)
            rows = await asyncio.to_thread(measure_calls, subject)
            return [*rows, *await asyncio.to_thread(measure_peers, subject)]


async def memory() -> list[Row]:
    """Measure what one process with many models holds once each has answered, in so many starts of it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        requests = [score_request(number, f"sixteen-{number % MODELS}") for number in range(REQUESTS)]
        told = write_requests(folder / "many.bin", requests)
        async with LocalStack(folder / "stack") as stack:
            packages = await prepared(folder, stack, models=MODELS)
            held_mb = []
            for number in range(ROUNDS):
                async with replica(folder / str(number), stack, packages, APART.server) as scoring:
                    held_mb.append(await asyncio.to_thread(resident_mb, scoring, told))
    words = f"resident, ready, each of {MODELS} models asked; {ROUNDS} starts"
    return [measured(f"scoring.memory_of_{MODELS}_models", held_mb, "MB", MEMORY, words)]


def resident_mb(scoring: Server, requests: Path) -> float:
    """Ask every model, and return what the process holds then."""
    drive(scoring.address, SCORE, requests, APART.others, "-concurrency", str(CONCURRENCY), "-seconds", "5")
    return float(psutil.Process(scoring.pid).memory_info().rss / 1e6)

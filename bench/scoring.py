"""Scoring as a caller sees it, against an empty echo of the same server type, in the same run.

Model: a hundred trees over sixteen features in four rows of Redis; every prediction is logged on Kafka.
Rounds of ours and of the floor take turns; a figure is the median of its rounds, a ratio the median of the
rounds' ratios, and the spread of both is told.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil
from bus.ends import TopicEnds
from bus.topics import PREDICTIONS_MADE
from local_stack import LocalStack
from tidemark.scoring.v1 import scoring_service_pb2 as pb

from bench import scoring_batch, streaming
from bench.load import a_second, build_load, drive, write_requests
from bench.rounds import Rounds
from bench.scoring_peers import measure_peers
from bench.scoring_project import MODELS
from bench.scoring_servers import (
    ECHO,
    OTHER_CORES,
    echo_server,
    on_other_cores,
    score_request,
    scoring_server,
)
from bench.store_events import Row, row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.load import Told
    from bench.scoring_servers import Server

SCORE, BATCH, STREAM = (
    f"/tidemark.scoring.v1.ScoringService/{name}" for name in ("Score", "ScoreBatch", "ScoreStream")
)
ROUNDS: Final = 5
SECONDS: Final = 2.0
CONCURRENCY: Final = 32
ROWS: Final = 256
REQUESTS: Final = 2_000
MEMORY_MB: Final = 600
SETTLED_S: Final = 0.3


def run() -> list[Row]:
    """Measure everything on stacks of its own."""
    build_load()
    return [*on_other_cores(measure), *streaming.run(), *scoring_batch.measure()]


async def measure() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with (
            LocalStack(folder / "stack") as stack,
            echo_server(folder) as echo,
            scoring_server(folder / "one", stack) as scoring,
        ):
            rows = await asyncio.to_thread(against_echo, folder, echo, scoring, stack.kafka_bootstrap)
        async with (
            LocalStack(folder / "stack-of-many") as stack,
            scoring_server(folder / "many", stack, models=MODELS) as scoring,
        ):
            return [*rows, memory(scoring)]


def against_echo(folder: Path, echo: Server, scoring: Server, kafka: str) -> list[Row]:
    """Measure calls alone and together, batches and streams of them, and the tail at half the load."""
    one = write_requests(folder / "one.bin", [score_request(number) for number in range(REQUESTS)])
    empty = write_requests(folder / "empty.bin", [b""])
    many = write_requests(folder / "many.bin", of_many(pb.ScoreBatchRequest))
    streamed = write_requests(folder / "streamed.bin", of_many(pb.ScoreStreamRequest))

    def call(server: Server, method: str, requests: Path, concurrency: int, *options: str) -> Told:
        return drive(
            server.address,
            method,
            requests,
            OTHER_CORES,
            "-concurrency",
            str(concurrency),
            "-seconds",
            str(SECONDS),
            *options,
        )

    for server, method, requests in ((echo, ECHO, empty), (scoring, SCORE, one), (scoring, BATCH, many)):
        call(server, method, requests, CONCURRENCY if requests is not many else 2)
    rounds = Rounds()
    for _ in range(ROUNDS):
        # What is still to be logged of one measurement would disturb the next.
        settled(kafka)
        rounds.add("empty echo, alone", call(echo, ECHO, empty, 1)["p50_us"])
        rounds.add("score, alone", call(scoring, SCORE, one, 1)["p50_us"])
        rounds.add(f"empty echo, {CONCURRENCY} at once", a_second(call(echo, ECHO, empty, CONCURRENCY)))
        rounds.add(f"score, {CONCURRENCY} at once", a_second(call(scoring, SCORE, one, CONCURRENCY)))
        for name, method, requests, options in (
            ("batches", BATCH, many, ()),
            ("streams", STREAM, streamed, ("-stream",)),
        ):
            before = settled(kafka)
            told = call(scoring, method, requests, 2, *options)
            rounds.add(f"rows in {name}", ROWS * a_second(told))
            rounds.add(f"rows in {name} that were logged", settled(kafka) - before)
            rounds.add(f"rows in {name} that were asked", ROWS * told["calls"])
    unary = f"score, {CONCURRENCY} at once"
    half = rounds.median(unary) / 2
    settled(kafka)
    calm = call(scoring, SCORE, one, 200, "-rate", str(half), "-seconds", str(5 * SECONDS))
    p99_ms = calm["p99_us"] / 1000
    peers = measure_peers(folder, lambda: call(scoring, SCORE, one, CONCURRENCY), ROUNDS, SECONDS)
    return [
        *peers,
        *(
            rounds.row(
                f"scoring.logged_of_{name}",
                f"rows in {name} that were logged",
                "rows",
                f"rows in {name} that were asked",
            )
            for name in ("batches", "streams")
        ),
        rounds.row(
            "scoring.score_p50",
            "score, alone",
            "us",
            "empty echo, alone",
            ("ratio <= 1.5", lambda ratio: ratio <= 1.5),
        ),
        rounds.row(
            f"scoring.score_at_{CONCURRENCY}",
            unary,
            "1/s",
            f"empty echo, {CONCURRENCY} at once",
            ("ratio >= 0.55", lambda ratio: ratio >= 0.55),
        ),
        rounds.row(
            "scoring.batched_rows",
            "rows in batches",
            "rows/s",
            unary,
            ("ratio >= 10", lambda ratio: ratio >= 10),
        ),
        rounds.row(
            "scoring.streamed_rows",
            "rows in streams",
            "rows/s",
            unary,
            ("ratio >= 10", lambda ratio: ratio >= 10),
        ),
        {
            "name": "scoring.p99_at_half",
            "value": p99_ms,
            "unit": "ms",
            "reference": "calls a second begun, half of what one process does",
            "reference_value": half,
            "ratio": None,
            "must": "value < 10",
            "met": p99_ms < 10,
        },
    ]


def settled(kafka: str) -> int:
    """Return how many predictions are logged, once no more come."""
    logged, before = asyncio.run(predictions(kafka)), -1
    while logged > before:
        time.sleep(SETTLED_S)
        logged, before = asyncio.run(predictions(kafka)), logged
    return logged


async def predictions(kafka: str) -> int:
    ends = TopicEnds(kafka, [PREDICTIONS_MADE.name])
    try:
        return sum((await ends.ask()).values())
    finally:
        await ends.aclose()


def of_many(
    kind: type[pb.ScoreBatchRequest | pb.ScoreStreamRequest],
) -> Sequence[pb.ScoreBatchRequest | pb.ScoreStreamRequest]:
    """Return messages of many requests each."""
    return [
        kind(requests=[score_request(first + number) for number in range(ROWS)])
        for first in range(0, REQUESTS, ROWS)
    ]


def memory(scoring: Server) -> Row:
    """Return what one process with many models holds in memory."""
    held_mb = psutil.Process(scoring.pid).memory_info().rss / 1e6
    return row(
        f"scoring.memory_of_{MODELS}_models",
        held_mb,
        "MB",
        ("resident, ready and warm", MEMORY_MB),
        (f"value < {MEMORY_MB}", held_mb < MEMORY_MB),
    )

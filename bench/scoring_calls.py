"""Calls alone and together, batches and streams of them, and the tail at half the load; ours and an echo's.

Rounds of ours and of the floor take turns; a figure is the median of its rounds, a ratio the median of the
rounds' ratios, and the spread is told with it.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bus.ends import TopicEnds
from bus.topics import PREDICTIONS_MADE
from tidemark.scoring.v1 import scoring_service_pb2 as pb

from bench.figures import Claim
from bench.load import a_second, drive, write_requests
from bench.placement import APART
from bench.rounds import Rounds
from bench.scoring_servers import ECHO, score_request

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.figures import Row
    from bench.load import Told
    from bench.placement import Placement
    from bench.scoring_servers import Server

SCORE, BATCH, STREAM = (
    f"/tidemark.scoring.v1.ScoringService/{name}" for name in ("Score", "ScoreBatch", "ScoreStream")
)
ROUNDS: Final = 5
SECONDS: Final = 2.0
TAIL_SECONDS: Final = 10.0
TAIL_CALLERS: Final = 200
CONCURRENCY: Final = 32
ROWS: Final = 256
REQUESTS: Final = 2_000
SETTLED_S: Final = 0.3

P50: Final = Claim("<=", 1.5, aim=1.25)
RATE: Final = Claim(">=", 0.55, aim=0.75)
MANY: Final = Claim(">=", 10, aim=20)
TAIL_MS: Final = Claim("<", 10, aim=5)


@dataclass(frozen=True, slots=True)
class Subject:
    """The servers that take turns, where they are, and where their predictions are logged."""

    folder: Path
    placement: Placement
    echo: Server
    scoring: Server
    kafka: str

    def call(
        self,
        server: Server,
        method: str,
        requests: Path,
        concurrency: int,
        *options: str,
        seconds: float = SECONDS,
    ) -> Told:
        """Call a server from where the load is."""
        given = ("-concurrency", str(concurrency), "-seconds", str(seconds), *options)
        return drive(server.address, method, requests, self.placement.others, *given)


@dataclass(frozen=True, slots=True)
class Requests:
    """Files of what is sent."""

    one: Path
    empty: Path
    many: Path
    streamed: Path

    @classmethod
    def written(cls, folder: Path) -> Requests:
        """Write them."""
        return cls(
            one=write_requests(folder / "one.bin", [score_request(number) for number in range(REQUESTS)]),
            empty=write_requests(folder / "empty.bin", [b""]),
            many=write_requests(folder / "many.bin", of_many(pb.ScoreBatchRequest)),
            streamed=write_requests(folder / "streamed.bin", of_many(pb.ScoreStreamRequest)),
        )


def measure_calls(subject: Subject) -> list[Row]:
    """Measure in rounds that take turns; only where the server has its own core is anything claimed."""
    requests, rounds = Requests.written(subject.folder), Rounds()
    warm_up(subject, requests)
    for _ in range(ROUNDS):
        add_round(subject, requests, rounds)
    half = rounds.median(OURS) / 2
    for _ in range(ROUNDS):
        settled(subject.kafka)
        calm = subject.call(
            subject.scoring, SCORE, requests.one, TAIL_CALLERS, "-rate", str(half), seconds=TAIL_SECONDS
        )
        rounds.add("tail", calm["p99_us"] / 1000)
    return rows(rounds, half, subject.placement)


OURS: Final = f"score, {CONCURRENCY} at once"
FLOOR: Final = f"empty echo, {CONCURRENCY} at once"
OURS_ALONE, FLOOR_ALONE = "score, alone", "empty echo, alone"


def warm_up(subject: Subject, requests: Requests) -> None:
    """Call everything once."""
    subject.call(subject.echo, ECHO, requests.empty, CONCURRENCY)
    subject.call(subject.scoring, SCORE, requests.one, CONCURRENCY)
    subject.call(subject.scoring, BATCH, requests.many, 2)


def add_round(subject: Subject, requests: Requests, rounds: Rounds) -> None:
    """Measure everything once, in turns with the echo."""
    # What is still to be logged of one measurement would disturb the next.
    settled(subject.kafka)
    rounds.add(FLOOR_ALONE, subject.call(subject.echo, ECHO, requests.empty, 1)["p50_us"])
    rounds.add(OURS_ALONE, subject.call(subject.scoring, SCORE, requests.one, 1)["p50_us"])
    rounds.add(FLOOR, a_second(subject.call(subject.echo, ECHO, requests.empty, CONCURRENCY)))
    rounds.add(OURS, a_second(subject.call(subject.scoring, SCORE, requests.one, CONCURRENCY)))
    for name, method, file, options in (
        ("batches", BATCH, requests.many, ()),
        ("streams", STREAM, requests.streamed, ("-stream",)),
    ):
        before = settled(subject.kafka)
        told = subject.call(subject.scoring, method, file, 2, *options)
        rounds.add(f"rows in {name}", ROWS * a_second(told))
        rounds.add(f"rows in {name} that were logged", settled(subject.kafka) - before)
        rounds.add(f"rows in {name} that were asked", ROWS * told["calls"])


def rows(rounds: Rounds, half: float, placement: Placement) -> list[Row]:
    """Return the figures of the rounds."""
    after = placement.suffix
    p50, rate, many, tail_ms = (claim if placement == APART else None for claim in (P50, RATE, MANY, TAIL_MS))
    logged = [
        rounds.against(
            f"scoring.logged_of_{name}{after}",
            f"rows in {name} that were logged",
            "rows",
            f"rows in {name} that were asked",
        )
        for name in ("batches", "streams")
    ]
    return [
        *logged,
        rounds.against(f"scoring.score_p50{after}", OURS_ALONE, "us", FLOOR_ALONE, p50),
        rounds.against(f"scoring.score_at_{CONCURRENCY}{after}", OURS, "1/s", FLOOR, rate),
        rounds.against(f"scoring.batched_rows{after}", "rows in batches", "rows/s", OURS, many),
        rounds.against(f"scoring.streamed_rows{after}", "rows in streams", "rows/s", OURS, many),
        rounds.alone(
            f"scoring.p99_at_half{after}",
            "tail",
            "ms",
            tail_ms,
            f"{half:.0f} calls/s begun, half of what one process does; timed from when they were due",
        ),
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

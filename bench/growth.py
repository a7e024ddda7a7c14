"""What a call costs as more are made at once: one process's rate, p50, p99 and processor time; a picture.

The figures are `scoring.growth.at_<calls at once>`; the picture is docs/images/scoring-growth.svg.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from local_stack import LocalStack

from bench.load import a_second, build_load, drive, write_requests
from bench.placement import APART, measured_from
from bench.processor import cpu_us_a_call
from bench.rounds import Rounds
from bench.scoring_calls import REQUESTS, ROUNDS, SCORE, settled
from bench.scoring_servers import score_request, scoring_server

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.figures import Row
    from bench.load import Told
    from bench.scoring_servers import Server

AT_ONCE: Final = (1, 4, 16, 32, 64, 128)
SECONDS: Final = 2.0
PICTURE: Final = Path(__file__).parents[1] / "docs/images/scoring-growth.svg"


def run() -> list[Row]:
    """Measure on a stack of its own, and draw."""
    build_load()
    rows = measured_from(APART, measure)
    draw(rows, PICTURE)
    return rows


async def measure() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with (
            LocalStack(folder / "stack") as stack,
            scoring_server(folder / "one", stack, APART.server) as scoring,
        ):
            return await asyncio.to_thread(in_turns, folder, scoring, stack.kafka_bootstrap)


def in_turns(folder: Path, scoring: Server, kafka: str) -> list[Row]:
    """Call at every concurrency in each round; the first warms up and does not count."""
    requests = write_requests(folder / "one.bin", [score_request(number) for number in range(REQUESTS)])
    rounds = Rounds()
    for number in range(ROUNDS + 1):
        for at_once in AT_ONCE:
            settled(kafka)
            told, cpu_us = cpu_us_a_call(scoring.pid, partial(call, scoring, requests, at_once))
            if number:
                rounds.add(f"rate {at_once}", a_second(told))
                rounds.add(f"p50 {at_once}", told["p50_us"])
                rounds.add(f"p99 {at_once}", told["p99_us"])
                rounds.add(f"cpu {at_once}", cpu_us)
    return [row_of(rounds, at_once) for at_once in AT_ONCE]


def call(scoring: Server, requests: Path, at_once: int) -> Told:
    """Keep so many calls in the air for a while."""
    options = ("-concurrency", str(at_once), "-seconds", str(SECONDS))
    return drive(scoring.address, SCORE, requests, APART.others, *options)


def row_of(rounds: Rounds, at_once: int) -> Row:
    """Return what so many calls at once come to; latencies and processor time are columns of their own."""
    p50_us, p99_us, cpu_us = (
        statistics.median(rounds.values[f"{what} {at_once}"]) for what in ("p50", "p99", "cpu")
    )
    words = f"p50 {p50_us / 1000:.2f} ms, p99 {p99_us / 1000:.2f} ms, {cpu_us:.0f} us of processor a call"
    row = rounds.alone(f"scoring.growth.at_{at_once}", f"rate {at_once}", "1/s", reference=words)
    return row | {"at_once": at_once, "p50_us": p50_us, "p99_us": p99_us, "processor_us": cpu_us}


def draw(rows: Sequence[Row], picture: Path) -> None:
    """Draw rate, latency and processor time over the calls at once, as an SVG whose text is text."""
    # Only who draws needs it, and it takes a second to import.
    import matplotlib as mpl  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    at_once = [row["at_once"] for row in rows]
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "tidemark", "font.size": 9}):
        figure = Figure(figsize=(9, 2.8), layout="constrained")
        rate, latency, processor = figure.subplots(1, 3)
        spread = [[abs(row["value"] - row["spread"][side]) for row in rows] for side in (0, 1)]
        rate.errorbar(
            at_once, [row["value"] for row in rows], yerr=spread, marker="o", markersize=3, capsize=2
        )
        rate.set_title("calls a second")
        for name in ("p50", "p99"):
            latency.plot(at_once, [row[f"{name}_us"] / 1000 for row in rows], "o-", markersize=3, label=name)
        latency.set_title("latency, ms")
        latency.set_yscale("log")
        latency.legend(frameon=False)
        processor.plot(at_once, [row["processor_us"] for row in rows], "o-", markersize=3)
        processor.set_title("processor time a call, us")
        for axes in (rate, processor):
            axes.set_ylim(bottom=0)
        for axes in (rate, latency, processor):
            axes.set_xscale("log", base=2)
            axes.set_xticks(at_once, [str(one) for one in at_once])
            axes.set_xlabel("calls at once")
            axes.spines[["top", "right"]].set_visible(False)
        picture.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(picture, metadata={"Date": None})

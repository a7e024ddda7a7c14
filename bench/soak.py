"""Half of what one process can do, for ten minutes: nothing fails, memory does not grow, the tail stays.

`python -m bench.soak --minutes 30` watches for longer. Memory is told minute by minute, with the slope of the
second half: what grows in the first minutes and stands still afterwards is warming up, the rest is a leak.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from local_stack import LocalStack
from rich.console import Console
from rich.table import Table

from bench.figures import Claim, Row, compared, measured
from bench.load import a_second, build_load, drive, drive_anyway, write_requests
from bench.memory_watch import by_minute, trend_of, watching
from bench.placement import APART, measured_from
from bench.scoring_calls import CONCURRENCY, REQUESTS, SCORE
from bench.scoring_servers import score_request, scoring_server

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.load import Told
    from bench.memory_watch import Minute, Sample, Trend
    from bench.scoring_servers import Server

MINUTES: Final = 10.0
WARM_UP_S: Final = 30.0
CALLERS: Final = 200
EVERY_S: Final = 5.0
# A sixth of what two per cent of 300 MB in ten minutes come to: so short a time does not tell less from none.
TOLERATED_MB_AN_HOUR: Final = 6.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to watch, after how long a warm-up, at what load; no rate is half of what it can do."""

    minutes: float = MINUTES
    warm_up_s: float = WARM_UP_S
    rate: float | None = None


def run() -> list[Row]:
    """Measure on a stack of its own."""
    return soaked(Plan())


def soaked(plan: Plan) -> list[Row]:
    """Measure as planned, and tell the minutes."""
    build_load()
    return measured_from(APART, partial(measure, plan))


async def measure(plan: Plan) -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with (
            LocalStack(folder / "stack") as stack,
            scoring_server(folder / "one", stack, APART.server) as scoring,
        ):
            return await asyncio.to_thread(soak, folder, scoring, plan)


def soak(folder: Path, scoring: Server, plan: Plan) -> list[Row]:
    """Find what it can do, ask for half of that, and watch its memory meanwhile."""
    requests = write_requests(folder / "one.bin", [score_request(number) for number in range(REQUESTS)])
    given = scoring.address, SCORE, requests, APART.others
    rate = plan.rate or a_second(drive(*given, "-concurrency", str(CONCURRENCY), "-seconds", "10")) / 2
    steady = ("-concurrency", str(CALLERS), "-rate", str(rate))
    if plan.warm_up_s:
        drive(*given, *steady, "-seconds", str(plan.warm_up_s))
    with watching(scoring.pid, EVERY_S, report) as samples:
        told = drive_anyway(*given, *steady, "-seconds", str(60 * plan.minutes))
    trend = trend_of(samples, since_s=samples[-1].at_s / 2)
    told_by_minute(Console(), by_minute(samples), told, trend)
    return rows(told, samples, trend, rate)


def report(sample: Sample) -> None:
    """Say where memory is, once a minute."""
    if sample.at_s % 60 < EVERY_S:
        print(
            f"  {sample.at_s / 60:4.0f} min  resident {sample.rss_mb:.1f} MB,"
            f" of it anonymous {sample.anonymous_mb:.1f} MB",
            flush=True,
        )


def rows(told: Told, samples: Sequence[Sample], trend: Trend, rate: float) -> list[Row]:
    """Return the figures; the minutes go with that of memory."""
    minutes = by_minute(samples)
    failed = sum(told["errors"].values())
    first_ms, last_ms = (told[f"p99_of_{part}_tenth_us"] / 1000 for part in ("first", "last"))
    memory = compared(
        "scoring.soak_memory",
        [samples[-1].rss_mb],
        "MB",
        (f"before {told['calls']:,} calls", [samples[0].rss_mb]),
        Claim("<", 1.02),
    )
    return [
        measured(
            "scoring.soak_errors",
            [failed],
            "calls",
            Claim("<=", 0),
            f"of {told['calls']:,} calls; {told['errors']}",
        ),
        memory | {"minutes": [said(minute) for minute in minutes]},
        measured(
            "scoring.soak_memory_trend",
            [trend.mb_an_hour],
            "MB/h",
            reference=f"anonymous memory, second half of the time; 95 % of {trend.low:.1f} to "
            f"{trend.high:.1f}: {trend.says(TOLERATED_MB_AN_HOUR)}",
        ),
        compared(
            "scoring.soak_p99",
            [last_ms],
            "ms",
            (f"the first tenth of the time, {rate:.0f} calls/s", [first_ms]),
            Claim("<=", 1.3),
        )
        | {"p99_us_of_tenths": told["p99_us_of_tenths"]},
    ]


def said(minute: Minute) -> dict[str, Any]:
    """A minute as results keep it."""
    return {name: getattr(minute, name) for name in minute.__slots__}


def told_by_minute(console: Console, minutes: Sequence[Minute], told: Told, trend: Trend) -> None:
    """Print what each minute held, what each tenth's tail was, and what memory does in the second half."""
    table = Table("minute", "resident MB", "anonymous MB", "grown MB", "processor", "threads", "descriptors")
    for minute in minutes:
        table.add_row(
            str(minute.number),
            f"{minute.rss_mb:.1f}",
            f"{minute.anonymous_mb:.1f}",
            f"{minute.grown_mb:+.2f}",
            f"{minute.cpu_share:.0%}",
            str(minute.threads),
            str(minute.files),
        )
    console.print(table)
    tails = ", ".join(f"{p99_us / 1000:.1f}" for p99_us in told["p99_us_of_tenths"])
    console.print(f"p99 of each tenth of the calls: {tails} ms")
    console.print(
        f"second half: {trend.mb_an_hour:+.1f} MB an hour ({trend.low:+.1f} to {trend.high:+.1f}): "
        f"{trend.says(TOLERATED_MB_AN_HOUR)}"
    )


def main(
    minutes: Annotated[float, typer.Option(help="How long to call and watch.")] = MINUTES,
    warm_up_s: Annotated[
        float, typer.Option("--warm-up", help="Seconds of the same load before; 0 to see it warm up.")
    ] = WARM_UP_S,
    rate: Annotated[
        float | None, typer.Option(help="Calls a second; half of what it can do if not given.")
    ] = None,
) -> None:
    """Soak alone, as in: python -m bench.soak --minutes 30 --warm-up 0. Leaves bench/results.json alone."""
    for row in soaked(Plan(minutes, warm_up_s, rate)):
        print(json.dumps({name: value for name, value in row.items() if name != "minutes"}))


if __name__ == "__main__":
    typer.run(main)

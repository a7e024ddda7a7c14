"""Where the time of a score goes: `make flamegraph` samples the real service at 32 calls at once.

Writes docs/images/scoring-flame.svg and prints, of the same raw stacks, each layer's share of the processor
as the table of docs/performance.md. Sampling with native frames slows the service down; shares are what
counts.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from local_stack import LocalStack

from bench.flame_layers import read_stacks, shares
from bench.flame_svg import drawn
from bench.load import a_second, build_load, drive, write_requests
from bench.placement import APART, measured_from
from bench.processor import cpu_us_a_call
from bench.scoring_calls import CONCURRENCY, REQUESTS, SCORE
from bench.scoring_servers import score_request, scoring_server

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.figures import Row
    from bench.scoring_servers import Server

PICTURE: Final = Path(__file__).parents[1] / "docs/images/scoring-flame.svg"
PY_SPY: Final = Path(sys.executable).with_name("py-spy")
WARM_UP_S: Final = 5.0
# The service stands still while its stack is read, some milliseconds with compiled frames: more samples would
# show the pauses.
SAMPLES_A_SECOND: Final = 20


def main(
    seconds: Annotated[float, typer.Option(help="How long to sample.")] = 60.0,
    raw: Annotated[Path | None, typer.Option(help="Keep the raw stacks in this file.")] = None,
    drawing: Annotated[
        Path | None, typer.Option("--draw", help="Draw these raw stacks again; sample nothing.")
    ] = None,
) -> None:
    """Sample, draw and tell, as in: python -m bench.flamegraph --seconds 10."""
    with tempfile.TemporaryDirectory() as name:
        kept = drawing or raw or Path(name) / "stacks.txt"
        if drawing is None:
            build_load()
            measured_from(APART, partial(sample, kept, seconds))
        stacks = read_stacks(kept.read_text(encoding="utf-8").splitlines())
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_text(drawn(stacks), encoding="utf-8")
    print(f"{PICTURE}: {PICTURE.stat().st_size / 1000:.0f} kB, {stacks.total():,} samples")
    print(table(shares(stacks)))


async def sample(raw: Path, seconds: float) -> list[Row]:
    """Drive the service from where the load is, and sample it meanwhile."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with (
            LocalStack(folder / "stack") as stack,
            scoring_server(folder / "one", stack, APART.server) as scoring,
        ):
            await asyncio.to_thread(record, folder, scoring, raw, seconds)
    return []


def record(folder: Path, scoring: Server, raw: Path, seconds: float) -> None:
    """Sample while the load is on, and not while it begins or ends."""
    requests = write_requests(folder / "one.bin", [score_request(number) for number in range(REQUESTS)])
    given = scoring.address, SCORE, requests, APART.others, "-concurrency", str(CONCURRENCY), "-seconds"
    drive(*given, str(WARM_UP_S))
    command = f"record --pid {scoring.pid} --duration {seconds:.0f} --native --function --format raw".split()
    command += ["--rate", str(SAMPLES_A_SECOND), "--output", str(raw)]
    # On the server's core, which is free while the service stands still, it takes nothing from the load.
    pinned = ["taskset", "--cpu-list", ",".join(map(str, sorted(APART.server))), str(PY_SPY)]
    sampling = subprocess.Popen([*pinned, *command], stdout=subprocess.DEVNULL)
    told, cpu_us = cpu_us_a_call(scoring.pid, lambda: drive(*given, str(seconds + WARM_UP_S)))
    if sampling.wait(60):
        raise RuntimeError("py-spy could not sample the service: it needs ptrace (root, or ptrace_scope 0)")
    print(f"{a_second(told):,.0f} calls/s while sampled, {cpu_us:.0f} us of processor a call")


def table(of_layers: Mapping[str, float]) -> str:
    """Return the shares as the table in docs/performance.md."""
    lines = [f"| {name} | {share:.1%} |" for name, share in of_layers.items()]
    return "\n".join(["| layer | share of the processor's time |", "|---|---|", *lines])


if __name__ == "__main__":
    typer.run(main)

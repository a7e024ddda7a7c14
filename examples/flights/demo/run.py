"""Runs the demo, writes its two files and prints its summary."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from typing import TYPE_CHECKING, Any

from feature_store import load_project
from rich.table import Table
from tidemark_cli.demo import DemoOutcome

from examples.flights.demo.lake import Lake
from examples.flights.demo.options import DemoOptions
from examples.flights.demo.report import write_report
from examples.flights.demo.story import Story
from examples.flights.demo.summary import tell

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rich.console import Console
    from tidemark_cli.demo import DemoRequest, Hold

    from examples.flights.demo.chronicle import Chronicle
    from examples.flights.demo.journal import Journal
    from examples.flights.demo.story import OnTick

_REMAINS = (
    "lake",
    "packages",
    "work",
    "logs",
    "stack",
    "control_plane.db",
    "control_plane.db-wal",
    "control_plane.db-shm",
)


async def live(request: DemoRequest, console: Console) -> DemoOutcome:
    """Lives the demo as the command line asks; see `tidemark_cli.demo.contract.Live`."""
    usual = DemoOptions()
    options = DemoOptions(
        folder=request.folder,
        live_from=request.live_from or usual.live_from,
        live_to=request.live_to or usual.live_to,
        tick=usual.tick if request.tick is None else request.tick,
        speed=request.speed,
    )
    return await run(options, console, hold=request.hold)


async def run(
    options: DemoOptions, console: Console, *, hold: Hold | None = None, on_tick: OnTick | None = None
) -> DemoOutcome:
    """Lives the demo; `<folder>/summary.json` and `<folder>/report.html` are written, the summary is printed.

    However it ends, cancelled included, nothing it started is left running.

    Args:
        options: What to live.
        console: Who watches.
        hold: Awaited with everything still running, before anything is stopped.
        on_tick: Called after every tick lived.

    Raises:
        local_stack.StackError: Kafka or Valkey could not be started.
        tidemark_cli.platform.PlatformError: A service died or was not ready; the message quotes its log.
    """
    started = time.monotonic()
    _clear(options.folder)
    outcome: DemoOutcome | None = None

    async def conclude(journal: Journal, chronicle: Chronicle, environment: Mapping[str, str]) -> None:
        nonlocal outcome
        outcome = await asyncio.to_thread(_conclude, options, journal, chronicle, started)
        show(outcome.summary, options.folder, console)
        if hold is not None:
            await hold(outcome, environment)

    await Story(options, console, conclude, on_tick).run()
    assert outcome is not None
    return outcome


def _conclude(options: DemoOptions, journal: Journal, chronicle: Chronicle, started: float) -> DemoOutcome:
    lake, project = Lake(options.folder / "lake"), load_project(options.project)
    story = tell(options, journal, chronicle, project, lake, wall_seconds=time.monotonic() - started)
    summary = dict(story.summary)
    (options.folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    write_report(story, options.folder / "report.html")
    return DemoOutcome(summary, promises_kept(summary))


def show(summary: Mapping[str, Any], folder: Path, console: Console) -> None:
    """Prints the summary as a person reads it."""
    table = Table(show_header=False, box=None, padding=(0, 2))
    for label, text in _lines(summary):
        table.add_row(label, text)
    console.print()
    console.print(table)
    console.print(f"\nreport   {folder / 'report.html'}\nsummary  {folder / 'summary.json'}")


def promises_kept(summary: Mapping[str, Any]) -> bool:
    """Whether the run held what does not depend on the data: nothing lost, nothing twice, no skew."""
    return all(summary[name] == 0 for name in ("lost_events", "duplicate_predictions", "skew_mismatches"))


def _lines(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    def auc(name: str) -> str:
        return "undefined" if told[name] is None else f"{told[name]:.3f}"

    def zero(name: str) -> str:
        return f"[green]{told[name]}[/]" if told[name] == 0 else f"[bold red]{told[name]}[/]"

    events = f"{told['events_published']:,} published   {told['events_rejected']:,} rejected"
    aucs = f"champion {auc('auc_champion')}   challenger {auc('auc_challenger')}"
    return [
        ("flights scored", f"{told['flights_scored']:,}"),
        ("outcomes joined", f"{told['outcomes_joined']:,}, {told['label_coverage']:.1%} of those that exist"),
        ("ROC AUC", f"{aucs}   hour of day {auc('auc_baseline')}"),
        ("events", f"{events}   {told['events_per_second']:,.0f} a second while living"),
        ("lost events", zero("lost_events")),
        ("duplicate predictions", zero("duplicate_predictions")),
        ("served ≠ recomputed", f"{zero('skew_mismatches')} of {told['vectors_compared']:,} vectors"),
        (
            "consistency",
            f"{zero('consistency_differences')} differences in {told['consistency_sampled']:,} vectors",
        ),
        ("freshness gap p99", f"{told['freshness_gap_p99_s']:.0f} s of event time"),
        ("Score", f"p50 {told['score_p50_ms']:.2f} ms   p99 {told['score_p99_ms']:.2f} ms for its caller"),
        ("took", f"{told['wall_seconds']:.0f} s"),
    ]


def _clear(folder: Path) -> None:
    for name in _REMAINS:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)

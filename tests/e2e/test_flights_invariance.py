"""The same flights give the same figures: whatever is killed, however fast they come, however partitioned."""

from __future__ import annotations

import asyncio
import io
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from rich.console import Console

from examples.flights.demo.lake import Lake
from examples.flights.demo.options import DemoOptions
from examples.flights.demo.rollback import LOAD
from examples.flights.demo.run import run
from examples.flights.demo.summary import frozen

if TYPE_CHECKING:
    from pathlib import Path

    from local_stack import LocalStack
    from tidemark_cli.platform import Platform

    from examples.flights.demo.story import OnTick
    from examples.flights.replay import Lived

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

TICK = timedelta(minutes=15)
LEARN, LIVE, END = (datetime(2013, 1, day, tzinfo=UTC) for day in (1, 8, 10))


class Run:
    """A short life of the whole platform and what it left."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.options = DemoOptions(
            folder=folder, learn_from=LEARN, live_from=LIVE, live_to=END, tick=TICK, **options
        )

    async def live(self, on_tick: OnTick | None = None) -> Run:
        outcome = await run(self.options, Console(file=io.StringIO()), on_tick=on_tick)
        self.summary = dict(outcome.summary)
        self.predictions = (
            Lake(self.options.folder / "lake")
            .frame("predictions_made")
            .filter(~pl.col("prediction_id").str.starts_with(LOAD))
            .select("prediction_id", "score", "features__values", "features__statuses")
            .sort("prediction_id")
        )
        return self

    @property
    def figures(self) -> dict[str, Any]:
        """Every final figure but the versions: a snapshot has the lake's commits."""
        return {name: value for name, value in frozen(self.summary).items() if name != "versions"}


class Killer:
    """Kills a process outright at each of some ticks and starts it again while the run goes on."""

    def __init__(self, victims: dict[int, str]) -> None:
        self._victims = victims
        self._ticks = 0
        self._restarts: list[asyncio.Task[object]] = []
        self.killed: list[str] = []

    async def __call__(self, _: Lived, platform: Platform, _stack: LocalStack) -> None:
        self._ticks += 1
        victim = self._victims.get(self._ticks)
        if victim is not None:
            self._restarts.append(asyncio.ensure_future(self._kill(platform, victim)))

    async def _kill(self, platform: Platform, victim: str) -> None:
        await platform.kill(victim)
        self.killed.append(victim)
        await platform.restart(victim)


@pytest.fixture(scope="module")
async def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return await Run(tmp_path_factory.mktemp("undisturbed")).live()


async def test_an_undisturbed_run_keeps_its_promises(undisturbed: Run) -> None:
    figures = undisturbed.figures

    assert figures["flights_scored"] > 1_500
    assert figures["lost_events"] == 0
    assert figures["duplicate_predictions"] == 0
    assert figures["skew_mismatches"] == 0
    assert figures["vectors_compared"] == figures["flights_scored"]
    assert figures["label_coverage"] == 1
    assert (undisturbed.options.folder / "report.html").read_text().count("<svg") == 10


async def test_kill_9_of_any_consumer_changes_no_figure(undisturbed: Run, tmp_path: Path) -> None:
    killer = Killer(
        {20: "feature-1", 45: "archiver", 70: "shadow-comparator", 95: "feature-2", 120: "archiver"}
    )

    disturbed = await Run(tmp_path, features=2).live(killer)

    assert sorted(killer.killed) == ["archiver", "archiver", "feature-1", "feature-2", "shadow-comparator"]
    assert disturbed.figures == undisturbed.figures
    assert_frames_equal(disturbed.predictions, undisturbed.predictions)


async def test_another_speed_and_other_partitions_change_no_figure(undisturbed: Run, tmp_path: Path) -> None:
    paced = await Run(tmp_path, speed=15_000.0, partitions=7).live()

    assert paced.figures == undisturbed.figures
    assert_frames_equal(paced.predictions, undisturbed.predictions)


def assert_frames_equal(one: pl.DataFrame, other: pl.DataFrame) -> None:
    differing = one.join(other, on=one.columns, how="anti")
    assert one.height == other.height
    assert differing.is_empty(), differing

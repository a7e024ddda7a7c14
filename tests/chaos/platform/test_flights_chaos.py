"""The whole loop under attack: every service killed outright, the broker gone, the store frozen."""

from __future__ import annotations

import asyncio
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
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
    from collections.abc import Awaitable, Callable, Mapping

    from local_stack import LocalStack
    from tidemark_cli.platform import Platform

    from examples.flights.replay import Lived

    Harm = Callable[[Platform, LocalStack], Awaitable[None]]

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

LEARN, LIVE, END = (datetime(2013, 1, day, tzinfo=UTC) for day in (1, 10, 15))
KIT = Path(__file__).parent / "kit"
PLAN = {"shadow_windows": 1, "canary_basis_points": [2000], "step_windows": 1, "guard_windows": 1}
SERVICES = (
    *("feature-1", "feature-2", "archiver", "inference", "inference-shadow", "shadow-comparator"),
    *("drift-detector", "retrain-trigger", "trainer", "control-plane"),
)
BROKER_SECONDS, STORE_SECONDS = 20, 5


class Outcome:
    """What a run left: its figures, its predictions, and what was said of the loop."""

    def __init__(self, folder: Path, summary: Mapping[str, Any]) -> None:
        self.summary = summary
        lake = Lake(folder / "lake")
        columns = ("prediction_id", "features__values", "features__statuses")
        made = lake.frame("predictions_made").filter(~pl.col("prediction_id").str.starts_with(LOAD))
        self.predictions = made.select(columns).unique("prediction_id")

    @property
    def figures(self) -> dict[str, Any]:
        """Every final figure but names: versions are called after snapshots of the lake."""
        return {name: value for name, value in frozen(self.summary).items() if name != "versions"}


async def live(folder: Path, on_tick: Any = None) -> Outcome:
    # An answer that waits for its record waits longer than the broker is away.
    settings = {"PYTHONPATH": str(KIT), "DURABLE_DEADLINE_MS": "60000"}
    options = DemoOptions(
        folder=folder,
        learn_from=LEARN,
        live_from=LIVE,
        live_to=END,
        tick=timedelta(minutes=15),
        features=2,
        project="hasty_flights",
        settings=settings,
        plan=PLAN,
        fault=None,
        call_seconds=120.0,
    )
    outcome = await run(options, Console(file=io.StringIO()), on_tick=on_tick)
    return Outcome(folder, outcome.summary)


class Attack:
    """Does its harm at ticks of its own, while life goes on."""

    def __init__(self, harms: Mapping[int, Harm]) -> None:
        self._harms = harms
        self._ticks = 0
        self._running: list[asyncio.Task[None]] = []

    async def __call__(self, _: Lived, platform: Platform, stack: LocalStack) -> None:
        self._ticks += 1
        if self._ticks in self._harms:
            self._running.append(asyncio.ensure_future(self._harms[self._ticks](platform, stack)))

    async def done(self) -> int:
        """Raises what any of them raised; says how many there were."""
        return len(await asyncio.gather(*self._running))


def killed(name: str) -> Harm:
    async def kill(platform: Platform, _: LocalStack) -> None:
        await platform.kill(name)
        await platform.restart(name)

    return kill


async def without_broker(_: Platform, stack: LocalStack) -> None:
    stack.kafka.kill()
    await asyncio.sleep(BROKER_SECONDS)
    await stack.kafka.start()


async def with_frozen_store(_: Platform, stack: LocalStack) -> None:
    stack.valkey.pause()
    await asyncio.sleep(STORE_SECONDS)
    stack.valkey.resume()


async def test_kills_an_outage_and_a_frozen_store_change_no_figure(tmp_path: Path) -> None:
    quiet = await live(tmp_path / "quiet")
    # Some 350 ticks have a question to ask.
    kills = {40 + 24 * at: killed(name) for at, name in enumerate(SERVICES)}
    attack = Attack({**kills, 280: without_broker, 310: with_frozen_store})

    harmed = await live(tmp_path / "harmed", attack)

    assert await attack.done() == len(SERVICES) + 2
    assert quiet.summary["retrain_requests"] >= 1
    assert quiet.summary["retrain_approvals"] >= 1
    assert quiet.summary["rollback_replicas"] == 3
    assert quiet.summary["failed_requests_during_rollback"] == 0
    assert quiet.summary["lost_events"] == quiet.summary["duplicate_predictions"] == 0
    assert harmed.figures == quiet.figures
    assert_frames_equal(harmed.predictions, quiet.predictions)


def assert_frames_equal(one: pl.DataFrame, other: pl.DataFrame) -> None:
    differing = one.join(other, on=one.columns, how="anti")
    assert one.height == other.height
    assert differing.is_empty(), differing

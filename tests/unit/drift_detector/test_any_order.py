"""Whatever the partitions, batches, speed and crashes: the same measurements."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest
from drift_detector.testing import MemoryFrontier, Scene
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

    from bus.positions import TopicPartition
    from drift_detector.testing import Process
    from tidemark.monitoring.v1.monitor_pb2 import MonitorMeasured

    from tests.unit.drift_detector.conftest import History


@dataclass
class _HistoricFrontier(MemoryFrontier):
    """Knows where a history ends, and which outcomes are in."""

    history: History | None = None
    read: dict[TopicPartition, int] = field(default_factory=dict)

    async def labels_up_to(self, boundary_us: int) -> int:
        assert self.history is not None
        return self.history.labels_up_to(boundary_us, self.read)


def _scene(history: History) -> Scene:
    frontier = _HistoricFrontier(dict(history.ends), history=history)
    return Scene(frontier=frontier, count=history.partitions)


async def _live(history: History, seed: int) -> Scene:
    """Feed a history in random pieces, with crashes and looks in between."""
    generator, scene = np.random.default_rng(seed), _scene(history)
    process = scene.process()
    at = await process.own()
    while any(at[where] < end for where, end in history.ends.items()):
        open_ones = [where for where, end in sorted(history.ends.items()) if at[where] < end]
        where = open_ones[generator.integers(len(open_ones))]
        size = int(generator.integers(1, 200))
        await process.take(*history.by_partition[where][at[where] : at[where] + size])
        at[where] = min(at[where] + size, history.ends[where])
        at, process = await _maybe_crash(scene, process, at, generator.random())
        scene.frontier.read.update(at)  # type: ignore[attr-defined]
        if generator.random() < 0.3:
            await process.look()
    for _ in range(2):
        await process.look()
    return scene


async def _maybe_crash(
    scene: Scene, process: Process, at: dict[TopicPartition, int], chance: float
) -> tuple[dict[TopicPartition, int], Process]:
    if chance > 0.15:
        return at, process
    fresh = scene.process()
    return await fresh.own(), fresh


async def _quiet(history: History) -> Scene:
    scene = _scene(history)
    process = scene.process()
    await process.own()
    for where, facts in history.by_partition.items():
        await process.take(*facts)
        scene.frontier.read[where] = len(facts)  # type: ignore[attr-defined]
    await process.look()
    return scene


def _by_id(measured: list[MonitorMeasured]) -> dict[tuple[str, int, int], MonitorMeasured]:
    return {(one.monitor, one.window_start.seconds, one.revision): one for one in measured}


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), partitions=st.sampled_from([1, 2, 3]))
async def test_partitions_batches_speed_and_crashes_change_no_measurement(
    history_in: Callable[[int], History], seed: int, partitions: int
) -> None:
    expected = await _quiet(history_in(1))
    found = await _live(history_in(partitions), seed)
    assert _by_id(found.measured) == _by_id(expected.measured)
    assert [one.monitor for one in found.measured if not one.HasField("label_coverage")] == [
        one.monitor for one in expected.measured if not one.HasField("label_coverage")
    ]


async def test_the_history_has_something_of_everything(history_in: Callable[[int], History]) -> None:
    scene = await _quiet(history_in(1))
    told = {(one.monitor, one.amends) for one in scene.measured}
    assert {"input-quality", "input-drift", "score-drift", "label-drift", "quality", "error-stream"} == {
        monitor for monitor, _ in told
    }
    assert ("quality", True) in told


@pytest.mark.parametrize("partitions", [1, 3])
async def test_two_processes_that_hold_one_partition_for_a_while_count_it_once(
    history_in: Callable[[int], History], partitions: int
) -> None:
    history = history_in(partitions)
    expected, scene = await _quiet(history_in(1)), _scene(history)
    old, new = scene.process(), scene.process()
    await old.own()
    await new.own()
    for where, facts in history.by_partition.items():
        for begin in range(0, len(facts), 40):
            # Each is given what the other had, and a little more.
            await old.take(*facts[max(0, begin - 40) : begin + 20])
            await new.take(*facts[max(0, begin - 10) : begin + 40])
        scene.frontier.read[where] = len(facts)  # type: ignore[attr-defined]
    await new.look()
    assert _by_id(scene.measured) == _by_id(expected.measured)

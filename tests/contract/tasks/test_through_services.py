"""A model's answers and outcomes, from the comparator through whoever reads what it tells."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from archiver.adapters.platform import PlatformKeeper
from bus.positions import TopicPartition
from bus.received import Received
from bus.topics import PREDICTIONS_RESOLVED, VARIANTS_COMPARED
from control_plane.adapters import wire as control_plane
from drift_detector.adapters import wire as detector
from drift_detector.domain.class_outcomes import ClassQuality
from drift_detector.domain.shares import Rules
from drift_detector.domain.value_outcomes import ValueQuality
from shadow_comparator.domain.tasks import ModelRules, Task
from shadow_comparator.testing import POLICIES, TOPICS, World, outcome, prediction
from tidemark.scoring.v1.output_pb2 import Output

if TYPE_CHECKING:
    from bus.events import Event
    from drift_detector.domain.quality import Quality

ROW = np.array([0.7, 0.2, 0.1], np.float32)
OUTPUT = Output(name="probabilities", datatype="FP32", shape=[3], values=ROW.tobytes())
EMBEDDING = Output(name="embedding", datatype="FP32", shape=[2], values=np.array([3, 4], "<f4").tobytes())
CASES = [
    (ModelRules(Task.REGRESSION, label="late"), ValueQuality(), -12.5, -10.0, [], ["rmse", "mae", "bias"]),
    (
        ModelRules(Task.MULTICLASS, classes=3, label="late"),
        ClassQuality(("a", "b", "c")),
        float(ROW.max()),
        1.0,
        [OUTPUT],
        ["log_loss", "accuracy"],
    ),
    (ModelRules(Task.RANKING, label="late"), None, 41.5, 2.0, [], []),
    (ModelRules(Task.EMBEDDING, label="late"), None, 5.0, 0.0, [EMBEDDING], []),
]


async def _told(rules: ModelRules, score: float, truth: float, outputs: list[Output]) -> tuple[Event, Event]:
    """What is told of one request and of its window."""
    world = World(policies=replace(POLICIES, models={"delay": rules}))
    process, partitions = world.process(), [TopicPartition(topic, 0) for topic in TOPICS.inputs]
    world.ends.update(dict.fromkeys(partitions, 0))
    await process.joining.resume_from(partitions)
    given: dict[str, Any] = {"score": score, "outputs": outputs, "segment": "big"}
    facts = prediction("k", **given), prediction("k", shadow=True, **given), outcome("k", truth)
    assert await process.take(*facts, prediction("later", hours=24.0, score=0.5)) == []
    await process.watching.look()
    return world.log.events(TOPICS.resolved)[0], world.log.events(TOPICS.compared)[-1]


@pytest.mark.parametrize(
    ("rules", "quality", "score", "truth", "outputs", "figures"),
    CASES,
    ids=lambda one: getattr(one, "task", ""),
)
async def test_what_the_comparator_tells_is_read_by_every_service(
    rules: ModelRules,
    quality: Quality | None,
    score: float,
    truth: float,
    outputs: list[Output],
    figures: list[str],
) -> None:
    resolved, compared = await _told(rules, score, truth, outputs)

    read = detector.resolved_of(resolved, {"delay": Rules(1, quality)})
    assert read is not None
    assert (read.score, read.outcome, read.segment) == (score, truth, "big")
    assert read.probabilities == (tuple(ROW.astype(np.float64)) if rules.task is Task.MULTICLASS else ())

    judged = control_plane.comparison_of(compared)
    assert [name for name, _ in judged.champion_quality.figures] == figures
    assert (judged.verdict.value == "UNDEFINED") is not rules.task.is_judged

    for topic, event in ((PREDICTIONS_RESOLVED, resolved), (VARIANTS_COMPARED, compared)):
        kept = PlatformKeeper(topic).keep([Received(topic.name, 0, 0, event)])
        assert (kept.rejections, kept.rows.num_rows) == ([], 1)

"""Lineage, as an OpenLineage client reads it."""

import json
from collections.abc import Callable
from typing import Any

from feature_store import Project
from training_sets import Manifest, Period, build
from training_sets.lineage import lineage_of, lineage_of_training, to_json
from training_sets.memory import MemoryEvents

MODEL = "shop-purchase"
PERIOD = Period(None, 1_356_998_400_000_000 + 20 * 3_600_000_000)


def told(project: Project, lake: MemoryEvents) -> tuple[Manifest, list[dict[str, Any]]]:
    spec = project.models[MODEL]
    kept = Manifest.of(build(project, spec, PERIOD, lake), project, spec, PERIOD, created_us=7)
    views = project.contract(MODEL).views
    events = [*lineage_of(kept, views, lake="s3://lake", kafka="broker:9092")]
    events.append(lineage_of_training(MODEL, "v1", kept.snapshot, lake="s3://lake", at_us=PERIOD.until_us))
    return kept, [json.loads(to_json(event)) for event in events]


def test_every_topic_can_be_followed_to_the_model(
    project: Project, make_lake: Callable[..., MemoryEvents]
) -> None:
    kept, events = told(project, make_lake())
    made_from = {
        (out["namespace"], out["name"]): {(one["namespace"], one["name"]) for one in event["inputs"]}
        for event in events
        for out in event["outputs"]
    }
    reached, ahead = set(), {("tidemark://models", "v1")}
    while ahead:
        reached |= ahead
        ahead = {before for one in ahead for before in made_from.get(one, set())} - reached
    assert {("kafka://broker:9092", topic) for topic in kept.sources} <= reached
    assert {name for space, name in reached if space == "tidemark://features"} == {
        view.name for view in project.contract(MODEL).views
    }
    assert {event["eventType"] for event in events} == {"COMPLETE"}


def test_a_run_told_again_is_the_same_run(project: Project, make_lake: Callable[..., MemoryEvents]) -> None:
    (_, first), (_, again) = told(project, make_lake()), told(project, make_lake())
    assert [one["run"]["runId"] for one in first] == [one["run"]["runId"] for one in again]
    (_, other) = told(project, make_lake(100))
    assert first[0]["run"]["runId"] != other[0]["run"]["runId"]

"""Lineage names what was read, what scored and what was made, and is one run however often told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
from batch_scoring import Choices, DeltaOutput, Lake, Plan, open_input, run
from batch_scoring.lineage import lineage_of
from deltalake import write_deltalake
from training_sets.lineage import to_json

from tests.unit.batch_scoring.conftest import TOPIC, MakePackage, requests, vectors

if TYPE_CHECKING:
    from pathlib import Path

    from feature_store import Project
    from model_package import Package


def told(plan: Plan, output: DeltaOutput, at_us: int = 7) -> dict[str, Any]:
    event = lineage_of(
        plan, lake="file:///lake", output=output.uri, output_version=output.version, at_us=at_us
    )
    found: dict[str, Any] = json.loads(to_json(event))
    return found


def test_of_a_delta_table_with_features_of_the_lake(
    tmp_path: Path, project: Project, lake: str, package: Package
) -> None:
    write_deltalake(str(tmp_path / "asked"), requests(10))
    output = DeltaOutput(str(tmp_path / "scores"))
    plan = Plan.of_lake(open_input(str(tmp_path / "asked")), package, output, Choices(), Lake(lake, project))
    run(plan, output)
    event = told(plan, output)
    assert [(one["namespace"], one["name"]) for one in event["inputs"]] == [
        ("file", str(tmp_path / "asked")),
        ("tidemark://models", package.version),
        ("file:///lake", f"sources/{TOPIC}"),
    ]
    assert [one["facets"]["version"]["datasetVersion"] for one in event["inputs"]] == [
        "0",
        package.digest,
        "0",
    ]
    (made,) = event["outputs"]
    assert (made["namespace"], made["name"]) == ("file", str(tmp_path / "scores"))
    assert made["facets"]["version"]["datasetVersion"] == "1"
    assert made["outputFacets"]["outputStatistics"]["rowCount"] == 10
    assert event["run"]["facets"]["tidemark_batchScoring"]["asked"]["features"] == "lake"
    assert event["eventType"] == "COMPLETE"


def test_told_again_it_is_the_same_run(tmp_path: Path, make_package: MakePackage) -> None:
    pq.write_table(vectors(10), tmp_path / "rows.parquet")
    output, package = DeltaOutput(str(tmp_path / "scores")), make_package()
    rows = open_input(str(tmp_path / "rows.parquet"))
    plan = Plan.of_given(rows, package, output, Choices())
    run(plan, output)
    again = Plan.of_given(rows, package, output, Choices())
    assert told(plan, output)["run"]["runId"] == told(again, output, at_us=8)["run"]["runId"]
    assert told(plan, output)["inputs"][0]["facets"]["version"]["datasetVersion"] == rows.identity["digest"]

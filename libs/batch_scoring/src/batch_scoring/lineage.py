"""Where scores came from, as OpenLineage tells it: the input's version, the lake's tables, the model.

One completed run a job (https://openlineage.io/spec). Its id follows from the job's, so that telling it again
is the same run.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

import attr
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    RunFacet,
    dataset_version_dataset,
    output_statistics_output_dataset,
    schema_dataset,
)
from training_sets.lineage import MODELS
from training_sets.moments import show_moment

if TYPE_CHECKING:
    from batch_scoring.planning import Plan

PRODUCER: Final = "urn:tidemark:batch-scoring"
_RUNS: Final = uuid.uuid5(uuid.NAMESPACE_URL, PRODUCER)
_FILES: Final = "file"


@attr.define
class BatchScoringRunFacet(RunFacet):
    """What was run: `asked` of the job, without its input."""

    asked: dict[str, Any] = attr.field(factory=dict)


def lineage_of(plan: Plan, *, lake: str, output: str, output_version: int, at_us: int) -> RunEvent:
    """Tell how a finished job's output came to be.

    Args:
        plan: The job.
        lake: The lake's URI; unused where features were given.
        output: The output's URI.
        output_version: The table's version that holds all rows.
        at_us: When it was finished.
    """
    asked = plan.job.asked
    read = [
        InputDataset(*_place(plan.input.location), facets=_version(_input_version(asked["input"]))),
        InputDataset(MODELS, asked["version"], facets=_version(asked["digest"])),
    ]
    read += [
        InputDataset(lake, f"sources/{topic}", facets=_version(str(table.version)))
        for topic, table in plan.job.lake.items()
    ]
    rows = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=plan.input.rows)
    fields = [
        schema_dataset.SchemaDatasetFacetFields(name=field.name, type=str(field.type))
        for field in plan.schema
    ]
    facet = BatchScoringRunFacet(asked={name: told for name, told in asked.items() if name != "input"})
    return RunEvent(
        eventTime=show_moment(at_us),
        producer=PRODUCER,
        run=Run(str(uuid.uuid5(_RUNS, plan.job.id)), facets={"tidemark_batchScoring": facet}),
        job=Job("tidemark", f"score-batch.{asked['model']}"),
        eventType=RunState.COMPLETE,
        inputs=read,
        outputs=[
            OutputDataset(
                *_place(output),
                outputFacets={"outputStatistics": rows},
                facets=_version(str(output_version))
                | {"schema": schema_dataset.SchemaDatasetFacet(fields=fields)},
            )
        ],
    )


def _place(location: str) -> tuple[str, str]:
    """Return a place's namespace and name: `s3://bucket` and the path, or `file` and the path."""
    scheme, found, rest = location.partition("://")
    if not found or scheme == "file":
        return _FILES, rest or location
    authority, _, path = rest.partition("/")
    return f"{scheme}://{authority}", path


def _input_version(told: dict[str, Any]) -> str:
    return str(told["version"]) if told["kind"] == "delta" else str(told["digest"])


def _version(version: str) -> dict[str, Any]:
    return {"version": dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=version)}

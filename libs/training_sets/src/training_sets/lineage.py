"""Where data came from, as OpenLineage tells it: topic, table, view, training set, model.

One completed run a step (https://openlineage.io/spec, facets of version 2 of the client). A run's id follows
from what it made, so that telling it again is the same run and not another.
"""

import uuid
from collections.abc import Iterator, Sequence
from typing import Final

from feature_store import View
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    DatasetFacet,
    dataset_version_dataset,
    output_statistics_output_dataset,
    schema_dataset,
)
from openlineage.client.serde import Serde

from training_sets.manifests import Manifest
from training_sets.moments import show_moment

PRODUCER: Final = "urn:tidemark:training-sets"
FEATURES: Final = "tidemark://features"
MODELS: Final = "tidemark://models"
_JOBS: Final = "tidemark"

_RUNS: Final = uuid.uuid5(uuid.NAMESPACE_URL, PRODUCER)


def lineage_of(kept: Manifest, views: Sequence[View], *, lake: str, kafka: str) -> Iterator[RunEvent]:
    """Tell how a training set came to be.

    Args:
        kept: The set.
        views: Those that its features are of.
        lake: The lake's URI.
        kafka: The brokers that the sources' topics are on.
    """
    for topic, table in kept.sources.items():
        offsets = " ".join(f"{part}:{offset}" for part, offset in sorted(table.next_offsets.items()))
        yield _run(
            f"archiver.{topic}",
            kept,
            [InputDataset(f"kafka://{kafka}", topic)],
            OutputDataset(lake, f"sources/{topic}", facets=_version(f"{table.version} ({offsets})")),
        )
    for view in views:
        yield _run(
            f"feature.{view.name}",
            kept,
            [InputDataset(lake, f"sources/{view.source.topic}")],
            OutputDataset(
                FEATURES,
                view.name,
                facets=_version(view.digest.hex()) | _schema([*view.aggregations]),
            ),
        )
    inputs = [InputDataset(lake, f"sources/{topic}") for topic in kept.sources]
    inputs += [InputDataset(FEATURES, view.name) for view in views]
    yield _run(f"dataset.{kept.model}", kept, inputs, _of_set(kept, lake))


def lineage_of_training(model: str, version: str, snapshot: str, *, lake: str, at_us: int) -> RunEvent:
    """Tell which training set a version was trained on.

    Args:
        model: The model.
        version: The version that was made.
        snapshot: The training set's.
        lake: The lake's URI.
        at_us: The cut of the training.
    """
    return RunEvent(
        eventTime=show_moment(at_us),
        producer=PRODUCER,
        run=Run(str(uuid.uuid5(_RUNS, f"train/{version}"))),
        job=Job(_JOBS, f"train.{model}"),
        eventType=RunState.COMPLETE,
        inputs=[InputDataset(lake, f"datasets/{model}-{snapshot[:12]}", facets=_version(snapshot))],
        outputs=[OutputDataset(MODELS, version)],
    )


def to_json(event: RunEvent) -> str:
    """Return an event as its receivers read it."""
    return Serde.to_json(event)


def emit(events: Sequence[RunEvent]) -> None:
    """Send events where the OpenLineage client's own settings say, such as OPENLINEAGE_URL."""
    client = OpenLineageClient()
    for event in events:
        client.emit(event)


def _run(job: str, kept: Manifest, inputs: list[InputDataset], output: OutputDataset) -> RunEvent:
    return RunEvent(
        eventTime=show_moment(kept.created_us),
        producer=PRODUCER,
        run=Run(str(uuid.uuid5(_RUNS, f"{job}/{kept.snapshot}"))),
        job=Job(_JOBS, job),
        eventType=RunState.COMPLETE,
        inputs=inputs,
        outputs=[output],
    )


def _of_set(kept: Manifest, lake: str) -> OutputDataset:
    rows = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=kept.rows)
    return OutputDataset(
        lake,
        f"datasets/{kept.name}",
        outputFacets={"outputStatistics": rows},
        facets=_version(kept.snapshot) | _schema([*kept.features, kept.label]),
    )


def _version(version: str) -> dict[str, DatasetFacet]:
    return {"version": dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=version)}


def _schema(names: Sequence[str]) -> dict[str, DatasetFacet]:
    fields = [schema_dataset.SchemaDatasetFacetFields(name=name, type="float32") for name in names]
    return {"schema": schema_dataset.SchemaDatasetFacet(fields=fields)}

"""Flights: a day's requests, served one by one as it was lived and scored in one batch afterwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from batch_scoring import Choices, DeltaOutput, Lake, Plan, open_input, run
from deltalake import DeltaTable, write_deltalake
from feature_store import EventBatch, Incoming, Project, VectorAssembler, decode_events, load_project
from feature_store.online import Applier
from feature_store.online.memory import MemoryClaims, MemoryFeatureRows
from model_package import Golden, Package, Scorer, write_package
from model_package.store import read_folder
from model_package.testing import facts
from sklearn.ensemble import HistGradientBoostingClassifier
from trainer.adapters.onnx import convert

from examples.flights.model import flight_delay
from examples.flights.streams import load_streams

if TYPE_CHECKING:
    from pathlib import Path

    from feature_store.requests import Requests

DAY = datetime(2013, 2, 3, tzinfo=UTC)
DAY_US = int(DAY.timestamp() * 1e6)
ASKED = 150
MOMENT = pa.timestamp("us", tz="UTC")

Served = tuple[list[float], list[bytes]]
"""Scores and statuses, one a request."""


def lived(project: Project) -> dict[str, EventBatch]:
    """The events of three days."""
    streams = load_streams(DAY - timedelta(days=2), DAY + timedelta(days=1))
    return {
        stream.topic: decode_events(
            project.sources[stream.topic], Incoming.of(stream.events(slice(0, len(stream))))
        )[0]
        for stream in streams.sources
    }


def asked_of(events: dict[str, EventBatch]) -> Requests:
    """Some of the last day's requests, by time."""
    told = flight_delay.examples.of(events["flights.arrived.v1"], flight_delay.request_key).requests
    rows = np.flatnonzero(told.time_us >= DAY_US)
    rows = rows[np.argsort(told.time_us[rows], kind="stable")]
    return told.take(rows[:: max(1, len(rows) // ASKED)])


async def served(project: Project, events: dict[str, EventBatch], asked: Requests, scorer: Scorer) -> Served:
    """What serving answers each request with, of rows that hold what had been recorded by then."""
    rows = MemoryFeatureRows()
    applier = Applier(project.views.values(), rows, MemoryClaims())
    assembler = VectorAssembler(project.contract(flight_delay.name))
    applied_us, scores, statuses = 0, [], []
    for number, time_us in enumerate(asked.time_us.tolist()):
        for batch in events.values():
            known = (batch.recorded_time_us > applied_us) & (batch.recorded_time_us <= time_us)
            if known.any():
                await applier.apply(batch.take(known))
        applied_us = time_us
        one = asked.take(np.array([number]))
        vectors = assembler.assemble(one, await rows.read(assembler.row_keys(one)))
        scores += scorer.score_list(vectors.values)
        statuses.append(vectors.statuses[0].tobytes())
    return scores, statuses


def trees(folder: Path, project: Project) -> Package:
    """A version of boosted trees, whose splits lie where the features do."""
    contract = project.contract(flight_delay.name)
    rng = np.random.default_rng(3)
    vectors = rng.normal(0, 30, (2_000, len(contract.features))).astype(np.float32)
    labels = (vectors[:, 0] + vectors[:, 7] - vectors[:, 30] > 0).astype(np.float64)
    model = HistGradientBoostingClassifier(max_iter=20, early_stopping=False).fit(vectors, labels)
    write_package(
        folder,
        facts=facts(contract.model, contract.feature_names, contract_hash=contract.hash.hex()),
        model=convert(model, len(contract.features)),
        golden=Golden(vectors[:4], model.predict_proba(vectors[:4])[:, 1]),
        reference_profile={},
    )
    return read_folder(folder)


async def test_a_batch_gives_the_scores_and_statuses_that_serving_gave(tmp_path: Path) -> None:
    project = load_project("examples.flights")
    events = lived(project)
    asked, package = asked_of(events), trees(tmp_path / "package", project)
    scores, statuses = await served(project, events, asked, Scorer(package))
    assert len(set(scores)) > ASKED // 3
    for topic, batch in events.items():
        write_deltalake(f"{tmp_path / 'lake'}/sources/{topic}", batch.to_arrow())
    columns = {name: pa.array(keys, pa.string()) for name, keys in asked.entities.items()}
    columns["request_time"] = pa.array(asked.time_us).cast(MOMENT)
    columns["scheduled_at"] = pa.array(asked.context["scheduled_at"]).cast(MOMENT)
    columns["distance_miles"] = pa.array(asked.context["distance_miles"])
    pq.write_table(pa.table(columns), tmp_path / "asked.parquet")
    output = DeltaOutput(str(tmp_path / "scores"))
    plan = Plan.of_lake(
        open_input(str(tmp_path / "asked.parquet")),
        package,
        output,
        Choices(nulls="missing", batch_rows=64),
        Lake(str(tmp_path / "lake"), project),
    )
    assert run(plan, output) == len(asked)
    found = DeltaTable(output.uri).to_pyarrow_table().sort_by("prediction_id")
    assert found["feature_statuses"].to_pylist() == statuses
    assert found["score"].to_pylist() == scores

"""Batch scoring against bare `session.run` on the same rows, in turns, in the same process.

The model is 100 boosted trees over 16 features. The reference scores vectors that lie in memory already, in
the same slices; ours reads them from Parquet, scores, and commits ids, keys, scores and statuses to a Delta
table. Reading and writing go on beside the scoring, so the ratio of processor time is told too.
With features from the lake, rows a second are told beside it: the flights of a fortnight.
"""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from batch_scoring import Choices, DeltaOutput, Lake, Plan, open_input, run
from batch_scoring.scoring import SCORED_TOGETHER
from deltalake import write_deltalake
from feature_store import Incoming, decode_events, load_project
from model_package import Golden, write_package
from model_package.session import open_session
from model_package.store import read_folder
from model_package.testing import facts, write_logistic_package
from sklearn.ensemble import HistGradientBoostingClassifier
from trainer.adapters.onnx import convert

from bench.figures import Claim, compared, measured
from bench.placement import UNPINNED

if TYPE_CHECKING:
    from model_package import Package
    from numpy.typing import NDArray

WIDTH, TREES, ROWS, RUNS = 16, 100, 300_000, 5
MOST = Claim("<=", 1.3, aim=1.1)
MODEL = "flight-delay"


def measure() -> list[dict[str, Any]]:
    """Measure both ways of getting features."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours, bare = given(folder)
        per_second, answered = from_lake(folder)
    processor = float(np.median(ours[:, 1] / bare[:, 1]))
    return [
        compared(
            "scoring.batch",
            ours[:, 0].tolist(),
            f"s of {ROWS:,} rows",
            (
                f"bare session.run on the same rows; ratio of processor time {processor:.2f}",
                bare[:, 0].tolist(),
            ),
            MOST,
        )
        | {"placement": UNPINNED.words()},
        measured(
            "scoring.batch_from_lake",
            per_second,
            "rows/s",
            reference=f"{answered:,} requests of flights, 43 features in 8 views",
        )
        | {"placement": UNPINNED.words()},
    ]


def given(folder: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Seconds and those of processor time of batch scoring and of `session.run` in turns: [runs, 2] each."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(ROWS, WIDTH)).astype(np.float32)
    names = [f"f{at}" for at in range(WIDTH)]
    columns = {name: np.ascontiguousarray(vectors[:, at]) for at, name in enumerate(names)}
    pq.write_table(pa.table(columns), folder / "rows.parquet", row_group_size=100_000)
    package = tree_package(folder / "trees", names, vectors[:20_000])
    session = open_session(package.model, "the model")
    ours, bare = [], []
    for number in range(RUNS + 1):  # the first warms both up
        output = DeltaOutput(str(folder / f"scores-{number}"))
        begun = now()
        run(Plan.of_given(open_input(str(folder / "rows.parquet")), package, output, Choices()), output)
        ours.append(now() - begun)
        begun = now()
        for start in range(0, ROWS, SCORED_TOGETHER):
            session.run(None, {session.get_inputs()[0].name: vectors[start : start + SCORED_TOGETHER]})
        bare.append(now() - begun)
    return np.array(ours[1:]), np.array(bare[1:])


def now() -> NDArray[np.float64]:
    """The clock's seconds, and those of processor time that this process took."""
    return np.array([time.perf_counter(), time.process_time()])


def tree_package(folder: Path, names: list[str], vectors: NDArray[np.float32]) -> Package:
    """A version of boosted trees."""
    labels = (vectors[:, 0] * vectors[:, 1] + vectors[:, 2] > 0).astype(np.float64)
    trees = HistGradientBoostingClassifier(max_iter=TREES, early_stopping=False).fit(vectors, labels)
    golden = Golden(vectors[:4], trees.predict_proba(vectors[:4])[:, 1])
    write_package(
        folder,
        facts=facts("trees", names, contract_hash="0" * 64),
        model=convert(trees, len(names)),
        golden=golden,
        reference_profile={},
    )
    return read_folder(folder)


def from_lake(folder: Path) -> tuple[list[float], int]:
    """Rows a second of each run with point-in-time features of a fortnight's flights, and how many rows."""
    # The example loads the tables of a year.
    from examples.flights.model import flight_delay  # noqa: PLC0415
    from examples.flights.streams import load_streams  # noqa: PLC0415

    project = load_project("examples.flights")
    streams = load_streams(datetime(2013, 2, 1, tzinfo=UTC), datetime(2013, 2, 15, tzinfo=UTC))
    events = {}
    for stream in streams.sources:
        told = Incoming.of(stream.events(slice(0, len(stream))))
        batch, _ = decode_events(project.sources[stream.topic], told)
        events[stream.topic] = batch
        write_deltalake(str(folder / "lake" / "sources" / stream.topic), batch.to_arrow())
    asked = flight_delay.examples.of(events["flights.arrived.v1"], flight_delay.request_key).requests
    moment = pa.timestamp("us", tz="UTC")
    columns = {name: pa.array(keys, pa.string()) for name, keys in asked.entities.items()}
    columns["request_time"] = pa.array(asked.time_us).cast(moment)
    columns["scheduled_at"] = pa.array(asked.context["scheduled_at"]).cast(moment)
    columns["distance_miles"] = pa.array(asked.context["distance_miles"])
    pq.write_table(pa.table(columns).sort_by("request_time"), folder / "asked.parquet")
    contract = project.contract(MODEL)
    known = facts(MODEL, contract.feature_names, contract_hash=contract.hash.hex())
    write_logistic_package(folder / "flights", facts=known, weights=[0.01] * len(contract.feature_names))
    package = read_folder(folder / "flights")
    taken = []
    for number in range(RUNS + 1):  # the first compiles what counts
        output = DeltaOutput(str(folder / f"flight-scores-{number}"))
        begun = time.perf_counter()
        rows, choices = open_input(str(folder / "asked.parquet")), Choices(nulls="missing")
        run(Plan.of_lake(rows, package, output, choices, Lake(str(folder / "lake"), project)), output)
        taken.append(time.perf_counter() - begun)
    return [len(asked) / seconds for seconds in taken[1:]], len(asked)


if __name__ == "__main__":
    for row in measure():
        print(row)

"""Two weeks of real flights, from events through the lake to a model that is better than guessing."""

import zlib
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from archiver.adapters.delta import DeltaLake
from archiver.adapters.sources import SourceKeeper
from bus.received import Received
from feature_store import load_project
from model_package import PackageStore, Scorer
from trainer.adapters.memory import SilentSteps
from trainer.fitting import choose_algorithm
from trainer.ports import Provenance
from trainer.steps import Training, train
from training_sets.examples import Period
from training_sets.lake import DeltaEvents

from examples.flights.streams import EventStream, load_streams

FROM, UNTIL = datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 1, 15, tzinfo=UTC)
PROJECT = "examples.flights"


def records(stream: EventStream) -> Iterator[Received]:
    offsets: dict[int, int] = defaultdict(int)
    for event in stream.events(slice(0, len(stream))):
        partition = zlib.crc32(event.key) % 3
        yield Received(stream.topic, partition, offsets[partition], event)
        offsets[partition] += 1


def test_flights_train_a_model_from_the_lake(tmp_path: Path) -> None:
    project = load_project(PROJECT)
    lake = DeltaLake(str(tmp_path / "lake"))
    for stream in load_streams(FROM, UNTIL).sources:
        keeper, batch = SourceKeeper(project.sources[stream.topic]), list(records(stream))
        lake.prepare(keeper.table)
        kept = keeper.keep(batch)
        assert kept.left_out == {}
        assert lake.append(keeper.table, kept.rows, {p: len(batch) for p in range(3)}) == len(stream)

    spec = project.models["flight-delay"]
    training = Training(
        project,
        spec,
        Period(None, int(UNTIL.timestamp()) * 1_000_000),
        choose_algorithm(spec, "logistic-regression", None),
        Provenance("c0ffee", "e" * 64),
    )
    package = train(
        training, DeltaEvents(str(tmp_path / "lake")), PackageStore(tmp_path / "packages"), SilentSteps()
    ).package
    Scorer(package).warm()
    facts = package.manifest
    assert 0.6 < facts.metrics["holdout_roc_auc"] < 0.85
    # Scheduled less than about a day before the cut means not yet landed, so not yet known.
    assert 10_000 < facts.training_rows < 12_500
    assert facts.feature_names == project.contract("flight-delay").feature_names

"""Half a year in which nothing changes: rows that a model was trained on, drawn again, alarm nobody."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from drift_detector.domain.references import Reference
from drift_detector.testing import DAY_US, MemoryReferences, Scene, prediction, resolved
from drift_detector.testing_stack import watched_flights
from feature_store import EventBatch, Incoming, decode_events, load_project
from feature_store.offline import AsOf, point_in_time
from feature_store.statuses import Status
from monitoring import accuracy, brier, log_loss, roc_auc
from monitoring.profiles import ReferenceProfile
from tidemark.monitoring.v1.alert_pb2 import AlertState
from tidemark.monitoring.v1.monitor_pb2 import Assessment
from trainer.domain.profile import reference_profile
from trainer.domain.split import split_by_time
from training_sets.examples import LabelledRequests, Period, label_examples

from examples.flights.model import flight_delay, train_logistic
from examples.flights.streams import load_streams, microseconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bus.received import Received
    from numpy.typing import NDArray

    Pair = tuple[Received, Received]

pytestmark = pytest.mark.timeout(600)

MODEL, VERSION = flight_delay.name, "a"
SLICES = ("carrier", "origin")
FROM, UNTIL = datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 4, 1, tzinfo=UTC)
WEEKS, A_WEEK = 26, 6_400
"""Half a year, and about as many flights a week as New York has."""
LABELLED_AFTER_HOURS = 6.0
BROKEN = "origin_weather.pressure_hpa"


@dataclass(frozen=True)
class Learned:
    """The rows that a version was trained on, as it scores them, and what they say of themselves."""

    labelled: LabelledRequests
    values: NDArray[np.float32]
    present: NDArray[np.bool_]
    scores: NDArray[np.float64]
    reference: Reference

    def drawn(self, *, seed: int, weeks: int, gone: range = range(0)) -> Iterator[Pair]:
        """Answers and their outcomes: rows drawn with replacement, spread evenly over the weeks.

        Args:
            gone: Days on which the broken feature has no value.
        """
        rows = np.random.default_rng(seed).integers(0, len(self.scores), weeks * A_WEEK)
        entities = {name: self.labelled.requests.entities[name] for name in SLICES}
        for number, row in enumerate(rows):
            hours = (number + 0.5) * 24 * 7 / A_WEEK
            given: dict[str, Any] = {
                "model": MODEL,
                "version": VERSION,
                "score": self.scores[row],
                "entities": {name: column[row] for name, column in entities.items()},
            }
            missing = set(np.flatnonzero(~self.present[row]).tolist())
            missing |= {self.reference.names.index(BROKEN)} if hours // 24 in gone else set()
            key, known = f"f{number}", hours + LABELLED_AFTER_HOURS
            yield (
                prediction(key, hours=hours, values=self.values[row], missing=sorted(missing), **given),
                resolved(key, self.labelled.labels[row], hours=hours, known_hours=known, **given),
            )


@pytest.fixture(scope="module")
def learned() -> Learned:
    streams = load_streams(FROM, UNTIL)
    project = load_project("examples.flights")
    contract = project.contract(MODEL)
    events: dict[str, EventBatch] = {}
    for stream in streams.sources:
        told = stream.events(slice(0, len(stream)))
        incoming = Incoming.of(told)
        events[stream.topic], _ = decode_events(project.sources[stream.topic], incoming)
    ends = events[flight_delay.label.source.topic]
    labelled = label_examples(flight_delay, ends, ends, Period(microseconds(FROM), microseconds(UNTIL)))
    vectors = point_in_time(contract, events, labelled.requests, AsOf())
    split = split_by_time(labelled)
    model = train_logistic(vectors.values[split.training], labelled.labels[split.training], 1)
    scores = model.predict_proba(vectors.values)[:, 1].astype(np.float64)
    truth, held_out = labelled.labels[split.holdout], scores[split.holdout]
    profile = reference_profile(contract.feature_names, vectors, labelled, held_out, SLICES)
    metrics: dict[str, Any] = {
        "roc_auc": roc_auc(truth, held_out),
        "brier": brier(truth, held_out),
        "log_loss": log_loss(truth, held_out),
        "accuracy": accuracy(truth, held_out, flight_delay.decision_threshold),
    }
    reference = Reference.of(ReferenceProfile.parse(profile), contract.feature_names, metrics, SLICES)
    return Learned(labelled, vectors.values, vectors.statuses == Status.PRESENT, scores, reference)


async def test_nothing_fires_in_half_a_year_without_drift(learned: Learned) -> None:
    scene = await watched_over(learned, learned.drawn(seed=7, weeks=WEEKS))

    watched = {one.name for one in watched_flights().monitors[MODEL]}
    assert {one.monitor for one in scene.measured} == watched
    for monitor in watched:
        judged = [one for one in scene.of(monitor) if one.assessment == Assessment.ASSESSMENT_OK]
        assert len({one.window_start.ToMicroseconds() for one in judged}) >= WEEKS - 2, monitor
    told = [one for one in scene.alerts if one.state != AlertState.ALERT_STATE_PENDING]
    assert not told, [(one.monitor, one.summary) for one in told]


async def test_a_field_that_breaks_is_told_of_within_one_window_and_nothing_else_is(
    learned: Learned,
) -> None:
    scene = await watched_over(learned, learned.drawn(seed=7, weeks=2, gone=range(5, 8)))

    fired = [one for one in scene.alerts if one.state == AlertState.ALERT_STATE_FIRING]
    assert len({one.fingerprint for one in fired}) == 1, [(one.monitor, one.summary) for one in fired]
    assert (fired[0].monitor, fired[0].evidence[0].subject) == ("input-quality", BROKEN)
    assert fired[0].firing_since.ToMicroseconds() == 6 * DAY_US
    (resolved_,) = [one for one in scene.alerts if one.state == AlertState.ALERT_STATE_RESOLVED]
    assert resolved_.resolved_at.ToMicroseconds() == 9 * DAY_US


async def watched_over(learned: Learned, pairs: Iterator[Pair]) -> Scene:
    """What one process of the service tells, which looks once a week."""
    scene = Scene(watched=watched_flights(), references=MemoryReferences({VERSION: learned.reference}, MODEL))
    process = scene.process()
    await process.own()
    offset = 0
    while week := list(islice(pairs, A_WEEK)):
        for topic in zip(*week, strict=True):
            await process.take(*(replace(one, offset=offset + at) for at, one in enumerate(topic)))
        await process.look()
        offset += len(week)
    await scene.alert(process)
    return scene

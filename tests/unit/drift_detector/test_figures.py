"""Figures from counts, against implementations that see every row; detectors on streams that are known."""

from __future__ import annotations

import itertools
from datetime import timedelta

import numpy as np
import pytest
from drift_detector.adapters import codec
from drift_detector.adapters.wire import answered_of
from drift_detector.domain.error_stream import Detector, RisingAdwin, RisingPageHinkley
from drift_detector.domain.inputs import InputSketch, sketch_of
from drift_detector.domain.outcomes import TALLY_SIZE, metrics_of, tally_of
from drift_detector.domain.windows import grain_of, place_of_outcome, place_of_request
from drift_detector.testing import DAY_US, HOUR_US, MODEL, prediction, reference
from hypothesis import given
from hypothesis import strategies as st
from monitoring.monitors import ConceptDrift, DataQuality, FeatureDrift, Performance
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, roc_auc_score

_MINUTE_US = 60_000_000


@pytest.mark.parametrize("positives", [0.02, 0.3, 0.9])
def test_metrics_from_counts_are_those_of_the_rows(positives: float) -> None:
    generator = np.random.default_rng(4)
    logits = generator.normal(np.log(positives / (1 - positives)), 1.5, 5_000)
    scores = 1 / (1 + np.exp(-logits))
    truth = (generator.random(5_000) < scores).astype(np.int64)
    found = metrics_of(tally_of(scores, truth, 0.3))
    assert found["roc_auc"] == pytest.approx(roc_auc_score(truth, scores), abs=5e-4)
    assert found["log_loss"] == pytest.approx(log_loss(truth, scores), abs=1e-6)
    assert found["brier"] == pytest.approx(brier_score_loss(truth, scores), abs=1e-6)
    assert found["accuracy"] == pytest.approx(accuracy_score(truth, scores >= 0.3))


def test_metrics_of_nothing_and_of_one_class_are_undefined() -> None:
    assert set(metrics_of(np.zeros(TALLY_SIZE, np.int64)).values()) == {None}
    assert metrics_of(tally_of(np.array([0.2, 0.4]), np.array([1, 1]), 0.5))["roc_auc"] is None


@given(scores=st.lists(st.floats(0, 1), min_size=1, max_size=30), cut=st.integers(0, 30))
def test_tallies_of_parts_add_up_to_the_tally_of_the_whole(scores: list[float], cut: int) -> None:
    values, truth = np.array(scores), np.arange(len(scores)) % 2
    parts = tally_of(values[:cut], truth[:cut], 0.5) + tally_of(values[cut:], truth[cut:], 0.5)
    assert (parts == tally_of(values, truth, 0.5)).all()


def test_sketches_of_parts_add_up_to_the_sketch_of_the_whole_in_any_order() -> None:
    generator, own = np.random.default_rng(5), reference()
    rows = [
        answered_of(prediction(f"k{at}", values=generator.normal(size=3), missing=(at % 3,)).event)
        for at in range(60)
    ]
    answers = [row for row in rows if row is not None]
    whole = codec.inputs_bytes(sketch_of(answers, own))
    parts = [sketch_of(answers[begin : begin + 20], own) for begin in (0, 20, 40)]
    for order in itertools.permutations(parts):
        assert codec.inputs_bytes(sum(order, InputSketch())) == whole
    assert codec.inputs_bytes(codec.inputs_of(whole)) == whole


def test_a_steady_stream_of_errors_has_no_rise() -> None:
    generator = np.random.default_rng(6)
    for detector in (RisingAdwin(), RisingPageHinkley()):
        assert not any(detector.rises(error) for error in generator.normal(1.0, 0.2, 180))


@pytest.mark.parametrize(("detector", "within"), [(RisingPageHinkley(), 14), (RisingAdwin(), 42)])
def test_a_stream_that_rises_is_found_in_time_and_not_before(detector: Detector, within: int) -> None:
    generator = np.random.default_rng(6)
    stream = [*generator.normal(1.0, 0.15, 90), *generator.normal(1.6, 0.15, 60)]
    first = next(at for at, error in enumerate(stream) if detector.rises(error))
    assert 90 <= first < 90 + within


def test_a_stream_that_falls_is_no_rise() -> None:
    generator = np.random.default_rng(6)
    stream = [*generator.normal(1.0, 0.1, 90), *generator.normal(0.5, 0.1, 60)]
    for detector in (RisingAdwin(), RisingPageHinkley()):
        assert not any(detector.rises(error) for error in stream), detector


def test_grains_divide_a_day_and_everything_declared() -> None:
    daily = DataQuality("q", model=MODEL, window=timedelta(days=7))
    assert grain_of([daily]) == DAY_US
    hourly = FeatureDrift("d", model=MODEL, window=timedelta(hours=36))
    assert grain_of([daily, hourly]) == 12 * HOUR_US
    slow = Performance("p", model=MODEL, window=timedelta(days=7), maturity=timedelta(hours=6))
    assert grain_of([daily, slow]) == 6 * HOUR_US
    stepping = ConceptDrift("c", model=MODEL, window=timedelta(days=1), step=timedelta(hours=1))
    assert grain_of([stepping]) == HOUR_US


def test_a_request_is_on_time_for_five_minutes_and_an_outcome_when_it_is_known() -> None:
    end = DAY_US
    assert place_of_request("m", "v", end - 1, end + 4 * _MINUTE_US, DAY_US).known_us == 0
    assert place_of_request("m", "v", end - 1, end + 6 * _MINUTE_US, DAY_US).known_us == DAY_US
    assert place_of_outcome("m", "v", end - 1, end, DAY_US).known_us == DAY_US


def test_what_is_known_before_it_happened_is_known_when_it_happens() -> None:
    assert place_of_request("m", "v", 3 * DAY_US, 0, DAY_US).known_us == 3 * DAY_US
    assert place_of_outcome("m", "v", 3 * DAY_US, 0, DAY_US).known_us == 3 * DAY_US

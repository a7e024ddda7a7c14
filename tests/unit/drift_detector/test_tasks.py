"""Models of other tasks than two classes: what outcomes say of them, counted and judged."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bus.positions import TopicPartition
from drift_detector.adapters import codec, wire
from drift_detector.adapters.references import reference_of
from drift_detector.domain.class_outcomes import ClassQuality
from drift_detector.domain.facts import Resolved
from drift_detector.domain.outcomes import EVERYTHING, SEGMENT, BinaryQuality, sketch_of
from drift_detector.domain.references import Reference
from drift_detector.domain.value_outcomes import ValueQuality
from drift_detector.ports import UnreadableFact
from drift_detector.testing import (
    MODEL,
    NAMES,
    TOPICS,
    MemoryReferences,
    Scene,
    prediction,
    resolved,
    watched,
)
from hypothesis import given
from hypothesis import strategies as st
from model_package import Golden, PackageStore, write_package
from model_package.testing import facts, logistic_model, logistic_scores
from monitoring.monitors import ConceptDrift, LabelDrift, Performance
from monitoring.profiles import ReferenceProfile, TrainingSet, build_profile
from sklearn import metrics
from tidemark.monitoring.v1.monitor_pb2 import Assessment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from drift_detector.domain.quality import Quality
    from tidemark.monitoring.v1.monitor_pb2 import MonitorMeasured

VALUES = ValueQuality()
CLASSES = ClassQuality(("early", "late", "never"))
_DAY = timedelta(days=1)
_NUMBERS = st.floats(-1e12, 1e12)


def _fact(score: float, outcome: float, **given_facts: Any) -> Resolved:
    known: dict[str, Any] = {"identity": 1, "revision": 0, "entities": {}, "request_us": 0, "known_us": 0}
    return Resolved(model=MODEL, version="a", score=score, outcome=outcome, **(known | given_facts))


def _likely(rows: Sequence[Sequence[float]], outcomes: Sequence[float]) -> list[Resolved]:
    return [
        _fact(max(row), outcome, probabilities=tuple(row))
        for row, outcome in zip(rows, outcomes, strict=True)
    ]


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e9])
def test_a_regression_is_measured_as_scikit_learn_does_in_any_unit(scale: float) -> None:
    generator = np.random.default_rng(3)
    truth = generator.normal(-3, 1, 500) * scale
    values = truth + generator.normal(0.2, 0.5, 500) * scale
    tally = VALUES.tally([_fact(*pair) for pair in zip(values.tolist(), truth.tolist(), strict=True)])
    found = VALUES.metrics(tally)
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(truth, values), rel=1e-9)
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(truth, values), rel=1e-9)
    assert found["r_squared"] == pytest.approx(metrics.r2_score(truth, values), rel=1e-6)
    assert found["bias"] == pytest.approx((values - truth).mean(), rel=1e-9)
    assert VALUES.mean_label(tally) == pytest.approx(truth.mean(), rel=1e-9)


@given(st.lists(st.tuples(_NUMBERS, _NUMBERS), min_size=1, max_size=12), st.integers(0, 12))
def test_tallies_of_parts_add_up_to_the_tally_of_all_bit_for_bit(
    pairs: list[tuple[float, float]], cut: int
) -> None:
    facts = [_fact(*pair) for pair in pairs]
    parts = VALUES.tally(facts[cut:][::-1]) + VALUES.tally(facts[:cut])
    whole = VALUES.tally(facts)
    assert VALUES.metrics(parts) == VALUES.metrics(whole)
    assert VALUES.errors(parts) == VALUES.errors(whole)
    gone = whole - VALUES.tally(facts[1:])
    assert VALUES.metrics(gone) == VALUES.metrics(VALUES.tally(facts[:1]))


def test_what_is_beyond_measure_or_without_spread_is_undefined() -> None:
    assert set(VALUES.metrics(VALUES.tally([_fact(1.7e308, -1.7e308)])).values()) == {None}
    same = VALUES.metrics(VALUES.tally([_fact(1.0, 0.1), _fact(2.0, 0.1)]))
    assert same["r_squared"] is None
    assert same["mae"] == pytest.approx(1.4)
    assert set(VALUES.metrics(VALUES.tally([])).values()) == {None}


def test_many_classes_are_measured_as_scikit_learn_does() -> None:
    generator = np.random.default_rng(5)
    rows, truth = generator.dirichlet([1, 2, 1], 300), generator.integers(0, 3, 300)
    tally = CLASSES.tally(_likely(rows.tolist(), truth.tolist()))
    found = CLASSES.metrics(tally)
    assert found["log_loss"] == pytest.approx(metrics.log_loss(truth, rows, labels=[0, 1, 2]), abs=1e-6)
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(truth, rows.argmax(axis=1)))
    assert CLASSES.by_class(tally) == np.bincount(truth).tolist()


def test_answers_without_probabilities_are_labelled_and_not_judged() -> None:
    tally = CLASSES.tally([_fact(0.9, 2.0), *_likely([[0.5, 0.25, 0.25]], [0.0])])
    assert (CLASSES.labelled(tally), CLASSES.errors(tally)[0]) == (2, 1)
    assert CLASSES.metrics(tally)["log_loss"] == pytest.approx(np.log(2), abs=1e-6)
    assert set(CLASSES.metrics(CLASSES.tally([_fact(0.9, 2.0)])).values()) == {None}


@given(st.integers(0, 2**62), st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 2**64 - 1))
def test_a_revision_of_any_outcome_survives_being_kept(revision: int, outcome: float, identity: int) -> None:
    entries = [(identity, VALUES.state(revision, outcome)), (3, VALUES.state(0, 0.0))]
    kept = codec.members_of(codec.members_bytes(entries))
    assert [VALUES.of_state(state) for _, state in kept] == [(revision, outcome), (0, 0.0)]
    assert [one for one, _ in kept] == [identity, 3]


def test_what_was_kept_of_two_classes_is_read_as_before() -> None:
    quality = BinaryQuality(0.5)
    entries = [(7, quality.state(3, 1.0)), (8, quality.state(0, 0.0))]
    assert codec.members_bytes(entries) == np.array([(7, 7), (8, 0)], [("i", "<u8"), ("s", "<i8")]).tobytes()
    assert quality.of_state(7) == (3, 1.0)


def test_outcomes_are_told_apart_by_the_segment_that_answered() -> None:
    facts = [_fact(5.0, 4.0, segment="big"), _fact(1.0, 0.0), _fact(3.0, 0.0, segment="big")]
    sketch = sketch_of(facts, [1, 1, 1], None, VALUES)
    assert {part: VALUES.labelled(tally) for part, tally in sketch.items()} == {
        EVERYTHING: 3,
        SEGMENT + "big": 2,
    }
    kept = codec.labels_of(codec.labels_bytes(sketch))
    assert VALUES.metrics(kept[SEGMENT + "big"])["mae"] == 2.0


@pytest.mark.parametrize(
    ("quality", "score", "outcome", "reason"),
    [
        (VALUES, -40.0, 12.5, None),
        (VALUES, 1.0, float("nan"), "NOT_A_NUMBER"),
        (CLASSES, 0.5, 2.0, None),
        (CLASSES, 0.5, 3.0, "NOT_A_CLASS"),
        (CLASSES, 0.5, 0.5, "NOT_A_CLASS"),
        (BinaryQuality(0.5), 1.5, 1.0, "NOT_A_PROBABILITY"),
        (BinaryQuality(0.5), 0.5, 2.0, "NOT_A_BINARY_OUTCOME"),
        (None, -3.0, 17.0, None),
    ],
)
def test_what_a_models_task_cannot_have_is_refused_by_name(
    quality: Quality | None, score: float, outcome: float, reason: str | None
) -> None:
    rules, event = watched(quality=quality).rules, resolved("k", outcome, score=score).event
    if reason is None:
        assert wire.resolved_of(event, rules) is not None
        return
    with pytest.raises(UnreadableFact) as wrong:
        wire.resolved_of(event, rules)
    assert wrong.value.reason == reason


def _profile(labels: Any, scores: Any) -> dict[str, Any]:
    rows = len(labels)
    training = TrainingSet(
        names=NAMES,
        values=np.zeros((rows, len(NAMES)), np.float32),
        present=np.ones((rows, len(NAMES)), np.bool_),
        statuses=[{"PRESENT": rows}] * len(NAMES),
        time_us=np.arange(rows),
        labels=np.asarray(labels, np.float64),
        categories={},
    )
    return build_profile(training, np.asarray(scores))


def _reference(labels: Any, holdout: dict[str, float], scores: Any) -> Reference:
    return Reference.of(ReferenceProfile.parse(_profile(labels, scores)), NAMES, holdout)


async def _measured(
    quality: Quality, monitors: Sequence[Any], reference: Reference, facts: Sequence[dict[str, Any]]
) -> dict[str, MonitorMeasured]:
    """Let a day of answers and their outcomes be counted and measured."""
    scene = Scene(watched=watched(monitors, quality), references=MemoryReferences({"a": reference}))
    process = scene.process()
    await process.own()
    answers = [prediction(str(at), offset=at, score=fact["score"]) for at, fact in enumerate(facts)]
    later = prediction("later", hours=60.0, offset=len(answers), score=facts[0]["score"])
    outcomes = [resolved(str(at), offset=at, **fact) for at, fact in enumerate(facts)]
    scene.frontier.known = {
        TopicPartition(TOPICS.answers, 0): len(answers) + 1,
        TopicPartition(TOPICS.resolved, 0): len(outcomes),
    }
    assert await process.take(*answers, later, *outcomes) == []
    await process.look()
    return {one.monitor: one for one in scene.measured if one.rows == len(facts)}


def _figures(told: MonitorMeasured) -> dict[tuple[str, str, str], float]:
    return {(one.subject, one.slice, one.statistic): one.value for one in told.measurements}


_LABELLED: dict[str, Any] = {"model": MODEL, "window": _DAY, "minimum_rows": 20, "coverage": 1.0}


@pytest.mark.parametrize(
    ("error", "expected"), [(1.0, Assessment.ASSESSMENT_OK), (3.0, Assessment.ASSESSMENT_BREACHED)]
)
async def test_a_regressions_quality_labels_and_errors_are_judged(error: float, expected: Any) -> None:
    generator = np.random.default_rng(9)
    labels = generator.normal(100, 20, 500)
    reference = _reference(labels, {"rmse": 1.0, "mae": 0.8, "bias": 0.0}, labels)
    monitors = [
        Performance("rmse", metric="rmse", worse_by=0.5, **_LABELLED),
        Performance("bias", metric="bias", worse_by=2.5, **_LABELLED),
        LabelDrift("labels", change=0.5, **_LABELLED),
        ConceptDrift("errors", step=_DAY, **_LABELLED),
    ]
    truth = generator.normal(100, 20, 60)
    facts = [
        {"value": float(one), "score": float(one) - error, "segment": "far" if at % 3 == 0 else ""}
        for at, one in enumerate(truth)
    ]
    told = await _measured(VALUES, monitors, reference, facts)
    assert told["rmse"].assessment == expected
    figures = _figures(told["rmse"])
    assert figures["", "", "rmse"] == pytest.approx(error)
    assert figures["", "", "bias"] == pytest.approx(-error)
    assert figures["", "route.segment=far", "mae"] == pytest.approx(error)
    assert told["bias"].assessment == expected
    assert told["labels"].assessment == Assessment.ASSESSMENT_OK
    assert _figures(told["labels"])["", "", "label_mean"] == pytest.approx(truth.mean())
    assert "mean squared error" in told["errors"].reason
    assert told["errors"].measurements[0].reference == 1.0


async def test_many_classes_quality_and_labels_are_judged() -> None:
    generator = np.random.default_rng(10)
    labels = generator.choice(3, 500, p=[0.5, 0.3, 0.2])
    reference = _reference(labels, {"log_loss": 0.3, "accuracy": 0.9}, generator.random(500))
    monitors = [
        Performance("quality", metric="log_loss", worse_by=0.2, **_LABELLED),
        LabelDrift("labels", change=0.3, **_LABELLED),
    ]
    facts = [{"value": 2.0, "score": 0.5, "probabilities": (0.25, 0.25, 0.5)} for _ in range(30)]
    told = await _measured(CLASSES, monitors, reference, facts)
    assert told["quality"].assessment == Assessment.ASSESSMENT_BREACHED
    assert _figures(told["quality"])["", "", "log_loss"] == pytest.approx(np.log(2), abs=1e-6)
    assert told["labels"].assessment == Assessment.ASSESSMENT_BREACHED
    first = told["labels"].measurements[0]
    assert (first.subject, first.statistic, first.value) == ("never", "class_share", 1.0)
    assert first.reference == pytest.approx(0.2, abs=0.05)


async def test_a_correction_takes_back_what_a_regressions_outcome_said() -> None:
    scene = Scene(watched=watched(quality=VALUES))
    process = scene.process()
    await process.own()
    first, second = resolved("1", -7.5, score=2.0), resolved("1", 3.25, score=2.0, revision=1, offset=1)
    again = resolved("1", 3.5, score=2.0, revision=1, offset=2)
    assert await process.take(first, second) == []
    (refused,) = await process.take(again)
    assert refused.reason == "CONTRADICTED_OUTCOME"
    where = TopicPartition(TOPICS.resolved, 0)
    sketches = await scene.outcomes.sketches(where, sorted((await scene.outcomes.held(where)).places))
    total = sum(sketch[EVERYTHING] for sketch in sketches.values())
    assert VALUES.metrics(np.asarray(total))["bias"] == -1.25


def test_the_trainers_names_of_holdout_metrics_are_those_that_monitors_ask_for(tmp_path: Path) -> None:
    values = np.zeros((4, len(NAMES)), np.float32)
    told = facts(MODEL, NAMES, contract_hash="0" * 64).model_copy(
        update={"metrics": {"holdout_roc_auc": 0.75, "brier": 0.2}}
    )
    (tmp_path / "version").mkdir()
    write_package(
        tmp_path / "version",
        facts=told,
        model=logistic_model([1.0] * len(NAMES), 0.0),
        golden=Golden(vectors=values, scores=logistic_scores(values, [1.0] * len(NAMES), 0.0)),
        reference_profile=_profile([0.0, 1.0, 1.0, 0.0], [0.5]),
    )
    package = PackageStore(tmp_path / "packages").put(tmp_path / "version")
    assert reference_of(package, []).metrics == {"roc_auc": 0.75, "brier": 0.2}

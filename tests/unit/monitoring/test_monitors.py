"""Declarations: what makes no sense is refused where it is written."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from monitoring import DeclarationError
from monitoring.alerts import Rules
from monitoring.monitors import (
    ConceptDrift,
    DataQuality,
    FeatureDrift,
    LabelDrift,
    Monitor,
    MonitorKind,
    Performance,
    PredictionDrift,
    Severity,
    check_monitors,
)
from monitoring.served import Consistency, Freshness, with_defaults

MODELS = {"flight-delay": ["origin.mean_delay_1h", "distance_miles"]}
TASKS = {"flight-delay": "binary"}
KINDS: list[type[Monitor]] = [
    DataQuality,
    FeatureDrift,
    PredictionDrift,
    LabelDrift,
    Performance,
    ConceptDrift,
    Consistency,
    Freshness,
]


class Feature:
    """As a project holds one."""

    full_name = "distance_miles"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_declared_with_a_name_and_a_model(kind: type[Monitor]) -> None:
    monitor = kind("watch", model="flight-delay")
    assert monitor.window_us > 0
    # What was served is wrong or it is not: no number of requests makes that a matter of taste.
    assert monitor.severity is (Severity.CRITICAL if kind is Consistency else Severity.WARNING)
    assert monitor == kind("watch", model="flight-delay")
    check_monitors([monitor], MODELS, TASKS)


def test_kinds_are_told_apart() -> None:
    assert {kind.kind for kind in KINDS} == set(MonitorKind)


def test_its_rules_are_those_of_its_alerts() -> None:
    monitor = FeatureDrift("drift", model="flight-delay", fire_after=2, clear_after=3)
    assert monitor.rules == Rules(fire_after=2, clear_after=3)
    assert monitor.window_us == 7 * 86_400_000_000


def test_features_are_named_or_shown() -> None:
    monitor = FeatureDrift("drift", model="flight-delay", features=["origin.mean_delay_1h", Feature()])
    assert monitor.feature_names == ("origin.mean_delay_1h", "distance_miles")
    assert DataQuality("quality", model="flight-delay").feature_names is None
    check_monitors([monitor], MODELS, TASKS)


def test_an_error_names_place_declaration_trouble_and_remedy() -> None:
    with pytest.raises(DeclarationError) as raised:
        FeatureDrift("input-drift", model="flight-delay", psi=-1)
    error = raised.value
    assert error.location is not None
    assert Path(error.location.file) == Path(__file__)
    assert str(error) == (
        f"{__file__}:{error.location.line}: FeatureDrift('input-drift'): psi is -1. Write a number above 0."
    )


@pytest.mark.parametrize(
    ("kind", "arguments", "said"),
    [
        (DataQuality, {"model": "Flight Delay"}, "model 'Flight Delay' is not lower-case"),
        (DataQuality, {"severity": "LOUD"}, "severity is 'LOUD'. Known: CRITICAL, INFO, WARNING"),
        (DataQuality, {"window": timedelta(0)}, "window is"),
        (DataQuality, {"window": 86400}, "window is 86400. Write a duration"),
        (DataQuality, {"minimum_rows": 0}, "minimum_rows is 0"),
        (DataQuality, {"fire_after": 0}, "fire_after is 0"),
        (DataQuality, {"clear_after": 1.5}, "clear_after is 1.5"),
        (DataQuality, {"clear_at": 1.1}, "clear_at is 1.1"),
        (DataQuality, {"missing": 10}, "missing is 10. Write a number above 0 to 1"),
        (DataQuality, {"out_of_range": 0}, "out_of_range is 0"),
        (DataQuality, {"new_categories": True}, "new_categories is True"),
        (DataQuality, {"features": "distance_miles"}, "features is 'distance_miles'. Write a list"),
        (DataQuality, {"features": []}, "leave it out for all"),
        (FeatureDrift, {"features": [3]}, "3 is no feature"),
        (FeatureDrift, {"psi": float("nan")}, "psi is nan"),
        (FeatureDrift, {"least_features": 0}, "least_features is 0"),
        (FeatureDrift, {"least_features": 2, "features": ["a"]}, "It could never breach"),
        (PredictionDrift, {"psi": "0.25"}, "psi is '0.25'"),
        (LabelDrift, {"change": 2}, "change is 2"),
        (LabelDrift, {"coverage": 0}, "coverage is 0"),
        (Performance, {"metric": "auc"}, "metric is 'auc'. Did you mean 'roc_auc'"),
        (Performance, {"worse_by": 0}, "worse_by is 0"),
        (Performance, {"maturity": timedelta(days=-1)}, "maturity is"),
        (ConceptDrift, {"detectors": "adwin"}, "Write a tuple"),
        (ConceptDrift, {"detectors": ()}, "Write a tuple"),
        (ConceptDrift, {"detectors": ("adwinn",)}, "Did you mean 'adwin'"),
        (ConceptDrift, {"step": timedelta(hours=5)}, "no whole number of steps"),
    ],
)
def test_what_makes_no_sense_is_refused(kind: type[Monitor], arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        kind("watch", **{"model": "flight-delay", **arguments})
    assert said in str(raised.value)


@pytest.mark.parametrize("name", ["", "Input", "input_drift", "input-", "drift 2", 7])
def test_names_are_words_with_dashes(name: Any) -> None:
    with pytest.raises(DeclarationError, match="lower-case words with dashes"):
        DataQuality(name, model="flight-delay")


@pytest.mark.parametrize(
    ("monitors", "said"),
    [
        ([DataQuality("watch", model="flight-dely")], "no model 'flight-dely'. Did you mean 'flight-delay'?"),
        (
            [FeatureDrift("watch", model="flight-delay", features=["distance_mile"])],
            "model 'flight-delay' has no feature 'distance_mile'. Did you mean 'distance_miles'?",
        ),
        (
            [DataQuality("watch", model="flight-delay"), Performance("watch", model="flight-delay")],
            f"has a monitor of this name already, at {__file__}:",
        ),
    ],
)
def test_monitors_must_fit_the_models(monitors: list[Monitor], said: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        check_monitors(monitors, MODELS, TASKS)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("monitor", "task", "said"),
    [
        (Performance("watch", model="m"), "regression", "Write one of 'rmse', 'mae', 'bias', 'r_squared'"),
        (Performance("watch", model="m", metric="rmse"), "binary", "no meaning for a model of task 'binary'"),
        (Performance("watch", model="m", metric="accuracy"), "embedding", "no outcome says how good it is"),
        (LabelDrift("watch", model="m"), "ranking", "no outcome says how good it is"),
        (ConceptDrift("watch", model="m"), "ranking", "PredictionDrift watches the scores"),
    ],
)
def test_a_monitor_without_meaning_for_its_models_task_is_refused(
    monitor: Monitor, task: str, said: str
) -> None:
    with pytest.raises(DeclarationError, match=said):
        check_monitors([monitor], {"m": []}, {"m": task})


@pytest.mark.parametrize(
    ("metric", "task"),
    [("rmse", "regression"), ("bias", "regression"), ("accuracy", "multiclass"), ("brier", "binary")],
)
def test_performance_is_measured_by_what_its_models_task_has(metric: str, task: str) -> None:
    check_monitors([Performance("watch", model="m", metric=metric)], {"m": []}, {"m": task})


def test_two_models_may_have_monitors_of_one_name() -> None:
    check_monitors(
        [DataQuality("watch", model="a"), DataQuality("watch", model="b")],
        {"a": ["x"], "b": ["x"]},
        {"a": "binary", "b": "ranking"},
    )


def test_one_monitor_listed_twice_is_one_monitor() -> None:
    """A module may hold it under two names."""
    monitor = DataQuality("watch", model="flight-delay")
    check_monitors([monitor, monitor], MODELS, TASKS)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"sample": 1.5}, "sample is 1.5. Write a number from 0 to 1."),
        ({"sample": "all"}, "sample is 'all'. Write a number from 0 to 1."),
        ({"max_rate": -0.1}, "max_rate is -0.1. Write a number from 0 to 1."),
        ({"grace": timedelta(seconds=-1)}, "grace is datetime.timedelta(days=-1, seconds=86399)"),
    ],
)
def test_a_sample_that_is_no_share_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(DeclarationError, match=r"Consistency\('consistency'\)") as raised:
        Consistency("consistency", model="flight-delay", **wrong)
    assert said in str(raised.value)


def test_a_target_that_is_no_share_is_refused() -> None:
    with pytest.raises(DeclarationError, match=r"target is 99. Write a number above 0 to 1."):
        Freshness("freshness", model="flight-delay", target=99)


def test_what_was_served_is_watched_unless_the_project_says_otherwise() -> None:
    own = Consistency("mine", model="a", sample=0)
    found = with_defaults([own], ["a", "b"], ["b"])
    assert found == [own, Consistency("consistency", model="b"), Freshness("freshness", model="b")]

"""Metrics of regressions and of many classes: undefined is None, nonsense is refused.

That they are right is held against scikit-learn in `tests/unit/trainer/test_tasks.py`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from monitoring import (
    class_accuracy,
    class_log_loss,
    mean_absolute_error,
    r_squared,
    root_mean_squared_error,
)
from monitoring.profiles import ReferenceProfile
from monitoring.profiles.building import TrainingSet, build_profile

REGRESSION = [mean_absolute_error, r_squared, root_mean_squared_error]
CLASSES = [class_accuracy, class_log_loss]
NO_ROWS = np.empty((0, 3))


@pytest.mark.parametrize("metric", REGRESSION)
def test_without_rows_a_regression_has_no_quality(metric: Callable[..., Any]) -> None:
    assert metric([], []) is None


@pytest.mark.parametrize("metric", CLASSES)
def test_without_rows_classes_have_no_quality(metric: Callable[..., Any]) -> None:
    assert metric([], NO_ROWS) is None


def test_labels_that_do_not_vary_explain_nothing() -> None:
    assert r_squared([2, 2], [1, 3]) is None
    assert root_mean_squared_error([2, 2], [1, 3]) == 1.0


@pytest.mark.parametrize("metric", REGRESSION)
@pytest.mark.parametrize(
    "pair", [([1.0], [1.0, 2.0]), ([[1.0]], [[1.0]]), ([np.nan], [1.0]), ([1.0], [np.inf])]
)
def test_a_regression_of_nonsense_is_refused(metric: Callable[..., Any], pair: tuple[Any, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        metric(*pair)


@pytest.mark.parametrize("metric", CLASSES)
@pytest.mark.parametrize(
    ("labels", "rows"),
    [
        ([3], [[0, 0, 1]]),
        ([-1], [[0, 0, 1]]),
        ([0.5], [[0, 1]]),
        ([0], [[2, 0]]),
        ([0], [[np.nan, 0]]),
        ([0], [1]),
    ],
)
def test_classes_of_nonsense_are_refused(metric: Callable[..., Any], labels: Any, rows: Any) -> None:
    with pytest.raises(ValueError, match="must"):
        metric(labels, rows)


def test_a_sure_mistake_costs_a_bounded_loss() -> None:
    assert class_log_loss([0], [[0.0, 1.0]]) == pytest.approx(36.04, abs=0.01)


@pytest.mark.parametrize(("labels", "rate"), [([0, 1, 1, 1], 0.75), ([0, 1, 2, 1], None), ([0.5] * 4, None)])
def test_labels_of_two_classes_have_a_rate_and_others_none(labels: list[float], rate: float | None) -> None:
    rows = TrainingSet(
        names=["a"],
        values=np.ones((4, 1), np.float32),
        present=np.ones((4, 1), np.bool_),
        statuses=[{"PRESENT": 4}],
        time_us=np.arange(4),
        labels=np.array(labels, np.float64),
        categories={},
    )
    assert ReferenceProfile.parse(build_profile(rows, np.array([0.5]))).label_rate == rate

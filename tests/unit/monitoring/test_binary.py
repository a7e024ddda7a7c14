from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from monitoring import accuracy, brier, log_loss, roc_auc
from sklearn import metrics

# Few distinct scores make ties; 0, 1 and their neighbours are the extremes that log loss must survive.
_SCORES = st.one_of(
    st.sampled_from([0.0, 5e-324, 1e-17, 0.25, 0.5, 0.75, 1 - 1e-16, 1.0]),
    st.floats(min_value=0.0, max_value=1.0),
)


@st.composite
def _labelled(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    size = draw(st.integers(min_value=2, max_value=40))
    labels = draw(hnp.arrays(np.int8, size, elements=st.integers(min_value=0, max_value=1)))
    scores = draw(hnp.arrays(np.float64, size, elements=_SCORES))
    return labels, scores


@given(_labelled())
def test_roc_auc_equals_scikit_learns_and_is_undefined_for_one_class(
    rows: tuple[np.ndarray, np.ndarray],
) -> None:
    labels, scores = rows
    if len(set(labels.tolist())) == 1:
        assert roc_auc(labels, scores) is None
    else:
        assert roc_auc(labels, scores) == pytest.approx(metrics.roc_auc_score(labels, scores), abs=1e-12)


@given(_labelled())
def test_log_loss_equals_scikit_learns_at_every_score(rows: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = rows
    expected = metrics.log_loss(labels, np.column_stack([1 - scores, scores]), labels=[0, 1])
    assert log_loss(labels, scores) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(_labelled())
def test_brier_equals_scikit_learns(rows: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = rows
    assert brier(labels, scores) == pytest.approx(
        metrics.brier_score_loss(labels, scores, pos_label=1), abs=1e-12
    )


@given(_labelled(), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_accuracy_counts_a_score_at_the_threshold_as_positive(
    rows: tuple[np.ndarray, np.ndarray], threshold: float
) -> None:
    labels, scores = rows
    assert accuracy(labels, scores, threshold) == pytest.approx(
        metrics.accuracy_score(labels, scores >= threshold)
    )


def test_a_confident_mistake_costs_a_finite_loss() -> None:
    assert log_loss([1], [0.0]) == pytest.approx(-np.log(np.finfo(np.float64).eps))
    assert log_loss([0], [1.0]) == pytest.approx(-np.log(np.finfo(np.float64).eps))


def test_every_metric_is_undefined_without_rows() -> None:
    assert roc_auc([], []) is None
    assert log_loss([], []) is None
    assert brier([], []) is None
    assert accuracy([], [], 0.5) is None


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -0.01, 1.01])
def test_a_score_that_is_no_probability_is_refused(score: float) -> None:
    with pytest.raises(ValueError, match=r"scores must be probabilities in \[0, 1\]"):
        roc_auc([0, 1], [0.5, score])


def test_a_label_that_is_neither_zero_nor_one_is_refused() -> None:
    with pytest.raises(ValueError, match="labels must be 0 or 1; found 2"):
        log_loss([0, 2], [0.5, 0.5])


def test_arrays_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="one length; found 2 and 1"):
        brier([0, 1], [0.5])


def test_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="scores must be one-dimensional"):
        brier([0, 1], [[0.5, 0.5]])

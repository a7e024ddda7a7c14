from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from monitoring import calibration_bins
from sklearn.calibration import calibration_curve

_PAIRS = st.lists(st.tuples(st.integers(0, 1), st.floats(0.0, 1.0)), min_size=1, max_size=60)


@given(st.integers(min_value=0, max_value=2**32 - 1))
def test_bins_equal_scikit_learns_uniform_curve(seed: int) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.random(500)
    labels = generator.random(500) < scores
    expected_rates, expected_scores = calibration_curve(labels, scores, n_bins=10)
    filled = [found for found in calibration_bins(labels, scores) if found.rows]
    assert [found.positive_rate for found in filled] == pytest.approx(list(expected_rates))
    assert [found.mean_score for found in filled] == pytest.approx(list(expected_scores))


@given(_PAIRS, st.integers(min_value=1, max_value=100))
def test_every_row_is_in_the_bin_that_holds_its_score(pairs: list[tuple[int, float]], bins: int) -> None:
    labels, scores = zip(*pairs, strict=True)
    found = calibration_bins(labels, scores, bins)
    expected = [
        sum(one.lower <= score < one.upper or (score == one.upper == 1.0) for score in scores)
        for one in found
    ]
    assert [one.rows for one in found] == expected
    assert sum(expected) == len(pairs)


def test_the_edges_belong_to_the_bin_above_and_one_to_the_last() -> None:
    found = calibration_bins([0, 1, 1], [0.0, 0.5, 1.0], bins=2)
    assert [one.rows for one in found] == [1, 2]
    assert found[1].positive_rate == 1.0


def test_an_empty_bin_has_no_rates() -> None:
    empty = calibration_bins([1], [0.9], bins=2)[0]
    assert (empty.rows, empty.mean_score, empty.positive_rate) == (0, None, None)


def test_no_bins_are_refused() -> None:
    with pytest.raises(ValueError, match="bins must be at least 1; found 0"):
        calibration_bins([1], [0.9], bins=0)

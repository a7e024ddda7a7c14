"""Intervals against independent implementations, and by how often they hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from monitoring import cosine_distances, rank_correlation, similarity_correlation
from monitoring.estimates import (
    LEAST_ROWS,
    correlation_estimate,
    mean_estimate,
    root_mean_difference,
    root_mean_estimate,
    share_difference,
    share_estimate,
)
from scipy import spatial, stats

NONE = np.zeros(0)


def test_the_interval_of_a_share_is_wilsons() -> None:
    for count in (0, 3, 50, 100):
        hits = np.arange(100) < count
        expected = stats.binomtest(count, 100).proportion_ci(0.95, method="wilson")
        found = share_estimate(hits)
        assert found is not None
        assert (found.lower, found.upper) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_interval_of_a_mean_is_the_normal_ones() -> None:
    values = np.random.default_rng(1).exponential(3, 80)
    found = mean_estimate(values)
    assert found is not None
    expected = stats.norm.interval(0.95, values.mean(), stats.sem(values))
    assert (found.lower, found.upper) == pytest.approx(expected)


def test_the_interval_of_a_difference_of_shares_holds_it_as_often_as_it_says() -> None:
    generator, held = np.random.default_rng(2), 0
    for _ in range(1_000):
        champion = generator.random(120) < 0.8
        challenger = np.where(generator.random(120) < 0.7, champion, generator.random(120) < 0.6)
        found = share_difference(challenger, champion)
        assert found is not None
        assert found.lower is not None
        assert found.upper is not None
        held += found.lower <= 0.3 * (0.6 - 0.8) <= found.upper
    assert 0.93 <= held / 1_000 <= 0.98


def test_shares_that_never_differ_have_an_interval_with_width() -> None:
    found = share_difference(np.ones(100) > 0, np.ones(100) > 0)
    assert found is not None
    assert found.value == 0.0
    assert found.lower is not None
    assert found.lower == pytest.approx(-0.027, abs=0.001)


def test_the_interval_of_a_rank_correlation_holds_it_as_often_as_it_says() -> None:
    generator, held = np.random.default_rng(3), 0
    truth = 6 / np.pi * np.arcsin(0.7 / 2)
    for _ in range(1_000):
        one, other = generator.multivariate_normal([0, 0], [[1, 0.7], [0.7, 1]], 80).T
        found = correlation_estimate(rank_correlation(one, other), 80)
        assert found is not None
        assert found.lower is not None
        assert found.upper is not None
        held += found.lower <= truth <= found.upper
    assert 0.93 <= held / 1_000 <= 0.975


def test_too_few_rows_have_no_interval_and_none_no_figure() -> None:
    few = np.arange(LEAST_ROWS - 1.0)
    for found in (mean_estimate(few), root_mean_estimate(few), root_mean_difference(few, few + 1)):
        assert found is not None
        assert found.lower is found.upper is None
    assert mean_estimate(NONE) is root_mean_estimate(NONE) is root_mean_difference(NONE, NONE) is None
    assert share_estimate(NONE > 0) is share_difference(NONE > 0, NONE > 0) is None
    assert correlation_estimate(None, 0) is None


def test_rank_correlation_is_scipys_and_undefined_where_nothing_is_ordered() -> None:
    generator = np.random.default_rng(4)
    one, other = generator.integers(0, 9, 200).astype(float), generator.normal(size=200)
    assert rank_correlation(one, other + one) == pytest.approx(stats.spearmanr(one, other + one).statistic)
    assert rank_correlation([1.0, 1.0], [1.0, 2.0]) is None
    assert rank_correlation([1.0], [1.0]) is None
    with pytest.raises(ValueError, match="finite"):
        rank_correlation([1.0, np.nan], [1.0, 2.0])


def test_cosine_distances_are_scipys_at_any_length_and_undefined_for_zeros() -> None:
    generator = np.random.default_rng(5)
    ours, theirs = generator.normal(size=(2, 20, 7)) * np.array([1e-200, 1e200])[:, None, None]
    expected = [spatial.distance.cosine(a * 1e200, b * 1e-200) for a, b in zip(ours, theirs, strict=True)]
    assert cosine_distances(ours, theirs) == pytest.approx(expected)
    assert np.isnan(cosine_distances([[0.0, 0.0]], [[1.0, 0.0]])).all()
    with pytest.raises(ValueError, match="one shape"):
        cosine_distances([[1.0]], [[1.0, 2.0]])


def test_who_is_near_to_whom_does_not_change_when_a_space_is_turned() -> None:
    generator = np.random.default_rng(6)
    ours = generator.normal(size=(300, 5))
    turn = np.linalg.qr(generator.normal(size=(5, 5)))[0]
    assert similarity_correlation(ours, 7 * ours @ turn) == pytest.approx(1.0)
    unrelated = similarity_correlation(ours, generator.normal(size=(300, 9)))
    assert unrelated is not None
    assert abs(unrelated) < 0.25
    assert similarity_correlation(ours[:2], ours[:2]) is None

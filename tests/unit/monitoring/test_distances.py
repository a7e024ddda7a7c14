"""Distances on counts, against scipy and scikit-learn on the samples behind the counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from monitoring import binned_roc_auc, kolmogorov_survival, ks, psi, roc_auc
from scipy import special, stats

COUNTS = st.integers(2, 12).flatmap(
    lambda bins: st.tuples(
        *(st.lists(st.integers(0, 500), min_size=bins, max_size=bins).filter(any) for _ in range(2))
    )
)


@given(COUNTS)
def test_psi_is_the_symmetric_divergence_of_smoothed_shares(counts: tuple[list[int], list[int]]) -> None:
    p, q = (np.array(one) + 0.5 for one in counts)
    expected = stats.entropy(p, q) + stats.entropy(q, p)
    assert psi(*counts) == pytest.approx(expected, abs=1e-12)


@given(COUNTS)
def test_psi_is_never_negative_symmetric_and_zero_on_itself(counts: tuple[list[int], list[int]]) -> None:
    first, second = counts
    found = psi(first, second)
    assert found is not None
    assert found >= 0
    assert found == pytest.approx(psi(second, first), abs=1e-12)
    assert psi(first, first) == 0


@given(COUNTS, st.randoms(use_true_random=False))
def test_psi_does_not_know_the_order_of_the_bins(counts: tuple[list[int], list[int]], random: object) -> None:
    pairs = list(zip(*counts, strict=True))
    shuffled = sorted(pairs, key=lambda _: random.random())  # type: ignore[attr-defined]
    assert psi(*zip(*shuffled, strict=True)) == pytest.approx(psi(*counts), abs=1e-12)


def test_psi_of_a_known_shift() -> None:
    # (0.6 - 0.5) ln(0.6 / 0.5) + (0.4 - 0.5) ln(0.4 / 0.5)
    assert psi([5_000_000, 5_000_000], [6_000_000, 4_000_000]) == pytest.approx(0.0405465, abs=1e-6)


def test_an_empty_bin_costs_something_finite_and_more_on_more_rows() -> None:
    few, many = psi([50, 50], [100, 0]), psi([5000, 5000], [10000, 0])
    assert few is not None
    assert many is not None
    assert 1 < few < many < math.inf


@pytest.mark.parametrize(("n", "m", "bins"), [(80_000, 500, 10), (80_000, 6_000, 10), (500, 500, 5)])
def test_without_drift_psi_is_as_large_as_its_expectation_says(n: int, m: int, bins: int) -> None:
    rng = np.random.default_rng(11)
    shares = np.full(bins, 1 / bins)
    found = [psi(rng.multinomial(n, shares), rng.multinomial(m, shares)) for _ in range(2000)]
    expected = (bins - 1) * (1 / n + 1 / m)
    assert np.mean(np.array(found, float)) == pytest.approx(expected, rel=0.1)


def test_without_drift_no_common_threshold_is_ever_passed() -> None:
    """26 weeks of 42 features of 500 rows: the declared 0.25 is ten times what chance does."""
    rng = np.random.default_rng(12)
    shares = np.full(10, 0.1)
    found = [psi(rng.multinomial(80_000, shares), rng.multinomial(500, shares)) for _ in range(26 * 42)]
    assert max(np.array(found, float)) < 0.1


@pytest.mark.parametrize("x", [*np.linspace(0.02, 8, 200), 1.1799, 1.18, 1e-4])
def test_the_survival_function_is_scipys(x: float) -> None:
    assert kolmogorov_survival(float(x)) == pytest.approx(special.kolmogorov(x), rel=1e-10, abs=0)


def test_nothing_is_below_a_statistic_of_zero() -> None:
    assert kolmogorov_survival(0.0) == 1.0
    assert kolmogorov_survival(-1.0) == 1.0


@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.integers(60, 400))
def test_ks_on_bins_is_the_samples_within_the_bins_resolution(seed: int, shift: float, size: int) -> None:
    rng = np.random.default_rng(seed)
    reference, current = rng.normal(size=1000), rng.normal(shift, size=size)
    edges = np.quantile(reference, np.arange(1, 100) / 100)
    counts = [np.bincount(np.searchsorted(edges, one), minlength=100) for one in (reference, current)]
    found, exact = ks(*counts), stats.ks_2samp(reference, current, method="asymp")
    resolution = max(float((one / one.sum()).max()) for one in counts)
    assert found is not None
    assert exact.statistic - resolution - 1e-12 <= found.statistic <= exact.statistic + 1e-12


def test_with_a_bin_a_value_ks_is_exact_and_its_p_value_the_limit_of_scipys() -> None:
    rng = np.random.default_rng(5)
    reference, current = rng.integers(0, 40, 20_000), rng.integers(0, 41, 9_000)
    found = ks(np.bincount(reference, minlength=41), np.bincount(current, minlength=41))
    exact = stats.ks_2samp(reference, current, method="asymp")
    assert found is not None
    assert found.statistic == pytest.approx(exact.statistic, abs=1e-12)
    assert found.p_value == pytest.approx(exact.pvalue, rel=0.1)


def test_the_p_value_is_seldom_small_without_drift() -> None:
    rng = np.random.default_rng(6)
    shares = np.full(100, 0.01)
    found = [ks(rng.multinomial(80_000, shares), rng.multinomial(1_000, shares)) for _ in range(2000)]
    assert np.mean([one is not None and one.p_value < 0.05 for one in found]) < 0.06


_SCORES = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9)), min_size=2, max_size=60)


@given(_SCORES)
def test_auc_on_bins_is_exact_where_a_bin_is_a_score(rows: list[tuple[int, int]]) -> None:
    labels, scores = np.array(rows).T
    found = binned_roc_auc(
        np.bincount(scores[labels == 1], minlength=10), np.bincount(scores[labels == 0], minlength=10)
    )
    assert found == pytest.approx(roc_auc(labels, scores / 10), abs=1e-12)


def test_auc_on_percentile_bins_is_within_its_bound() -> None:
    rng = np.random.default_rng(7)
    labels = rng.integers(0, 2, 5000)
    scores = 1 / (1 + np.exp(-rng.normal(labels)))
    bins = np.searchsorted(np.quantile(scores, np.arange(1, 100) / 100), scores)
    positives, negatives = (np.bincount(bins[labels == label], minlength=100) for label in (1, 0))
    bound = (positives / positives.sum() * negatives / negatives.sum()).sum() / 2
    assert binned_roc_auc(positives, negatives) == pytest.approx(roc_auc(labels, scores), abs=bound)
    assert bound < 0.005


def test_an_empty_sample_is_at_no_distance() -> None:
    assert psi([0, 0], [1, 2]) is None
    assert psi([1, 2], [0, 0]) is None
    assert ks([1, 2], [0, 0]) is None
    assert binned_roc_auc([0, 0], [1, 2]) is None
    assert binned_roc_auc([1, 2], [0, 0]) is None


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ([1, 2], [1, 2, 3], "same bins"),
        ([[1, 2]], [[1, 2]], "same bins"),
        ([1, -1], [1, 2], "not negative"),
        ([1, 2], [math.nan, 2], "finite"),
    ],
)
def test_counts_of_something_else_are_refused(first: list[float], second: list[float], said: str) -> None:
    for distance in (psi, ks, binned_roc_auc):
        with pytest.raises(ValueError, match=said):
            distance(first, second)

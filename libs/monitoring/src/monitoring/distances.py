"""How far two samples are apart, from how many of each fell into the same bins.

Counts are exact and can be summed in any order over processes and days; the samples are not needed.
An answer is `None` where a sample is empty: "undefined" must not be mistaken for a distance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_PSEUDO_COUNT: Final = 0.5
_SERIES_TERMS: Final = 20
# Where the two series of Kolmogorov's distribution converge about equally fast.
_SERIES_CHANGE: Final = 1.18


@dataclass(frozen=True, slots=True)
class Ks:
    """A two-sample Kolmogorov-Smirnov test on common bins.

    Attributes:
        statistic: The greatest difference of the two distribution functions at an edge of the bins. The
            samples' own may be greater, by no more than the fullest bin's share of either sample.
        p_value: The asymptotic chance of such a statistic when there is no difference; with ties, and with
            differences within a bin unseen, it errs upwards.
    """

    statistic: float
    p_value: float


def psi(reference_counts: ArrayLike, current_counts: ArrayLike) -> float | None:
    """Return the population stability index: 0 for equal shares, growing without bound.

    The sum over bins of (q - p) ln(q / p), p and q being the shares of the reference and of the current
    sample (Lewis, "An Introduction to Credit Scoring", 1994; it is Jeffreys' divergence, 1946). Half a count
    is added to every bin of both samples, so that an empty bin costs what half a row would, not infinity.
    Where nothing differs its expectation is about (bins - 1)(1/n + 1/m) (Yurdakul, "Statistical Properties
    of Population Stability Index", 2018): on few rows a rule such as "0.25 is a shift" does not hold.

    Raises:
        ValueError: The counts are not one-dimensional, differ in length, or one is negative.
    """
    reference, current = _checked(reference_counts, current_counts)
    if not (reference.any() and current.any()):
        return None
    p, q = _smoothed_shares(reference), _smoothed_shares(current)
    return math.fsum((q - p) * np.log(q / p))


def ks(reference_counts: ArrayLike, current_counts: ArrayLike) -> Ks | None:
    """Test whether two samples, counted in the same ordered bins, have one distribution (Smirnov 1939).

    Raises:
        ValueError: As `psi`.
    """
    reference, current = _checked(reference_counts, current_counts)
    n, m = float(reference.sum()), float(current.sum())
    if not (n and m):
        return None
    statistic = float(np.abs(np.cumsum(reference) / n - np.cumsum(current) / m).max())
    return Ks(statistic, kolmogorov_survival(math.sqrt(n * m / (n + m)) * statistic))


def kolmogorov_survival(x: float) -> float:
    """Return the chance that Kolmogorov's statistic exceeds `x`, its limit for large samples.

    Kolmogorov (1933) for large x, and its theta transform for small (Marsaglia, Tsang & Wang, "Evaluating
    Kolmogorov's Distribution", Journal of Statistical Software 8(18), 2003).
    """
    if x <= 0:
        return 1.0
    if x < _SERIES_CHANGE:
        odd = range(1, 2 * _SERIES_TERMS, 2)
        below = math.fsum(math.exp(-((k * math.pi) ** 2) / (8 * x * x)) for k in odd)
        return 1.0 - math.sqrt(2 * math.pi) / x * below
    terms = range(1, _SERIES_TERMS)
    return 2 * math.fsum((-1) ** (k - 1) * math.exp(-2 * k * k * x * x) for k in terms)


def binned_roc_auc(positive_counts: ArrayLike, negative_counts: ArrayLike) -> float | None:
    """Return ROC AUC from how many positives and negatives scored in each bin, in the order of the scores.

    Rows of one bin count as ties, at their mid-rank. It differs from the exact area by at most half the sum
    over bins of (share of positives in it) x (share of negatives in it).

    Raises:
        ValueError: As `psi`.
    """
    positives, negatives = _checked(positive_counts, negative_counts)
    total = float(positives.sum()) * float(negatives.sum())
    if not total:
        return None
    below = np.cumsum(negatives) - negatives / 2
    return float((positives * below).sum()) / total


def _smoothed_shares(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    smoothed = counts + _PSEUDO_COUNT
    shares: NDArray[np.float64] = smoothed / smoothed.sum()
    return shares


def _checked(first: ArrayLike, second: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if one.ndim != 1 or one.shape != other.shape:
        raise ValueError(f"counts must be of the same bins; found shapes {one.shape} and {other.shape}")
    for counts in (one, other):
        if not (np.isfinite(counts).all() and (counts >= 0).all()):
            raise ValueError("counts must be finite and not negative")
    return one, other

"""Quality of a binary classifier's scores against the truth.

Every metric answers `None` where it is undefined (no rows; for ROC AUC also one class only), never NaN:
"undefined" must not be mistaken for a figure. Labels are 0 or 1, scores are probabilities in [0, 1]; anything
else raises `ValueError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitoring.checks import checked_pair
from monitoring.ranks import mid_ranks

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_SMALLEST_PROBABILITY = float(np.finfo(np.float64).eps)


def roc_auc(labels: ArrayLike, scores: ArrayLike) -> float | None:
    """Return the probability that a positive outranks a negative, ties counting half.

    The Mann-Whitney statistic over mid-ranks (Hanley & McNeil 1982), so equal scores need no special case.
    """
    truth, values = checked_pair(labels, scores)
    positives = int(truth.sum())
    negatives = truth.size - positives
    if positives == 0 or negatives == 0:
        return None
    rank_sum = float(mid_ranks(values)[truth == 1.0].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def log_losses(labels: ArrayLike, scores: ArrayLike) -> NDArray[np.float64]:
    """Return each row's negative log likelihood, in nats.

    Scores are kept one machine epsilon away from 0 and 1: a confident mistake costs 36 nats, not infinity.
    """
    truth, values = checked_pair(labels, scores)
    bounded = np.clip(values, _SMALLEST_PROBABILITY, 1.0 - _SMALLEST_PROBABILITY)
    return -np.log(np.where(truth == 1.0, bounded, 1.0 - bounded))


def log_loss(labels: ArrayLike, scores: ArrayLike) -> float | None:
    """Return the mean negative log likelihood, in nats."""
    return _mean(log_losses(labels, scores))


def brier(labels: ArrayLike, scores: ArrayLike) -> float | None:
    """Return the mean squared difference of score and outcome (Brier 1950)."""
    truth, values = checked_pair(labels, scores)
    return _mean(np.square(values - truth))


def accuracy(labels: ArrayLike, scores: ArrayLike, threshold: float) -> float | None:
    """Return the share of rows decided rightly; at or above `threshold` is decided positive."""
    truth, values = checked_pair(labels, scores)
    return _mean((values >= threshold) == (truth == 1.0))


def _mean(values: NDArray[np.float64] | NDArray[np.bool_]) -> float | None:
    return float(values.mean()) if values.size else None

"""Quality of a classifier of many classes against the truth.

Labels are class numbers from 0, probabilities [n, classes]. Every metric answers `None` without rows, never
NaN; anything else raises `ValueError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_SMALLEST_PROBABILITY = float(np.finfo(np.float64).eps)


def class_log_losses(labels: ArrayLike, probabilities: ArrayLike) -> NDArray[np.float64]:
    """Return each row's negative log likelihood of its true class, in nats.

    Probabilities are kept one machine epsilon away from 0 and 1, as those of two classes are.
    """
    truth, rows = _checked(labels, probabilities)
    likely = np.clip(rows[np.arange(len(truth)), truth], _SMALLEST_PROBABILITY, 1.0 - _SMALLEST_PROBABILITY)
    return -np.log(likely)


def class_log_loss(labels: ArrayLike, probabilities: ArrayLike) -> float | None:
    """Return the mean negative log likelihood of the true classes, in nats."""
    losses = class_log_losses(labels, probabilities)
    return float(losses.mean()) if losses.size else None


def class_hits(labels: ArrayLike, probabilities: ArrayLike) -> NDArray[np.bool_]:
    """Return where the likeliest class, the first of equals, is the true one."""
    truth, rows = _checked(labels, probabilities)
    return np.asarray(rows.argmax(axis=1) == truth)


def class_accuracy(labels: ArrayLike, probabilities: ArrayLike) -> float | None:
    """Return the share of rows whose likeliest class is the true one."""
    hits = class_hits(labels, probabilities)
    return float(hits.mean()) if hits.size else None


def _checked(labels: ArrayLike, probabilities: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    truth, rows = np.asarray(labels, np.float64), np.asarray(probabilities, np.float64)
    if truth.ndim != 1 or rows.ndim != 2 or len(truth) != len(rows):
        raise ValueError(f"labels {truth.shape} and probabilities {rows.shape} must have the same rows")
    if not (np.isfinite(rows).all() and ((rows >= 0) & (rows <= 1)).all()):
        raise ValueError("probabilities must be from 0 to 1")
    if not np.isin(truth, np.arange(rows.shape[1])).all():
        raise ValueError(f"labels must be class numbers from 0 to {rows.shape[1] - 1}")
    return truth.astype(np.int64), rows

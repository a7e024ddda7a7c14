"""Quality of a regression's values against the truth, in the label's own unit.

Every metric answers `None` where it is undefined, never NaN. What is not finite raises `ValueError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def root_mean_squared_error(labels: ArrayLike, values: ArrayLike) -> float | None:
    """Return the square root of the mean squared difference."""
    errors = _errors(labels, values)
    return float(np.sqrt(np.square(errors).mean())) if errors.size else None


def mean_absolute_error(labels: ArrayLike, values: ArrayLike) -> float | None:
    """Return the mean size of the differences."""
    errors = _errors(labels, values)
    return float(np.abs(errors).mean()) if errors.size else None


def bias(labels: ArrayLike, values: ArrayLike) -> float | None:
    """Return the mean difference, values less labels: above 0 where too much was foretold."""
    errors = _errors(labels, values)
    return float(errors.mean()) if errors.size else None


def r_squared(labels: ArrayLike, values: ArrayLike) -> float | None:
    """Return the share of the labels' variance that the values explain; undefined where there is none."""
    errors = _errors(labels, values)
    truth = np.asarray(labels, np.float64)
    # Of equal labels the mean may be a bit off, which is no variance.
    varies = truth.size > 0 and truth.min() < truth.max()
    spread = float(np.square(truth - truth.mean()).sum()) if varies else 0.0
    return 1.0 - float(np.square(errors).sum()) / spread if spread else None


def _errors(labels: ArrayLike, values: ArrayLike) -> NDArray[np.float64]:
    truth, found = np.asarray(labels, np.float64), np.asarray(values, np.float64)
    if truth.ndim != 1 or truth.shape != found.shape:
        raise ValueError(f"labels {truth.shape} and values {found.shape} must be lists of one length")
    if not (np.isfinite(truth).all() and np.isfinite(found).all()):
        raise ValueError("labels and values must be finite")
    return np.asarray(found - truth)

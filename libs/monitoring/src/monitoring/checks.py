"""What every statistic of this package demands of its inputs, said once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def checked_labels(labels: ArrayLike) -> NDArray[np.float64]:
    """Return `labels` as a float array of zeros and ones.

    Raises:
        ValueError: A label is neither 0 nor 1, or the array is not one-dimensional.
    """
    values = _one_dimensional("labels", labels)
    if not np.isin(values, (0.0, 1.0)).all():
        raise ValueError(f"labels must be 0 or 1; found {_first(values[~np.isin(values, (0.0, 1.0))])}")
    return values


def checked_scores(scores: ArrayLike) -> NDArray[np.float64]:
    """Return `scores` as a float array of probabilities.

    Raises:
        ValueError: A score is not finite or lies outside [0, 1], or the array is not one-dimensional.
    """
    values = _one_dimensional("scores", scores)
    outside = ~((values >= 0.0) & (values <= 1.0))
    if outside.any():
        raise ValueError(f"scores must be probabilities in [0, 1]; found {_first(values[outside])}")
    return values


def checked_pair(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both arrays checked, of one length.

    Raises:
        ValueError: As `checked_labels` and `checked_scores`, or the lengths differ.
    """
    label_values, score_values = checked_labels(labels), checked_scores(scores)
    same_length("labels", label_values, "scores", score_values)
    return label_values, score_values


def same_length(name: str, values: NDArray[np.float64], other_name: str, other: NDArray[np.float64]) -> None:
    """Raise `ValueError` unless both arrays have one length."""
    if values.size != other.size:
        raise ValueError(
            f"{name} and {other_name} must have one length; found {values.size} and {other.size}"
        )


def _one_dimensional(name: str, values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional; found {array.ndim} dimensions")
    return array


def _first(values: NDArray[np.float64]) -> float:
    return float(values[0])

"""How far two versions differ on the same requests, which needs no truth.

A version decides for the positive class at or above the decision threshold. A share or a mean is `None` where
there is no pair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitoring.checks import checked_scores, same_length

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def flips(champion: ArrayLike, challenger: ArrayLike, threshold: float) -> int:
    """Return how many requests the two decide differently."""
    ours, theirs = _checked(champion, challenger)
    return int(np.count_nonzero((ours >= threshold) != (theirs >= threshold)))


def agreement(champion: ArrayLike, challenger: ArrayLike, threshold: float) -> float | None:
    """Return the share of requests the two decide alike."""
    ours, _ = _checked(champion, challenger)
    return 1.0 - flips(champion, challenger, threshold) / ours.size if ours.size else None


def mean_absolute_difference(champion: ArrayLike, challenger: ArrayLike) -> float | None:
    """Return the mean absolute difference of the two scores, whatever they are; they must be finite."""
    ours, theirs = np.asarray(champion, np.float64), np.asarray(challenger, np.float64)
    same_length("champion", ours, "challenger", theirs)
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        raise ValueError("scores must be finite")
    return float(np.abs(ours - theirs).mean()) if ours.size else None


def _checked(champion: ArrayLike, challenger: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    ours, theirs = checked_scores(champion), checked_scores(challenger)
    same_length("champion", ours, "challenger", theirs)
    return ours, theirs

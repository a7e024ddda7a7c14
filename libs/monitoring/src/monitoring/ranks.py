"""Order, whatever the unit: ranks, and how alike two versions order the same requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitoring.checks import same_length

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def mid_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each value's rank from 1; equal values share the mean of theirs."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    last_rank = np.cumsum(sizes)
    ranks: NDArray[np.float64] = last_rank - (sizes - 1) / 2
    return ranks[group]


def rank_correlation(ours: ArrayLike, theirs: ArrayLike) -> float | None:
    """Return Spearman's rho, ties by mid-ranks; `None` below two pairs or where one side is all the same.

    Raises:
        ValueError: A value is not finite, or the lengths differ.
    """
    one, other = _finite(ours), _finite(theirs)
    same_length("ours", one, "theirs", other)
    if one.size < 2:
        return None
    one, other = (mid_ranks(column) - (column.size + 1) / 2 for column in (one, other))
    spread = float(np.sqrt(np.square(one).sum() * np.square(other).sum()))
    return float((one * other).sum()) / spread if spread else None


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    column = np.asarray(values, np.float64)
    if column.ndim != 1 or not np.isfinite(column).all():
        raise ValueError("values must be a list of finite numbers")
    return column

"""How alike two versions place the same requests, which needs no truth.

Cosine distance takes both versions to speak of one space, as a version fine-tuned from the other does.
Versions that were trained apart need not: a turned space has any distance and is as good. What stays the same
when a space is turned or stretched is which requests are near to each other: `similarity_correlation`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from monitoring.ranks import rank_correlation

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def cosine_distances(ours: ArrayLike, theirs: ArrayLike) -> NDArray[np.float64]:
    """Return 1 less the cosine of each pair of rows, 0 ... 2, float64[n]; NaN where a row is all zeros.

    Raises:
        ValueError: The arrays are not [n, width] of one shape, or a number is not finite.
    """
    one, other = _unit_rows(ours), _unit_rows(theirs)
    if one.shape != other.shape:
        raise ValueError(f"rows {one.shape} and {other.shape} must have one shape")
    # Half the squared distance of unit vectors: 1 - cos loses every digit where they are nearly alike.
    return np.asarray(np.square(one - other).sum(axis=1) / 2)


def similarity_correlation(ours: ArrayLike, theirs: ArrayLike) -> float | None:
    """Return the rank correlation of the cosine similarities that each gives to the same pairs of requests.

    Pairs are rows 0 and 1, 2 and 3, and so on: no request is in two of them, so they are independent where
    the order of requests has nothing to do with what they are. Widths may differ. The idea is
    representational similarity analysis (Kriegeskorte, Mur & Bandettini 2008), on a sample of the pairs.

    Returns:
        From -1 to 1; None where there are fewer than two pairs without a row of zeros, or all are equal.

    Raises:
        ValueError: The arrays are not [n, width] with the same n, or a number is not finite.
    """
    one, other = _unit_rows(ours), _unit_rows(theirs)
    if len(one) != len(other):
        raise ValueError(f"rows {one.shape} and {other.shape} must be of the same requests")
    first, second = _similarities(one), _similarities(other)
    known = np.isfinite(first) & np.isfinite(second)
    return rank_correlation(first[known], second[known])


def _similarities(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    whole = len(rows) // 2 * 2
    return np.asarray((rows[0:whole:2] * rows[1:whole:2]).sum(axis=1))


def _unit_rows(rows: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(rows, np.float64)
    if values.ndim != 2 or not np.isfinite(values).all():
        raise ValueError(f"rows must be [n, width] of finite numbers; found {values.shape}")
    if not values.size:
        return np.full(values.shape, np.nan)
    # Scaled first, so that no square overflows.
    largest = np.abs(values).max(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        scaled = values / largest
    return np.asarray(scaled / np.sqrt(np.square(scaled).sum(axis=1, keepdims=True)))

"""Figures with the interval that the rows behind them give.

Intervals are of 95 % and take rows as independent of each other; where rows of one day share the day's
fortunes they are too narrow for the next day, and `monitoring.sequential` is what to decide by. They rest on
the normal approximation, so there is none below `LEAST_ROWS`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Column = NDArray[np.float64]

LEAST_ROWS: Final = 30
_Z: Final = 1.959963984540054
"""The normal distribution's 97.5 % quantile."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure.

    Attributes:
        lower: None where there are too few rows, or no interval is known for the figure.
        upper: See above.
    """

    value: float
    lower: float | None = None
    upper: float | None = None


def mean_estimate(values: Column) -> Estimate | None:
    """Return the mean; None without rows."""
    if not values.size:
        return None
    return _around(float(values.mean()), _standard_error(values), values.size)


def root_mean_estimate(squares: Column) -> Estimate | None:
    """Return the root of a mean of squares; its interval is the root of the mean's."""
    mean = mean_estimate(squares)
    if mean is None:
        return None
    if mean.lower is None or mean.upper is None:
        return Estimate(math.sqrt(mean.value))
    return Estimate(math.sqrt(mean.value), math.sqrt(max(0.0, mean.lower)), math.sqrt(mean.upper))


def root_mean_difference(squares: Column, before: Column) -> Estimate | None:
    """Return the root of a mean of squares less that of others of the same rows.

    By the delta method: each row moves a root by its square over twice the root.
    """
    if not squares.size:
        return None
    roots = [math.sqrt(float(column.mean())) for column in (squares, before)]
    value = roots[0] - roots[1]
    if not all(roots):
        return Estimate(value)
    influence = squares / (2 * roots[0]) - before / (2 * roots[1])
    return _around(value, _standard_error(influence), squares.size)


def share_estimate(hits: NDArray[np.bool_]) -> Estimate | None:
    """Return the share of rows that are hits, with Wilson's interval (1927): it has width at 0 and 1 too."""
    if not hits.size:
        return None
    rows, share = hits.size, float(hits.mean())
    if rows < LEAST_ROWS:
        return Estimate(share)
    weight = 1 + _Z**2 / rows
    middle = (share + _Z**2 / (2 * rows)) / weight
    half = _Z / weight * math.sqrt(share * (1 - share) / rows + _Z**2 / (4 * rows**2))
    return Estimate(share, max(0.0, middle - half), min(1.0, middle + half))


def share_difference(hits: NDArray[np.bool_], before: NDArray[np.bool_]) -> Estimate | None:
    """Return a share less another of the same rows, with the adjusted interval of Bonett & Price (2012)."""
    if not hits.size:
        return None
    rows = hits.size
    gained, lost = int(np.count_nonzero(hits & ~before)), int(np.count_nonzero(before & ~hits))
    value = (gained - lost) / rows
    if rows < LEAST_ROWS:
        return Estimate(value)
    up, down = (gained + 1) / (rows + 2), (lost + 1) / (rows + 2)
    middle = up - down
    half = _Z * math.sqrt((up + down - middle**2) / (rows + 2))
    return Estimate(value, max(-1.0, middle - half), min(1.0, middle + half))


def correlation_estimate(value: float | None, rows: int) -> Estimate | None:
    """Return a rank correlation of so many pairs, with the interval of Bonett & Wright (2000)."""
    if value is None:
        return None
    if rows < LEAST_ROWS:
        return Estimate(value)
    if abs(value) >= 1.0:
        return Estimate(value, value, value)
    half = _Z * math.sqrt((1 + value**2 / 2) / (rows - 3))
    middle = math.atanh(value)
    return Estimate(value, math.tanh(middle - half), math.tanh(middle + half))


def _standard_error(values: Column) -> float:
    return float(values.std(ddof=1)) / math.sqrt(values.size) if values.size > 1 else math.inf


def _around(value: float, standard_error: float, rows: int) -> Estimate:
    if rows < LEAST_ROWS:
        return Estimate(value)
    return Estimate(value, value - _Z * standard_error, value + _Z * standard_error)

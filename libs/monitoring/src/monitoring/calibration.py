"""Whether a score of 0.3 comes true three times in ten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitoring.checks import checked_pair

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """The rows whose score lies in [lower, upper), the last bin's upper bound included.

    `mean_score` and `positive_rate` are `None` where `rows` is 0.
    """

    lower: float
    upper: float
    rows: int
    mean_score: float | None
    positive_rate: float | None


def calibration_bins(labels: ArrayLike, scores: ArrayLike, bins: int = 10) -> tuple[CalibrationBin, ...]:
    """Return `bins` bins of equal width over [0, 1], in order, empty ones included.

    Raises:
        ValueError: `bins` is below 1, or labels or scores are not what `monitoring.binary` takes.
    """
    if bins < 1:
        raise ValueError(f"bins must be at least 1; found {bins}")
    truth, values = checked_pair(labels, scores)
    edges = np.linspace(0.0, 1.0, bins + 1)
    # Against the edges, not `floor(score * bins)`: 0.29 * 100 is 28.99... and would fall one bin low.
    member = np.minimum(np.searchsorted(edges, values, side="right") - 1, bins - 1)
    rows = np.bincount(member, minlength=bins)
    score_sums = np.bincount(member, weights=values, minlength=bins)
    positives = np.bincount(member, weights=truth, minlength=bins)
    return tuple(
        CalibrationBin(
            lower=float(edges[index]),
            upper=float(edges[index + 1]),
            rows=int(count),
            mean_score=float(score_sums[index] / count) if count else None,
            positive_rate=float(positives[index] / count) if count else None,
        )
        for index, count in enumerate(rows)
    )

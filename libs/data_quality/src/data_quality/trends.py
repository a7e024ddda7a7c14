"""How a figure was on the days before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from data_quality.findings import Trend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from data_quality.findings import Day, Finding

TREND_DAYS: Final = 28
_FEWEST_DAYS: Final = 7
_MAD_TO_SIGMA: Final = 1.4826
"""The standard deviation of a normal distribution in units of its MAD (Rousseeuw and Croux 1993)."""


def trend_of(finding: Finding, before: Sequence[tuple[Day, Sequence[Finding]]]) -> Trend | None:
    """Return a finding's trend over the days before; None where none of them has its figure.

    Args:
        finding: The day's own.
        before: Each day's findings, ascending by day.
    """
    values = tuple(
        (day, one.value)
        for day, findings in before
        for one in findings
        if one.name == finding.name and one.value is not None and one.rows
    )
    if not values:
        return None
    figures = np.array([value for _, value in values], np.float64)
    median = float(np.median(figures))
    mad = float(np.median(np.abs(figures - median)))
    deviations = None
    if finding.value is not None and mad > 0 and len(values) >= _FEWEST_DAYS:
        deviations = (finding.value - median) / (_MAD_TO_SIGMA * mad)
    return Trend(values, median, mad, deviations)

"""Regressions: versions are judged by squared error, which is least for whoever foretells the mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from monitoring import Differences, Estimate, r_squared
from monitoring.estimates import mean_estimate, root_mean_difference, root_mean_estimate

from shadow_comparator.domain.binary import of_losses
from shadow_comparator.domain.measures import Figures, Measure

if TYPE_CHECKING:
    from shadow_comparator.domain.measures import Column, Pairs


def figures(pairs: Pairs) -> Figures:
    """Measure pairs of values, in the label's own unit."""
    labels, ours, theirs = (column[pairs.labelled] for column in (pairs.labels, pairs.ours, pairs.theirs))
    before, after = ours - labels, theirs - labels
    squares_before, squares = np.square(before), np.square(after)
    return Figures(
        labelled=labels.size,
        measures=(
            Measure(
                "rmse",
                labels.size,
                root_mean_estimate(squares_before),
                root_mean_estimate(squares),
                root_mean_difference(squares, squares_before),
            ),
            of_losses("mae", np.abs(before), np.abs(after)),
            of_losses("bias", before, after),
            _r_squared(labels, ours, theirs),
            difference_of_scores(pairs),
        ),
        differences=Differences.of(squares - squares_before, squares_before),
    )


def difference_of_scores(pairs: Pairs) -> Measure:
    """Measure how far apart the two answer."""
    apart = np.abs(pairs.ours - pairs.theirs)
    return Measure("mean_absolute_difference", apart.size, between=mean_estimate(apart))


def _r_squared(labels: Column, ours: Column, theirs: Column) -> Measure:
    first, second = r_squared(labels, ours), r_squared(labels, theirs)
    if first is None or second is None:
        return Measure("r_squared", labels.size)
    return Measure("r_squared", labels.size, Estimate(first), Estimate(second), Estimate(second - first))

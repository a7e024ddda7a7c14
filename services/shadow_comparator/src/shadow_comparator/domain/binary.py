"""Two classes: scores are probabilities, versions are judged by log loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from monitoring import Differences, Estimate, accuracy, brier, flips, log_loss, log_losses, roc_auc
from monitoring.estimates import mean_estimate, share_difference, share_estimate

from shadow_comparator.domain.measures import Figures, Measure, Quality

if TYPE_CHECKING:
    from shadow_comparator.domain.measures import Column, Pairs
    from shadow_comparator.domain.tasks import ModelRules


def figures(pairs: Pairs, rules: ModelRules) -> Figures:
    """Measure pairs of scores."""
    labels, ours, theirs = (column[pairs.labelled] for column in (pairs.labels, pairs.ours, pairs.theirs))
    before, losses = log_losses(labels, ours), log_losses(labels, theirs)
    rows = labels.size
    squares = np.square(ours - labels), np.square(theirs - labels)
    ours_right, theirs_right = ((scores >= rules.threshold) == (labels == 1.0) for scores in (ours, theirs))
    alike = (pairs.ours >= rules.threshold) == (pairs.theirs >= rules.threshold)
    return Figures(
        labelled=rows,
        measures=(
            of_losses("log_loss", before, losses),
            of_losses("brier", *squares),
            of_hits(ours_right, theirs_right),
            _roc_auc(labels, ours, theirs),
            Measure("agreement", alike.size, between=share_estimate(alike)),
        ),
        differences=Differences.of(losses - before, before),
        agreement=float(1.0 - np.count_nonzero(~alike) / alike.size),
        flips=flips(pairs.ours, pairs.theirs, rules.threshold),
    )


def quality(version: str, labels: Column, scores: Column, threshold: float) -> Quality:
    """Return one version's metrics."""
    return Quality(
        version=version,
        labelled=labels.size,
        positives=int(labels.sum()),
        roc_auc=roc_auc(labels, scores),
        log_loss=log_loss(labels, scores),
        brier=brier(labels, scores),
        accuracy=accuracy(labels, scores, threshold),
    )


def of_losses(name: str, before: Column, losses: Column) -> Measure:
    """Measure a mean of losses of the same rows."""
    return Measure(
        name, losses.size, mean_estimate(before), mean_estimate(losses), mean_estimate(losses - before)
    )


def of_hits(before: np.typing.NDArray[np.bool_], hits: np.typing.NDArray[np.bool_]) -> Measure:
    """Measure the accuracy of decisions about the same rows."""
    return Measure(
        "accuracy", hits.size, share_estimate(before), share_estimate(hits), share_difference(hits, before)
    )


def _roc_auc(labels: Column, ours: Column, theirs: Column) -> Measure:
    first, second = roc_auc(labels, ours), roc_auc(labels, theirs)
    if first is None or second is None:
        return Measure("roc_auc", labels.size)
    return Measure("roc_auc", labels.size, Estimate(first), Estimate(second), Estimate(second - first))

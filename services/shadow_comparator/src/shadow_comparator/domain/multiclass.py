"""Many classes: versions are judged by the log loss of the class that came true."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from monitoring import Differences, class_hits, class_log_losses
from monitoring.estimates import share_estimate

from shadow_comparator.domain.binary import of_hits, of_losses
from shadow_comparator.domain.measures import Figures, Measure, rows_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shadow_comparator.domain.measures import Column, Pairs
    from shadow_comparator.domain.tasks import ModelRules


def figures(pairs: Pairs, rules: ModelRules) -> Figures:
    """Measure pairs of probabilities; a pair of which one side was not recorded is left out."""
    known = _known(pairs, rules.classes)
    if not known.any():
        return Figures(0, ())
    ours, theirs = (
        rows_of(numbers, known, rules.classes) for numbers in (pairs.our_numbers, pairs.their_numbers)
    )
    alike = ours.argmax(axis=1) == theirs.argmax(axis=1)
    labelled = pairs.labelled[known]
    measures, differences = _against_outcomes(pairs.labels[known][labelled], ours[labelled], theirs[labelled])
    agreement = Measure("agreement", alike.size, between=share_estimate(alike))
    return Figures(
        labelled=int(labelled.sum()),
        measures=(*measures, agreement),
        differences=differences,
        agreement=float(alike.mean()),
        flips=int(np.count_nonzero(~alike)),
    )


def _known(pairs: Pairs, classes: int) -> NDArray[np.bool_]:
    size = 8 * classes
    both = zip(pairs.our_numbers, pairs.their_numbers, strict=True)
    return np.array([len(ours) == len(theirs) == size for ours, theirs in both], np.bool_)


def _against_outcomes(
    labels: Column, ours: Column, theirs: Column
) -> tuple[tuple[Measure, ...], Differences]:
    before, losses = class_log_losses(labels, ours), class_log_losses(labels, theirs)
    measures = (
        of_losses("log_loss", before, losses),
        of_hits(class_hits(labels, ours), class_hits(labels, theirs)),
    )
    return measures, Differences.of(losses - before, before)

"""Rankings and embeddings: how alike two versions answer. No outcome says which of them is better."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from monitoring import cosine_distances, rank_correlation, similarity_correlation
from monitoring.estimates import correlation_estimate, mean_estimate

from shadow_comparator.domain.measures import Figures, Measure, rows_of
from shadow_comparator.domain.regression import difference_of_scores

if TYPE_CHECKING:
    from shadow_comparator.domain.measures import Column, Pairs


def of_rankings(pairs: Pairs) -> Figures:
    """Measure how alike two versions order the requests of a window."""
    rows = pairs.ours.size
    order = correlation_estimate(rank_correlation(pairs.ours, pairs.theirs), rows)
    return Figures(
        labelled=0,
        measures=(Measure("rank_correlation", rows, between=order), difference_of_scores(pairs)),
    )


def of_embeddings(pairs: Pairs) -> Figures:
    """Measure how alike two versions place the requests of a window.

    Only requests whose vectors were recorded count, each side's of the width that most of them have. Versions
    of two widths have no cosine distance; which requests lie near to each other can be compared all the same.
    """
    widths = [_commonest(numbers) for numbers in (pairs.our_numbers, pairs.their_numbers)]
    both = zip(pairs.our_numbers, pairs.their_numbers, strict=True)
    known = np.array([[len(ours), len(theirs)] == widths for ours, theirs in both], np.bool_)
    if not all(widths) or not known.any():
        return Figures(0, ())
    ours, theirs = (
        rows_of(numbers, known, width // 8)
        for numbers, width in zip((pairs.our_numbers, pairs.their_numbers), widths, strict=True)
    )
    near = correlation_estimate(similarity_correlation(ours, theirs), len(ours) // 2)
    measures = [Measure("rank_correlation", len(ours), between=near)]
    if ours.shape == theirs.shape:
        measures.insert(0, _distance(ours, theirs))
    return Figures(labelled=0, measures=tuple(measures))


def _distance(ours: Column, theirs: Column) -> Measure:
    distances = cosine_distances(ours, theirs)
    defined = distances[np.isfinite(distances)]
    return Measure("cosine_distance", defined.size, between=mean_estimate(defined))


def _commonest(numbers: tuple[bytes, ...]) -> int:
    """Return the commonest length, the least of equals; 0 where nothing was recorded."""
    lengths, counts = np.unique([len(one) for one in numbers if one], return_counts=True)
    return int(lengths[counts.argmax()]) if lengths.size else 0

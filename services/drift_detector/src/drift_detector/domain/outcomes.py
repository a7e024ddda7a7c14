"""Counts of outcomes by score: whole numbers and fixed point, so that they add up the same in any order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from monitoring import binned_roc_auc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from drift_detector.domain.facts import Resolved
    from drift_detector.domain.references import Reference

    Tally = NDArray[np.int64]
    """Negatives by score bin, positives by score bin, then sums of log loss and squared error, and hits."""

EVERYTHING: Final = ""
_EDGES: Final = 1 / (1 + np.exp(-np.arange(-200, 201) / 20))
"""A twentieth apart in log-odds, the same for every version; ROC AUC takes rows of one bin as ties."""
_BINS: Final = len(_EDGES) + 1
_LOSS, _SQUARED, _HITS = 2 * _BINS, 2 * _BINS + 1, 2 * _BINS + 2
TALLY_SIZE: Final = 2 * _BINS + 3
_ONE: Final = 1 << 20
_SMALLEST: Final = float(np.finfo(np.float64).eps)


def tally_of(scores: NDArray[np.float64], outcomes: NDArray[np.int64], threshold: float) -> Tally:
    """Count outcomes of scores.

    Args:
        scores: Probabilities.
        outcomes: 0 or 1 of each.
        threshold: A score from here on is decided as positive.
    """
    tally = np.zeros(TALLY_SIZE, np.int64)
    np.add.at(tally, np.searchsorted(_EDGES, scores) + _BINS * outcomes, 1)
    bounded = np.clip(scores, _SMALLEST, 1 - _SMALLEST)
    losses = -np.log(np.where(outcomes == 1, bounded, 1 - bounded))
    tally[_LOSS] = _fixed(losses)
    tally[_SQUARED] = _fixed(np.square(scores - outcomes))
    tally[_HITS] = np.count_nonzero((scores >= threshold) == (outcomes == 1))
    return tally


class LabelSketch(dict[str, "Tally"]):
    """Tallies by part: everything, and each category of each slice, such as "carrier=UA"."""

    def __add__(self, other: Mapping[str, Tally]) -> LabelSketch:
        merged = LabelSketch(self)
        for part, tally in other.items():
            merged[part] = merged[part] + tally if part in merged else tally
        return merged

    @property
    def rows(self) -> int:
        """How many outcomes were counted."""
        return labelled(self[EVERYTHING]) if self else 0


def sketch_of(
    resolved: Sequence[Resolved], signs: Sequence[int], reference: Reference | None, threshold: float
) -> LabelSketch:
    """Count outcomes; with a sign of -1 one is taken back, because a later revision superseded it."""
    scores = np.array([one.score for one in resolved], np.float64)
    outcomes = np.array([one.outcome for one in resolved], np.int64)
    weights = np.array(signs)
    sketch = LabelSketch()
    for part, rows in _rows_by_part(resolved, reference).items():
        come, gone = rows[weights[rows] > 0], rows[weights[rows] < 0]
        sketch[part] = tally_of(scores[come], outcomes[come], threshold) - tally_of(
            scores[gone], outcomes[gone], threshold
        )
    return sketch


def labelled(tally: Tally) -> int:
    """Return how many outcomes a tally holds."""
    return int(tally[: 2 * _BINS].sum())


def positives(tally: Tally) -> int:
    """Return how many of them are positive."""
    return int(tally[_BINS : 2 * _BINS].sum())


def squared_errors(tally: Tally) -> int:
    """Return the sum of squared errors, in fixed point."""
    return int(tally[_SQUARED])


def mean_of(total: int, rows: int) -> float:
    """Return the mean of a sum in fixed point."""
    return total / _ONE / rows


def metrics_of(tally: Tally) -> dict[str, float | None]:
    """Return ROC AUC, log loss, Brier score and accuracy; None where one is undefined."""
    rows = labelled(tally)
    if rows <= 0:
        return dict.fromkeys(("roc_auc", "log_loss", "brier", "accuracy"))
    return {
        "roc_auc": binned_roc_auc(tally[_BINS : 2 * _BINS], tally[:_BINS]),
        "log_loss": mean_of(int(tally[_LOSS]), rows),
        "brier": mean_of(squared_errors(tally), rows),
        "accuracy": int(tally[_HITS]) / rows,
    }


def _rows_by_part(resolved: Sequence[Resolved], reference: Reference | None) -> dict[str, NDArray[np.intp]]:
    parts: dict[str, list[int]] = {EVERYTHING: list(range(len(resolved)))}
    for row, one in enumerate(resolved):
        for part in () if reference is None else reference.parts_of(one.entities):
            parts.setdefault(part, []).append(row)
    return {part: np.array(rows, np.intp) for part, rows in parts.items()}


def _fixed(values: NDArray[np.float64]) -> int:
    return int(np.rint(values * _ONE).astype(np.int64).sum())

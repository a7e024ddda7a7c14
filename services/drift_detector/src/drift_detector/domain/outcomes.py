"""Counts of outcomes by score: whole numbers and fixed point, so that they add up the same in any order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from monitoring import binned_roc_auc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from drift_detector.domain.facts import Resolved
    from drift_detector.domain.quality import Quality, Tally
    from drift_detector.domain.references import Reference

EVERYTHING: Final = ""
SEGMENT: Final = "route.segment="
"""Of the part that a segment of the route is; no slice has a name with a dot."""
_EDGES: Final = 1 / (1 + np.exp(-np.arange(-200, 201) / 20))
"""A twentieth apart in log-odds, the same for every version; ROC AUC takes rows of one bin as ties."""
_BINS: Final = len(_EDGES) + 1
_LOSS, _SQUARED, _HITS = 2 * _BINS, 2 * _BINS + 1, 2 * _BINS + 2
TALLY_SIZE: Final = 2 * _BINS + 3
_ONE: Final = 1 << 20
_SMALLEST: Final = float(np.finfo(np.float64).eps)


def tally_of(scores: NDArray[np.float64], outcomes: NDArray[np.int64], threshold: float) -> Tally:
    """Count outcomes of scores.

    Returns:
        Negatives by score bin, positives by score bin, then sums of log loss and squared error, and hits.

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
    """Tallies by part: everything, each category of each slice, such as "carrier=UA", and each segment."""

    def __add__(self, other: Mapping[str, Tally]) -> LabelSketch:
        merged = LabelSketch(self)
        for part, tally in other.items():
            merged[part] = merged[part] + tally if part in merged else tally
        return merged


def sketch_of(
    resolved: Sequence[Resolved], signs: Sequence[int], reference: Reference | None, quality: Quality
) -> LabelSketch:
    """Count outcomes; with a sign of -1 one is taken back, because a later revision superseded it."""
    sketch = LabelSketch()
    for part, rows in _rows_by_part(resolved, reference).items():
        come, gone = ([resolved[row] for row in rows if signs[row] == sign] for sign in (1, -1))
        sketch[part] = quality.tally(come) - quality.tally(gone)
    return sketch


@dataclass(frozen=True, slots=True)
class BinaryQuality:
    """`Quality` of a classifier of two classes: an outcome is 0 or 1.

    Attributes:
        threshold: A score from here on is decided as positive.
    """

    threshold: float
    error_name: str = "mean squared error"
    undefined_because: str = "all have one outcome"

    def refusal(self, score: float, outcome: float) -> tuple[str, str] | None:
        """See `Quality.refusal`."""
        if not 0.0 <= score <= 1.0:
            return "NOT_A_PROBABILITY", f"has score {score}"
        if outcome not in {0.0, 1.0}:
            return "NOT_A_BINARY_OUTCOME", f"has outcome {outcome}: 0 or 1 expected"
        return None

    def state(self, revision: int, outcome: float) -> int:
        """See `Quality.state`."""
        return 2 * revision + int(outcome)

    def of_state(self, state: int) -> tuple[int, float]:
        """See `Quality.of_state`."""
        return state >> 1, float(state & 1)

    def tally(self, resolved: Sequence[Resolved]) -> Tally:
        """See `Quality.tally`."""
        scores = np.array([one.score for one in resolved], np.float64)
        return tally_of(scores, np.array([int(one.outcome) for one in resolved], np.int64), self.threshold)

    def labelled(self, tally: Tally) -> int:
        """See `Quality.labelled`."""
        return labelled(tally)

    def metrics(self, tally: Tally) -> dict[str, float | None]:
        """See `metrics_of`."""
        return metrics_of(tally)

    def errors(self, tally: Tally) -> tuple[int, int]:
        """See `Quality.errors`."""
        return labelled(tally), int(tally[_SQUARED])

    def mean_error(self, total: int, rows: int) -> float:
        """See `Quality.mean_error`."""
        return _mean(total, rows)

    def expected_error(self, metrics: Mapping[str, float]) -> float | None:
        """See `Quality.expected_error`."""
        return metrics.get("brier") or None


def labelled(tally: Tally) -> int:
    """Return how many outcomes a tally holds."""
    return int(tally[: 2 * _BINS].sum())


def positives(tally: Tally) -> int:
    """Return how many of them are positive."""
    return int(tally[_BINS : 2 * _BINS].sum())


def metrics_of(tally: Tally) -> dict[str, float | None]:
    """Return ROC AUC, log loss, Brier score and accuracy; None where one is undefined."""
    rows = labelled(tally)
    if rows <= 0:
        return dict.fromkeys(("roc_auc", "log_loss", "brier", "accuracy"))
    return {
        "roc_auc": binned_roc_auc(tally[_BINS : 2 * _BINS], tally[:_BINS]),
        "log_loss": _mean(int(tally[_LOSS]), rows),
        "brier": _mean(int(tally[_SQUARED]), rows),
        "accuracy": int(tally[_HITS]) / rows,
    }


def _rows_by_part(resolved: Sequence[Resolved], reference: Reference | None) -> dict[str, list[int]]:
    parts: dict[str, list[int]] = {EVERYTHING: list(range(len(resolved)))}
    for row, one in enumerate(resolved):
        for part in () if reference is None else reference.parts_of(one.entities):
            parts.setdefault(part, []).append(row)
        if one.segment:
            parts.setdefault(SEGMENT + one.segment, []).append(row)
    return parts


def _mean(total: int, rows: int) -> float:
    return total / _ONE / rows


def _fixed(values: NDArray[np.float64]) -> int:
    return int(np.rint(values * _ONE).astype(np.int64).sum())

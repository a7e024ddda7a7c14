"""Outcomes of many classes: whole numbers and fixed point, so that they add up the same in any order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from monitoring import class_hits, class_log_losses

from drift_detector.domain.quality import packed_state, unpacked_state

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from drift_detector.domain.facts import Resolved
    from drift_detector.domain.quality import Tally

_ONE: Final = 1 << 20
_ROWS, _JUDGED, _HITS, _LOSS, _CLASSES = range(5)


@dataclass(frozen=True, slots=True)
class ClassQuality:
    """`Quality` of a classifier of many classes: an outcome is a class's number.

    Attributes:
        classes: Their names, in order.
    """

    classes: tuple[str, ...]
    error_name: str = "mean log loss"
    undefined_because: str = "no answer has its probabilities recorded"

    def refusal(self, score: float, outcome: float) -> tuple[str, str] | None:
        """See `Quality.refusal`."""
        if not np.isfinite(score):
            return "NOT_A_NUMBER", f"has score {score}"
        if float(outcome).is_integer() and 0 <= outcome < len(self.classes):
            return None
        return "NOT_A_CLASS", f"has outcome {outcome}: a class from 0 to {len(self.classes) - 1} expected"

    def state(self, revision: int, outcome: float) -> int:
        """See `Quality.state`."""
        return packed_state(revision, outcome)

    def of_state(self, state: int) -> tuple[int, float]:
        """See `Quality.of_state`."""
        return unpacked_state(state)

    def tally(self, resolved: Sequence[Resolved]) -> Tally:
        """See `Quality.tally`: rows, of these judged, hits, the sum of losses, rows by class."""
        tally = np.zeros(_CLASSES + len(self.classes), np.int64)
        tally[_ROWS] = len(resolved)
        outcomes = np.array([int(one.outcome) for one in resolved], np.int64)
        tally[_CLASSES:] = np.bincount(outcomes, minlength=len(self.classes))
        judged = [one for one in resolved if self._is_judged(one)]
        if judged:
            labels = [one.outcome for one in judged]
            rows = np.array([one.probabilities for one in judged])
            tally[_JUDGED] = len(judged)
            tally[_HITS] = np.count_nonzero(class_hits(labels, rows))
            tally[_LOSS] = np.rint(class_log_losses(labels, rows) * _ONE).astype(np.int64).sum()
        return tally

    def labelled(self, tally: Tally) -> int:
        """See `Quality.labelled`."""
        return int(tally[_ROWS])

    def metrics(self, tally: Tally) -> dict[str, float | None]:
        """Log loss, in nats, and accuracy, of the answers whose probabilities were recorded."""
        rows, total = self.errors(tally)
        if rows <= 0:
            return dict.fromkeys(("log_loss", "accuracy"))
        return {"log_loss": self.mean_error(total, rows), "accuracy": int(tally[_HITS]) / rows}

    def by_class(self, tally: Tally) -> list[int]:
        """Return how many outcomes each class has."""
        return [int(count) for count in tally[_CLASSES:]]

    def errors(self, tally: Tally) -> tuple[int, int]:
        """See `Quality.errors`."""
        return int(tally[_JUDGED]), int(tally[_LOSS])

    def mean_error(self, total: int, rows: int) -> float:
        """See `Quality.mean_error`."""
        return total / _ONE / rows

    def expected_error(self, metrics: Mapping[str, float]) -> float | None:
        """See `Quality.expected_error`."""
        return metrics.get("log_loss") or None

    def _is_judged(self, one: Resolved) -> bool:
        return len(one.probabilities) == len(self.classes) and all(0 <= p <= 1 for p in one.probabilities)

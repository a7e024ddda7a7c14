"""Outcomes of regressions, counted exactly whatever their unit.

A number is kept as a whole number of 2^-96, of any size up to 2^120, in limbs of 32 bits: sums of limbs are
sums of int64, so they are the same bits in any order. An error beyond 2^60 is counted as such and measured by
nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import numpy as np

from drift_detector.domain.quality import packed_state, unpacked_state

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from drift_detector.domain.facts import Resolved
    from drift_detector.domain.quality import Tally

_FRACTION_BITS: Final = 96
_LIMB_BITS: Final = 32
_LIMBS: Final = 7
_MOST: Final = 2.0**60
_LEAST_SPREAD: Final = Fraction(1, 1 << 50)
_ROWS, _BEYOND, _SUMS = 0, 1, 2
_ERROR, _ABSOLUTE, _SQUARED, _LABEL, _LABEL_SQUARED = range(5)
_SIZE: Final = _SUMS + 5 * _LIMBS


@dataclass(frozen=True, slots=True)
class ValueQuality:
    """`Quality` of a regression: outcomes are in the label's own unit."""

    error_name: str = "mean squared error"
    undefined_because: str = "all outcomes are one value, or an error is beyond 1e18"

    def refusal(self, score: float, outcome: float) -> tuple[str, str] | None:
        """See `Quality.refusal`."""
        if math.isfinite(score) and math.isfinite(outcome):
            return None
        return "NOT_A_NUMBER", f"has score {score} and outcome {outcome}: finite numbers expected"

    def state(self, revision: int, outcome: float) -> int:
        """See `Quality.state`."""
        return packed_state(revision, outcome)

    def of_state(self, state: int) -> tuple[int, float]:
        """See `Quality.of_state`."""
        return unpacked_state(state)

    def tally(self, resolved: Sequence[Resolved]) -> Tally:
        """See `Quality.tally`: rows, those beyond, and five sums in limbs."""
        tally = np.zeros(_SIZE, np.int64)
        sums, beyond = [0] * 5, 0
        for one in resolved:
            error, label = one.score - one.outcome, one.outcome
            if abs(error) > _MOST or abs(label) > _MOST:
                beyond += 1
                continue
            for at, value in enumerate((error, abs(error), error * error, label, label * label)):
                sums[at] += _fixed(value)
        tally[_ROWS], tally[_BEYOND] = len(resolved), beyond
        for at, total in enumerate(sums):
            tally[_SUMS + at * _LIMBS : _SUMS + (at + 1) * _LIMBS] = _limbs(total)
        return tally

    def labelled(self, tally: Tally) -> int:
        """See `Quality.labelled`."""
        return int(tally[_ROWS])

    def metrics(self, tally: Tally) -> dict[str, float | None]:
        """Root mean squared and mean absolute error, bias, all in the label's unit, and R squared."""
        rows = self.labelled(tally)
        if rows <= 0 or tally[_BEYOND]:
            return dict.fromkeys(("rmse", "mae", "bias", "r_squared"))
        squared, label = _sum(tally, _SQUARED), _sum(tally, _LABEL)
        squares = _sum(tally, _LABEL_SQUARED)
        spread = squares - label * label / rows
        return {
            "rmse": math.sqrt(squared / rows),
            "mae": float(_sum(tally, _ABSOLUTE) / rows),
            "bias": float(_sum(tally, _ERROR) / rows),
            # What rounding leaves of the squares of equal labels is no spread.
            "r_squared": float(1 - squared / spread) if spread > _LEAST_SPREAD * squares else None,
        }

    def mean_label(self, tally: Tally) -> float | None:
        """Return the mean outcome; None where it is undefined."""
        rows = self.labelled(tally)
        return None if rows <= 0 or tally[_BEYOND] else float(_sum(tally, _LABEL) / rows)

    def errors(self, tally: Tally) -> tuple[int, int]:
        """See `Quality.errors`."""
        return int(tally[_ROWS] - tally[_BEYOND]), _whole(tally, _SQUARED)

    def mean_error(self, total: int, rows: int) -> float:
        """See `Quality.mean_error`."""
        return float(Fraction(total, rows << _FRACTION_BITS))

    def expected_error(self, metrics: Mapping[str, float]) -> float | None:
        """See `Quality.expected_error`."""
        return metrics.get("rmse", 0.0) ** 2 or None


def _fixed(value: float) -> int:
    return round(math.ldexp(value, _FRACTION_BITS))


def _limbs(total: int) -> list[int]:
    mask = (1 << _LIMB_BITS) - 1
    low = [total >> _LIMB_BITS * at & mask for at in range(_LIMBS - 1)]
    return [*low, total >> _LIMB_BITS * (_LIMBS - 1)]


def _whole(tally: Tally, at: int) -> int:
    limbs = tally[_SUMS + at * _LIMBS : _SUMS + (at + 1) * _LIMBS].tolist()
    return sum(limb << _LIMB_BITS * place for place, limb in enumerate(limbs))


def _sum(tally: Tally, at: int) -> Fraction:
    return Fraction(_whole(tally, at), 1 << _FRACTION_BITS)

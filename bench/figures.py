"""What a figure says: its value and spread, what it must reach and aims at, and whether it does."""

from __future__ import annotations

import operator
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

Row = dict[str, Any]
Sign = Literal["<=", ">=", "<"]
_HOLDS: Final = {"<=": operator.le, ">=": operator.ge, "<": operator.lt}


@dataclass(frozen=True, slots=True)
class Claim:
    """What a figure must reach, and what would be better still.

    Attributes:
        sign: How the figure is compared with either.
        must: What makes the measurement fail when it is not reached.
        aim: What it aims at, if anything.
    """

    sign: Sign
    must: float
    aim: float | None = None

    def judge(self, value: float, of: str) -> Row:
        """Return the part of a row that says what was claimed of a value (or ratio) and whether it holds."""
        holds = _HOLDS[self.sign]
        return {
            "must": f"{of} {self.sign} {self.must:g}",
            "met": bool(holds(value, self.must)),
            "aim": None if self.aim is None else f"{self.sign} {self.aim:g}",
            "aim_met": None if self.aim is None else bool(holds(value, self.aim)),
        }


_UNCLAIMED: Final = {"must": None, "met": None, "aim": None, "aim_met": None}


def measured(
    name: str, values: Sequence[float], unit: str, claim: Claim | None = None, reference: str | None = None
) -> Row:
    """Return the row of a figure that stands for itself: the median of its rounds, and their spread.

    Args:
        name: The figure's, beginning with its table's.
        values: One a round.
        unit: Theirs.
        claim: What the median must reach.
        reference: Words about how it was measured.

    Raises:
        ValueError: There is no round.
    """
    if not values:
        raise ValueError(f"{name}: no round was measured")
    value = statistics.median(values)
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "reference": reference,
        "reference_value": None,
        "ratio": None,
        "spread": [min(values), max(values)],
        "rounds": len(values),
        **(claim.judge(value, "value") if claim else _UNCLAIMED),
    }


def compared(
    name: str,
    ours: Sequence[float],
    unit: str,
    reference: tuple[str, Sequence[float]],
    claim: Claim | None = None,
) -> Row:
    """Return the row of a figure against a reference that was measured in turns with it.

    The ratio is the median of the rounds' ratios, not the ratio of the medians: what moves a whole round,
    such as another program on the machine, moves both of its halves. The spread is that of the ratios.

    Raises:
        ValueError: There is no round, a round lacks one half, or the reference's is not above zero.
    """
    words, theirs = reference
    if len(ours) != len(theirs) or not ours:
        raise ValueError(f"{name}: {len(ours)} rounds of ours and {len(theirs)} of {words!r} are no pairs")
    if min(theirs) <= 0:
        raise ValueError(f"{name}: {words!r} measured {min(theirs)}, against which there is no ratio")
    ratios = [mine / its for mine, its in zip(ours, theirs, strict=True)]
    ratio = statistics.median(ratios)
    return {
        "name": name,
        "value": statistics.median(ours),
        "unit": unit,
        "reference": words,
        "reference_value": statistics.median(theirs),
        "ratio": ratio,
        "spread": [min(ratios), max(ratios)],
        "rounds": len(ratios),
        **(claim.judge(ratio, "ratio") if claim else _UNCLAIMED),
    }


def unmeasured(name: str, unit: str, claim: Claim | None, why: str) -> Row:
    """Return the row of a figure that could not be had; what was claimed of it is not met."""
    judged = _UNCLAIMED if claim is None else claim.judge(float("nan"), "ratio")
    numbers = dict.fromkeys(("value", "reference_value", "ratio", "spread", "rounds"))
    return {"name": name, "unit": unit, "reference": f"not measured: {why}", **numbers, **judged}


def unmet(rows: Sequence[Row]) -> list[Row]:
    """Return the rows whose claim does not hold."""
    return [row for row in rows if row["met"] is False]

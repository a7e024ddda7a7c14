"""Rounds in which ours and a reference take turns."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.figures import compared, measured

if TYPE_CHECKING:
    from bench.figures import Claim, Row


@dataclass(slots=True)
class Rounds:
    """What each round measured, by name."""

    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        """Take a round's value in."""
        self.values.setdefault(name, []).append(value)

    def median(self, name: str) -> float:
        """Return the median of the rounds."""
        return statistics.median(self.values[name])

    def alone(
        self, figure: str, name: str, unit: str, claim: Claim | None = None, reference: str | None = None
    ) -> Row:
        """Return a figure that stands for itself."""
        return measured(figure, self.values[name], unit, claim, reference)

    def against(self, figure: str, name: str, unit: str, floor: str, claim: Claim | None = None) -> Row:
        """Return a figure against its floor of the same rounds."""
        return compared(figure, self.values[name], unit, (floor, self.values[floor]), claim)

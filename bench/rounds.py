"""Rounds in which ours and a reference take turns."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.store_events import Row


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

    def row(
        self,
        figure: str,
        name: str,
        unit: str,
        floor: str,
        must: tuple[str, Callable[[float], bool]] | None = None,
    ) -> Row:
        """Return a figure against its floor of the same rounds."""
        ratios = [ours / theirs for ours, theirs in zip(self.values[name], self.values[floor], strict=True)]
        ratio = statistics.median(ratios)
        return {
            "name": figure,
            "value": self.median(name),
            "unit": unit,
            "reference": f"{floor}; ratios {min(ratios):.2f} to {max(ratios):.2f} over {len(ratios)} rounds",
            "reference_value": self.median(floor),
            "ratio": ratio,
            "must": must and must[0],
            "met": must and must[1](ratio),
        }

"""A sample as counts in bins that later samples can be counted in too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """A sample's bins and moments.

    Edges are inner and ascend strictly; bin i holds the values above edges[i-1] up to and including edges[i],
    the outer bins are open. Every coarse edge is a fine edge, so fine counts sum up to coarse ones.

    Attributes:
        edges: Cut at the deciles, float64[B-1].
        counts: int64[B].
        fine_edges: Cut at the percentiles, float64[G-1].
        fine_counts: int64[G].
        minimum: None where there was no value, like the other moments.
        maximum: See above.
        mean: See above.
        std: See above.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    fine_edges: NDArray[np.float64]
    fine_counts: NDArray[np.int64]
    minimum: float | None
    maximum: float | None
    mean: float | None
    std: float | None

    @property
    def rows(self) -> int:
        """How many values were counted."""
        return int(self.counts.sum())

    def bins(self, values: NDArray[Any]) -> NDArray[np.intp]:
        """Return the fine bin of each value; values are compared as they are, a float32 with its own bits."""
        return np.searchsorted(self.fine_edges, values.astype(np.float64), side="left")

    def count(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """Return how many values fall into each fine bin, int64[G]."""
        return np.bincount(self.bins(values), minlength=len(self.fine_edges) + 1).astype(np.int64)

    def coarsen(self, fine_counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return fine counts as counts of the coarse bins: [..., G] to [..., B]."""
        if fine_counts.shape[-1] != len(self.fine_edges) + 1:
            raise ValueError(
                f"found {fine_counts.shape[-1]} counts for {len(self.fine_edges) + 1} fine bins: count with "
                "this distribution's own fine_edges"
            )
        starts = np.concatenate(([0], np.searchsorted(self.fine_edges, self.edges) + 1))
        coarse: NDArray[np.int64] = np.add.reduceat(fine_counts, starts, axis=-1, dtype=np.int64)
        return coarse


@dataclass(frozen=True, slots=True)
class Variation:
    """How far windows of the training set were from the rest of it: what psi reaches without any drift.

    Attributes:
        windows: How many windows were compared; 0 leaves the others at 0.
        mean_psi: Over the windows.
        max_psi: Over the windows.
        max_missing_share: The greatest share of rows without the feature, over windows with enough rows.
    """

    windows: int
    mean_psi: float
    max_psi: float
    max_missing_share: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class FeatureProfile(Distribution):
    """A feature's values that were there, and how often none was.

    Attributes:
        missing_share: Of the training rows.
        variation: By length of window, in microseconds.
    """

    missing_share: float
    variation: Mapping[int, Variation]

    def variation_of(self, window_us: int) -> Variation | None:
        """Return the variation of windows of this length.

        Where that was not measured, it is that of the longest shorter windows, which vary more, and failing
        that of the shortest there is; None where none was measured.
        """
        measured = {length: found for length, found in self.variation.items() if found.windows}
        if not measured:
            return None
        shorter = [length for length in measured if length <= window_us]
        return measured[max(shorter) if shorter else min(measured)]

    def drift_threshold(self, declared_psi: float, window_us: int) -> float:
        """Return the psi above which a window of this length has drifted.

        It is what was declared, or what the training set's own windows reached, whichever is more: data whose
        days differ must not be told to have drifted for that.
        """
        found = self.variation_of(window_us)
        return declared_psi if found is None else max(declared_psi, found.max_psi)

    def missing_threshold(self, declared_rise: float, window_us: int) -> float:
        """Return the share of missing values above which a window of this length lacks the feature.

        It is training's share and what was declared on top, or what the training set's own windows reached,
        whichever is more: a gust of wind is missing on every calm day.
        """
        found = self.variation.get(window_us)
        declared = self.missing_share + declared_rise
        return declared if found is None else max(declared, found.max_missing_share)

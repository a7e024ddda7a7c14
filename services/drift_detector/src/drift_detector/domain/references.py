"""What a version was trained on, laid out so that vectors are counted against it quickly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monitoring.profiles import FeatureProfile, ReferenceProfile
    from numpy.typing import NDArray

MOST_PARTS: Final = 100
"""Of a slice: every part is a tally of its own."""
OTHER: Final = "(other)"


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """A version's own reference.

    Attributes:
        names: The features in the order of the vector.
        columns: Each feature's profile; None where the profile lacks it.
        starts: Where each feature's fine bins begin in a row of all bins, int64[F + 2]: the scores' follow
            the last feature's, and the total stands last.
        metrics: Of the holdout.
        seen: By slice, the categories of the training set.
        parts: By slice, the most frequent of them, whose outcomes are counted apart.
    """

    profile: ReferenceProfile
    names: tuple[str, ...]
    columns: tuple[FeatureProfile | None, ...]
    starts: NDArray[np.int64]
    metrics: Mapping[str, float]
    seen: Mapping[str, frozenset[str]]
    parts: Mapping[str, frozenset[str]]

    @classmethod
    def of(
        cls,
        profile: ReferenceProfile,
        names: Sequence[str],
        metrics: Mapping[str, float],
        slices: Sequence[str] = (),
    ) -> Self:
        """Lay a profile out for vectors of these features."""
        columns = tuple(profile.features.get(name) for name in names)
        sizes = [0 if column is None else len(column.fine_counts) for column in columns]
        starts = np.concatenate(([0], np.cumsum([*sizes, len(profile.prediction.fine_counts)])))
        known = {name: profile.categories[name] for name in slices if name in profile.categories}
        return cls(
            profile,
            tuple(names),
            columns,
            starts.astype(np.int64),
            dict(metrics),
            seen={name: frozenset(counts) for name, counts in known.items()},
            parts={name: _most_frequent(counts) for name, counts in known.items()},
        )

    def bins_of(self, bins: NDArray[np.int64], name: str) -> NDArray[np.int64]:
        """Take one feature's fine counts out of a row of all bins."""
        return self._stretch(bins, self.names.index(name))

    def score_bins(self, bins: NDArray[np.int64]) -> NDArray[np.int64]:
        """Take the scores' fine counts out of a row of all bins."""
        return self._stretch(bins, len(self.names))

    def parts_of(self, entities: Mapping[str, str]) -> list[str]:
        """Name the parts a request belongs to, such as "carrier=UA"."""
        found = [(name, entities.get(name) or "") for name in self.parts]
        return [f"{name}={key if key in self.parts[name] else OTHER}" for name, key in found]

    def _stretch(self, bins: NDArray[np.int64], at: int) -> NDArray[np.int64]:
        return bins[self.starts[at] : self.starts[at + 1]]


def _most_frequent(counts: Mapping[str, int]) -> frozenset[str]:
    ranked = sorted(counts, key=lambda category: (-counts[category], category))
    return frozenset(ranked[:MOST_PARTS])

"""How a value follows from what several accumulators hold: pure arithmetic, in a stated order of operations.

Online and offline hand over the same integers, so what is computed here is the same bits for both. The plain
quotients of `vectors` are elsewhere, because most features are those.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Protocol

import numpy as np

from feature_store.aggregations import NO_NUMBER, SQUARE_BITS, UNIT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from feature_store.sketches import Buckets, Registers


class Result(Protocol):
    """Computes a feature."""

    def __call__(self, parts: Sequence[NDArray[np.int64]], time_us: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the values, float64[n]; NaN where there is none.

        Args:
            parts: What each of the feature's accumulators holds: int64[n], or int64[n, words or tiles].
            time_us: The requests' times, int64[n].
        """


@dataclass(frozen=True, slots=True)
class Deviation:
    """The population's standard deviation, from a count, a sum and the two words of the sum of squares.

    `sqrt(float(n Q - S^2)) / float(n) * 2^-20`, where `n Q - S^2` is an exact integer, never negative.
    """

    def __call__(self, parts: Sequence[NDArray[np.int64]], time_us: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the deviations; see `Result`."""
        del time_us
        count, total, high, low = (part.astype(np.object_) for part in parts)
        # Python's integers: n Q has up to 126 bits. Their conversion to float64 rounds to the nearest.
        spread = count * ((high << SQUARE_BITS) + low) - total * total
        valid = (parts[0] > 0) & (spread >= 0).astype(np.bool_)
        roots = np.sqrt(np.where(valid, spread, 0).astype(np.float64))
        deviations: NDArray[np.float64] = roots / np.where(valid, parts[0], np.nan) * UNIT
        return deviations


@dataclass(frozen=True, slots=True)
class Decayed:
    """A mean over tiles, each weighted by its age, from the tiles' sums and counts: the newest tile first.

    Attributes:
        weights: By age in tiles.
    """

    weights: tuple[float, ...]

    @classmethod
    def of(cls, tile_us: int, tiles: int, half_life_us: int) -> Decayed:
        """Return the mean with weights `2^-(age tile / half life)`.

        The weight of age 1 is the float64 nearest to it, and each further one is the one before times that.
        """
        # Not by a library's pow: the last bit of that is its own.
        with localcontext(prec=60):
            step = float(Decimal(2) ** (Decimal(-tile_us) / Decimal(half_life_us)))
        weights = [1.0]
        for _ in range(tiles - 1):
            weights.append(weights[-1] * step)
        return cls(tuple(weights))

    def __call__(self, parts: Sequence[NDArray[np.int64]], time_us: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the means; see `Result`."""
        sums, counts = parts
        weighted, weight = np.zeros(len(time_us)), np.zeros(len(time_us))
        # Tile by tile, from the oldest on: numpy's own sums are not in one order for all shapes.
        for age in range(len(self.weights) - 1, -1, -1):
            weighted += sums[:, age] * self.weights[age]
            weight += counts[:, age] * self.weights[age]
        return weighted * UNIT / np.where(weight > 0, weight, np.nan)


@dataclass(frozen=True, slots=True)
class Since:
    """The time from the newest event to the request.

    Attributes:
        unit_us: The unit that it is told in.
    """

    unit_us: int

    def __call__(self, parts: Sequence[NDArray[np.int64]], time_us: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the times; see `Result`."""
        (newest_us,) = parts
        some = newest_us != NO_NUMBER
        return np.where(some, time_us - np.where(some, newest_us, 0), np.nan) / self.unit_us


@dataclass(frozen=True, slots=True)
class BucketQuantile:
    """A quantile, from the counts of buckets."""

    buckets: Buckets
    q: float

    def __call__(self, parts: Sequence[NDArray[np.int64]], time_us: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the quantiles; see `Result`."""
        del time_us
        return self.buckets.quantiles(parts[0], self.q)


@dataclass(frozen=True, slots=True)
class Distinct:
    """A count of distinct values, from registers."""

    registers: Registers

    def __call__(self, parts: Sequence[NDArray[np.int64]], time_us: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the counts; see `Result`."""
        del time_us
        return self.registers.estimates(parts[0])

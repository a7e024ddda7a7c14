"""Sketches: how a text or a number finds its register or bucket, and what registers and buckets tell.

Both merge exactly, registers by maximum and buckets by addition, so a sketch is a function of the set of
events that it took in.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import log, sqrt
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from xxhash import xxh64_intdigest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

WORD_BYTES: Final = 8
HASH_BITS: Final = 64
RANK_BITS: Final = 6
"""A rank is at most 61, so a register and a rank are one number: `register << 6 | rank`."""

_ROWS_A_CHUNK: Final = 4_096


@dataclass(frozen=True)
class Registers:
    """HyperLogLog: 2^precision registers, each the greatest rank of the hashes that fell to it.

    Flajolet, Fusy, Gandouet and Meunier (2007), with 64-bit hashes. The estimate is Ertl's improved raw
    estimator (arXiv:1702.01284, algorithm 6), which needs no correction for small or large counts.

    Attributes:
        precision: Bits of a hash that choose the register.
    """

    precision: int

    @property
    def count(self) -> int:
        """The number of registers."""
        return 1 << self.precision

    @property
    def words(self) -> int:
        """The number of words that a tile's registers take, a byte each."""
        return self.count // WORD_BYTES

    def entries(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """Return each value's `register << 6 | rank`, int64[n]; 0, which no value has, for null ones.

        A text is hashed as its UTF-8, a number as its eight bytes, little-endian, with -0 as +0; by XXH64
        with seed 0.
        """
        bits = HASH_BITS - self.precision
        low = (1 << bits) - 1
        hashes = [None if value is None else xxh64_intdigest(value) for value in _hashed(values)]
        return np.array(
            [
                0 if one is None else (one >> bits) << RANK_BITS | bits - (one & low).bit_length() + 1
                for one in hashes
            ],
            np.int64,
        )

    def estimates(self, words: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the estimates, whole numbers, of registers packed in words, int64[n, words]."""
        estimates = np.empty(len(words))
        for start in range(0, len(words), _ROWS_A_CHUNK):
            part = slice(start, start + _ROWS_A_CHUNK)
            estimates[part] = self._estimates(np.ascontiguousarray(words[part]).view(np.uint8))
        return np.rint(estimates)

    def _estimates(self, registers: NDArray[np.uint8]) -> NDArray[np.float64]:
        ranks, n = HASH_BITS - self.precision + 1, len(registers)
        row = np.arange(n)[:, None] * (ranks + 1)
        held = np.bincount((registers + row).ravel(), minlength=n * (ranks + 1)).reshape(n, ranks + 1)
        total = self._saturated[held[:, ranks]]
        for rank in range(ranks - 1, 0, -1):
            total = 0.5 * (total + held[:, rank])
        total += self._untouched[held[:, 0]]
        # Where nothing has touched a register the total is infinite, and the estimate 0.
        return (self.count * self.count / (2 * log(2))) / total

    @cached_property
    def _untouched(self) -> NDArray[np.float64]:
        """M sigma(c / m) for c = 0 ... m registers of rank 0."""
        return np.array([self.count * _sigma(c / self.count) for c in range(self.count + 1)])

    @cached_property
    def _saturated(self) -> NDArray[np.float64]:
        """M tau(1 - c / m) for c = 0 ... m registers of the greatest rank."""
        return np.array([self.count * _tau(1 - c / self.count) for c in range(self.count + 1)])


def _hashed(values: NDArray[Any]) -> Iterable[bytes | None]:
    if values.dtype == np.object_:
        return (None if text is None else text.encode() for text in values)
    packed = (values.astype("<f8") + 0.0).tobytes()
    return (
        None if null else packed[WORD_BYTES * at : WORD_BYTES * (at + 1)]
        for at, null in enumerate(np.isnan(values).tolist())
    )


def _sigma(x: float) -> float:
    """Return x + sum over k >= 1 of x^(2^k) 2^(k - 1): Ertl's algorithm 4."""
    if x == 1:
        return float("inf")
    total, before, weight = x, -1.0, 1.0
    while total != before:
        x, before = x * x, total
        total, weight = total + x * weight, weight + weight
    return total


def _tau(x: float) -> float:
    """Return (1 - x - sum over k >= 1 of (1 - x^(2^-k))^2 2^-k) / 3: Ertl's algorithm 5."""
    if x in {0, 1}:
        return 0.0
    total, before, weight = 1 - x, -1.0, 1.0
    while total != before:
        x, before, weight = sqrt(x), total, 0.5 * weight
        total -= (1 - x) ** 2 * weight
    return total / 3


@dataclass(frozen=True)
class Buckets:
    """Counts by size in buckets that grow by a factor: DDSketch's logarithmic mapping, of fixed extent.

    Masson, Rim and Lee, "DDSketch" (VLDB 2019). Bucket 0 has what is at most `low`, bucket i what lies in
    `(bounds[i - 1], bounds[i]]`, and the last what is greater. Each bound is the one before, multiplied by
    `(1 + accuracy) / (1 - accuracy)`: the same bits everywhere.

    Attributes:
        low: Read for bucket 0.
        high: Read for the last bucket.
        accuracy: How far what is read for a bucket lies from anything in it, as a part of that.
    """

    low: float
    high: float
    accuracy: float

    @cached_property
    def bounds(self) -> NDArray[np.float64]:
        """The upper bounds of all buckets but the last, rising."""
        bounds, growth = [self.low], (1 + self.accuracy) / (1 - self.accuracy)
        while bounds[-1] < self.high:
            bounds.append(bounds[-1] * growth)
        return np.array(bounds)

    @property
    def count(self) -> int:
        """The number of buckets."""
        return len(self.bounds) + 1

    @cached_property
    def values(self) -> NDArray[np.float64]:
        """What is read for each bucket: equally far, relatively, from both its bounds."""
        middle = 2 * self.bounds[1:] / (1 + (1 + self.accuracy) / (1 - self.accuracy))
        return np.minimum(np.concatenate(([self.low], middle, [self.high])), self.high)

    def entries(self, numbers: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the number of each number's bucket plus 1, int64[n]; 0 for null ones."""
        return np.where(np.isnan(numbers), 0, self.bounds.searchsorted(numbers) + 1)

    def quantiles(self, counts: NDArray[np.int64], q: float) -> NDArray[np.float64]:
        """Return the q-quantile of each line of counts, int64[n, buckets]; NaN where there is none.

        It is what is read for the first bucket up to which more than `q (total - 1)` are counted.
        """
        running = counts.cumsum(axis=1)
        total = running[:, -1]
        bucket = (running > (q * (total - 1))[:, None]).argmax(axis=1)
        return np.where(total > 0, self.values[bucket], np.nan)

"""Aggregations as exact accumulators: integers, merged by addition or by maximum, so that no order shows.

Numbers are kept in fixed point: `fixed(x) = rint(x * 2**20)` as int64, half to even. A sum of integers is the
same bits in whatever order, batch or process it was made; a sum of floats is not.

Bounds. A number beyond `NUMBER_LIMIT` in size (2**32) or that is not finite is no value: it is left out, as
null is. A window's exact total must stay within 2**43 (about 8.8e12): beyond that the int64 wraps. That takes
more than 2,048 events at the very limit of size in one window; scale the expression down where that may be.
The smallest difference that a sum sees is 2**-20, about 1e-6.

`Last` keeps the float64 itself, in an integer that sorts as the number does: no precision is lost and ties on
the event time go to the greater value.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from feature_store.tiles import EMPTY_US

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from feature_store.expressions import Expression

FRACTION_BITS: Final = 20
UNIT: Final = 2.0**-FRACTION_BITS
NUMBER_LIMIT: Final = 2.0**32
NO_NUMBER: Final = int(np.iinfo(np.int64).min)
"""What `sortable` never returns for a number: the mark of an event without a value."""

_SIGN_FLIP: Final = np.int64(0x7FFF_FFFF_FFFF_FFFF)


def fixed(numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return numbers in fixed point; null and out-of-bounds ones as 0."""
    return np.rint(np.where(usable(numbers), numbers, 0.0) * 2.0**FRACTION_BITS).astype(np.int64)


def usable(numbers: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which numbers are values: neither null nor out of bounds."""
    # A comparison with NaN is False, which is what is wanted.
    return np.abs(numbers) <= NUMBER_LIMIT


def sortable(numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return integers that sort as the numbers do and hold all their bits; -0 becomes 0."""
    bits = (numbers + 0.0).view(np.int64)
    return bits ^ ((bits >> 63) & _SIGN_FLIP)


def from_sortable(integers: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the numbers that `sortable` was given."""
    return (integers ^ ((integers >> 63) & _SIGN_FLIP)).view(np.float64)


class Kind(StrEnum):
    """How an accumulator takes an event in, and how two of them merge."""

    COUNT = "count"
    """One word: the number of events. Merged by addition."""
    SUM = "sum"
    """One word: the fixed-point total. Merged by addition."""
    LAST = "last"
    """Two words: event time and sortable value of the greatest (event time, value). Merged by that order."""


_INITIAL: Final[Mapping[Kind, tuple[int, ...]]] = {Kind.COUNT: (0,), Kind.SUM: (0,), Kind.LAST: (EMPTY_US, 0)}


@dataclass(frozen=True, slots=True, eq=False)
class Accumulator:
    """What is kept of the events in one tile; of equal accumulators of a window, one.

    Attributes:
        kind: How events are taken in.
        value: The number accumulated; for a count, the number that must not be null, or None for every event.
        where: Which events take part; None for all.
    """

    kind: Kind
    value: Expression | None = None
    where: Expression | None = None

    @property
    def identity(self) -> tuple[str, str, str]:
        """What makes two accumulators of a window the same."""
        return (
            self.kind,
            self.value.canonical() if self.value is not None else "",
            self.where.canonical() if self.where is not None else "",
        )

    @property
    def initial(self) -> tuple[int, ...]:
        """The words of a tile without events."""
        return _INITIAL[self.kind]

    def contributions(self, columns: Mapping[str, NDArray[Any]], n: int) -> NDArray[np.int64]:
        """Return what each of `n` events brings.

        For a count and a sum, what is added; for a last, the sortable value, or `NO_NUMBER`.
        """
        part = np.ones(n, np.bool_) if self.where is None else self.where.evaluate(columns, n)
        if self.value is None:
            return part.astype(np.int64)
        numbers = self.value.evaluate(columns, n).astype(np.float64, copy=False)
        if self.kind is Kind.LAST:
            return np.where(part & ~np.isnan(numbers), sortable(numbers), NO_NUMBER)
        part = part & usable(numbers)
        return part.astype(np.int64) if self.kind is Kind.COUNT else np.where(part, fixed(numbers), 0)

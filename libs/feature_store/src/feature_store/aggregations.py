"""Aggregations as exact accumulators: integers, merged by addition or by maximum, so that no order shows.

Numbers are kept in fixed point: `fixed(x) = rint(x * 2**20)` as int64, half to even. A sum of integers is the
same bits in whatever order, batch or process it was made; a sum of floats is not.

Bounds. A number beyond `NUMBER_LIMIT` in size (2**32) or that is not finite is no value: it is left out, as
null is. A window's exact total must stay within 2**43 (about 8.8e12): beyond that the int64 wraps. That takes
more than 2,048 events at the very limit of size in one window; scale the expression down where that may be.
The smallest difference that a sum sees is 2**-20, about 1e-6.

Squares are those of the fixed-point numbers, exact, in two words. The squares of a window's numbers must add
up to less than 2**65, and there must be fewer than 2**21 of them: beyond that a word wraps.

Kinds that keep a number itself, such as the last or the least, keep its float64 in an integer that sorts as
the number does: no precision is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from feature_store.sketches import Buckets, Registers
from feature_store.tiles import EMPTY_US

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from feature_store.expressions import Expression

FRACTION_BITS: Final = 20
UNIT: Final = 2.0**-FRACTION_BITS
NUMBER_LIMIT: Final = 2.0**32
SQUARE_BITS: Final = 42
"""Where the sum of squares is cut in two words."""
_LOW: Final = 2**SQUARE_BITS - 1

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
    SQUARES_HIGH = "squares_high"
    """One word: the total of the fixed-point numbers' squares, in units of 2^42. Merged by addition."""
    SQUARES_LOW = "squares_low"
    """One word: the total of what `SQUARES_HIGH` leaves of each square. Merged by addition."""
    BUCKETS = "buckets"
    """A word a bucket: the number of events in it. Merged by addition."""
    LAST = "last"
    """Two words: event time and sortable value of the greatest (event time, value). Merged by that order."""
    FIRST = "first"
    """Two words: event time and sortable value of the least (event time, value). Merged by that order."""
    MIN = "min"
    """One word: the least sortable value. Merged by minimum."""
    MAX = "max"
    """One word: the greatest sortable value. Merged by maximum."""
    NEWEST = "newest"
    """One word: the greatest event time. Merged by maximum."""
    REGISTERS = "registers"
    """A byte a register: the greatest rank. Merged by maximum, byte by byte."""


ADDED: Final = frozenset({Kind.COUNT, Kind.SUM, Kind.SQUARES_HIGH, Kind.SQUARES_LOW})
"""One word, merged by addition."""
PAIRED: Final = frozenset({Kind.LAST, Kind.FIRST})
"""A time and a value, merged by the order of both."""
EXTREME: Final = frozenset({Kind.MIN, Kind.MAX, Kind.NEWEST})
"""One word, merged by maximum or minimum."""
FLIPPED: Final = frozenset({Kind.FIRST, Kind.MIN})
"""Kinds of which the least is kept: the greatest, once every word `x` is taken as `~x`."""

_INITIAL: Final[Mapping[Kind, tuple[int, ...]]] = {
    Kind.LAST: (EMPTY_US, 0),
    Kind.FIRST: (~EMPTY_US, 0),
    Kind.MIN: (~NO_NUMBER,),
    Kind.MAX: (NO_NUMBER,),
    Kind.NEWEST: (NO_NUMBER,),
}


def squares(integers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the exact squares of integers of up to 2^52 in size, in units of 2^42 and what that leaves.

    With `f = a 2^26 + b`, the square is `a^2 2^52 + a b 2^27 + b^2`, of which every part fits into a word.
    """
    a, b = integers >> 26, integers & (2**26 - 1)
    mixed, last = a * b, b * b
    low = ((mixed & (2**15 - 1)) << 27) + (last & _LOW)
    high = (a * a << 10) + (mixed >> 15) + (last >> SQUARE_BITS) + (low >> SQUARE_BITS)
    return high, low & _LOW


@dataclass(frozen=True, slots=True, eq=False)
class Accumulator:
    """What is kept of the events in one tile; of equal accumulators of a window, one.

    Attributes:
        kind: How events are taken in.
        value: The number accumulated; for a count, the number that must not be null, or None for every event.
        where: Which events take part; None for all.
        sketch: What a value is of: the buckets or the registers.
    """

    kind: Kind
    value: Expression | None = None
    where: Expression | None = None
    sketch: Buckets | Registers | None = None

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What makes two accumulators of a window the same."""
        return (
            self.kind,
            self.value.canonical() if self.value is not None else "",
            self.where.canonical() if self.where is not None else "",
            repr(self.sketch),
        )

    @property
    def initial(self) -> tuple[int, ...]:
        """The words of a tile without events."""
        match self.sketch:
            case Buckets():
                return (0,) * self.sketch.count
            case Registers():
                return (0,) * self.sketch.words
            case _:
                return _INITIAL.get(self.kind, (0,))

    @property
    def nothing(self) -> int:
        """What an event brings that takes no part."""
        if self.kind in PAIRED:
            return NO_NUMBER
        return self.initial[0] if self.kind in EXTREME else 0

    @property
    def flip(self) -> int:
        """What words are combined with, bit by bit, so that the greatest is the one to keep: 0 or -1."""
        return -1 if self.kind in FLIPPED else 0

    def contributions(
        self, columns: Mapping[str, NDArray[Any]], time_us: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return what each event brings, int64[n].

        What is added; the number of its bucket plus 1; its register and rank (`Registers.entries`); its event
        time; or the sortable value. `nothing` where it takes no part.

        Args:
            columns: What expressions read of the events, by name (`EventBatch.named`).
            time_us: Their event times, int64[n].
        """
        n = len(time_us)
        part = np.ones(n, np.bool_) if self.where is None else self.where.evaluate(columns, n)
        if self.value is None:
            return np.where(part, time_us if self.kind is Kind.NEWEST else 1, self.nothing)
        values = self.value.evaluate(columns, n)
        if isinstance(self.sketch, Registers):
            return np.where(part, self.sketch.entries(values), 0)
        numbers = values.astype(np.float64, copy=False)
        if self.kind in PAIRED | EXTREME:
            return np.where(part & ~np.isnan(numbers), sortable(numbers), self.nothing)
        if isinstance(self.sketch, Buckets):
            return np.where(part, self.sketch.entries(numbers), 0)
        return np.where(part & usable(numbers), self._added(numbers), 0)

    def _added(self, numbers: NDArray[np.float64]) -> NDArray[np.int64] | int:
        match self.kind:
            case Kind.COUNT:
                return 1
            case Kind.SUM:
                return fixed(numbers)
            case Kind.SQUARES_HIGH:
                return squares(fixed(numbers))[0]
            case _:
                return squares(fixed(numbers))[1]

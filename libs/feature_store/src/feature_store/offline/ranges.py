"""The greatest of many stretches of many events at once: what no difference of prefix sums can tell.

A stretch is `first ... stop - 1` of an array of events. The greatest values of 2^k neighbours are kept for
every k that is needed, and any stretch is covered by two of them, which may overlap: a sparse table (Bender
and Farach-Colton, "The LCA problem revisited", 2000).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from feature_store.sketches import RANK_BITS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from feature_store.sketches import Registers

Value = TypeVar("Value", np.int64, np.uint8)

_EVENTS_A_BLOCK: Final = 32
_STRETCHES_A_CHUNK: Final = 32_768


@dataclass(frozen=True, slots=True, eq=False)
class Stretches:
    """Events that requests knew, as stretches of an array of events.

    Attributes:
        request: Whose each stretch is, rising, int64[k].
        first: Where each begins.
        stop: Where it ends, exclusive; a stretch is not empty.
    """

    request: NDArray[np.int64]
    first: NDArray[np.int64]
    stop: NDArray[np.int64]

    @classmethod
    def whole(
        cls, requests: NDArray[np.int64], start: NDArray[np.int64], end: NDArray[np.int64]
    ) -> Stretches:
        """Return the stretches of these requests; each has several, int64[n, stretches], some empty."""
        first, stop = start[requests], end[requests]
        row, column = np.nonzero(stop > first)
        return cls(requests[row], first[row, column], stop[row, column])

    @classmethod
    def between(
        cls,
        requests: NDArray[np.int64],
        bounds: tuple[NDArray[np.int64], NDArray[np.int64]],
        holes: tuple[NDArray[np.int64], NDArray[np.int64]],
    ) -> Stretches:
        """Return what lies between holes.

        Args:
            requests: `k` requests, rising.
            bounds: Where each one's events begin and end, exclusive, int64[k].
            holes: Pairs of one of these requests and a place within its bounds that does not count.
        """
        start, end = bounds
        number = requests.searchsorted(holes[0])
        # A request and a place in one integer: sorting pairs is then sorting integers.
        base = int(end.max(initial=0)) + 2
        begins = np.concatenate((np.arange(len(requests)) * base + start, number * base + holes[1] + 1))
        begins.sort()
        owner, first = begins // base, begins % base
        stop = np.append(first[1:], 0) - 1
        final = np.append(owner[1:] != owner[:-1], np.ones(min(1, len(owner)), np.bool_))
        stop[final] = end[owner[final]]
        some = stop > first
        return cls(requests[owner[some]], first[some], stop[some])

    def parts(self, size: int) -> Iterator[Stretches]:
        """Yield the stretches, so many at a time."""
        for begin in range(0, len(self.request), size):
            part = slice(begin, begin + size)
            yield Stretches(self.request[part], self.first[part], self.stop[part])


class GreatestOf:
    """The greatest of integers over stretches of them."""

    def __init__(self, values: NDArray[np.int64]) -> None:
        self._levels = [values]

    def into(self, greatest: NDArray[np.int64], over: Stretches) -> None:
        """Raise each request's integer, in `greatest`, to the greatest of its stretches."""
        for chosen, left, right in _covering(over.first, over.stop, self._level):
            np.maximum.at(greatest, over.request[chosen], np.maximum(left, right))

    def _level(self, level: int) -> NDArray[np.int64]:
        while len(self._levels) <= level:
            self._levels.append(_doubled(self._levels[-1], len(self._levels)))
        return self._levels[level]


class RegistersOf:
    """Registers over stretches of events: of whole blocks by tables, of what is left event by event."""

    def __init__(self, entries: NDArray[np.int64], registers: Registers) -> None:
        """Prepare.

        Args:
            entries: Each event's register and rank, as `Registers.entries` has them.
            registers: The registers.
        """
        self._entries = entries
        self._count = registers.count
        blocks = len(entries) // _EVENTS_A_BLOCK
        of_blocks = np.zeros((blocks, self._count), np.uint8)
        whole = np.arange(blocks * _EVENTS_A_BLOCK)
        self._raise(of_blocks, whole // _EVENTS_A_BLOCK, whole)
        self._levels = [of_blocks]

    def into(self, words: NDArray[np.int64], over: Stretches) -> None:
        """Raise each request's registers, packed in `words`, int64[n, words], to those of its stretches."""
        registers = words.view(np.uint8)
        for part in over.parts(_STRETCHES_A_CHUNK):
            first = -(-part.first // _EVENTS_A_BLOCK)
            stop = np.maximum(part.stop // _EVENTS_A_BLOCK, first)
            blocks = stop > first
            self._raise_by_blocks(registers, part.request[blocks], first[blocks], stop[blocks])
            head = np.minimum(first * _EVENTS_A_BLOCK, part.stop)
            tail = np.maximum(stop * _EVENTS_A_BLOCK, head)
            for begin, end in ((part.first, head), (tail, part.stop)):
                which, event = _spelled_out(begin, end)
                self._raise(registers, part.request[which], event)

    def _raise(self, registers: NDArray[np.uint8], line: NDArray[np.int64], event: NDArray[np.int64]) -> None:
        entry = self._entries[event]
        rank = (entry & (2**RANK_BITS - 1)).astype(np.uint8)
        np.maximum.at(registers.reshape(-1), line * self._count + (entry >> RANK_BITS), rank)

    def _raise_by_blocks(
        self,
        registers: NDArray[np.uint8],
        request: NDArray[np.int64],
        first: NDArray[np.int64],
        stop: NDArray[np.int64],
    ) -> None:
        for chosen, left, right in _covering(first, stop, self._level):
            of = request[chosen]
            begins = np.flatnonzero(np.append(True, of[1:] != of[:-1]))
            greatest = np.maximum.reduceat(np.maximum(left, right), begins, axis=0)
            registers[of[begins]] = np.maximum(registers[of[begins]], greatest)

    def _level(self, level: int) -> NDArray[np.uint8]:
        while len(self._levels) <= level:
            self._levels.append(_doubled(self._levels[-1], len(self._levels)))
        return self._levels[level]


def _covering(
    first: NDArray[np.int64], stop: NDArray[np.int64], level_of: Callable[[int], NDArray[Value]]
) -> Iterator[tuple[NDArray[np.int64], NDArray[Value], NDArray[Value]]]:
    """Yield (stretches, left, right): by length, each stretch's two greatest, which cover it."""
    # The exponent of a float64 is the exact floor of the binary logarithm, plus 1.
    level = np.frexp((stop - first).astype(np.float64))[1] - 1
    for one in np.unique(level).tolist():
        chosen = np.flatnonzero(level == one)
        table = level_of(one)
        yield chosen, table[first[chosen]], table[stop[chosen] - (1 << one)]


def _doubled(values: NDArray[Value], level: int) -> NDArray[Value]:
    """Return the greatest of each 2^level neighbours, from those of half as many."""
    half = 1 << (level - 1)
    return np.maximum(values[:-half], values[half:])


def _spelled_out(
    first: NDArray[np.int64], stop: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (stretch, place) for every place in stretches, of which some may be empty."""
    length = np.maximum(stop - first, 0)
    which = np.repeat(np.arange(len(length)), length)
    return which, np.arange(len(which)) + np.repeat(first - (np.cumsum(length) - length), length)

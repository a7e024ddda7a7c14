"""What one accumulator held for each request, in the way that suits its kind.

Words that are added are differences of prefix sums, exact because they are integers, from which events that
were not known are taken off. What is kept by order is looked up over the stretches of events that were known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from feature_store.aggregations import ADDED, EXTREME, NO_NUMBER
from feature_store.offline.ranges import GreatestOf, RegistersOf
from feature_store.sketches import Buckets, Registers
from feature_store.tiles import EMPTY_US

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from feature_store.offline.history import History
    from feature_store.offline.known import Known
    from feature_store.offline.ranges import Stretches
    from feature_store.tiles import Ring
    from feature_store.vectors import Read


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Where the events of one window lie for each of `n` requests.

    Attributes:
        ring: The window's tiles.
        order: The events, by their index in the history, in the order that places are of.
        start: Where the events of each request begin, int64[n, stretches of a request].
        end: Where they end, exclusive.
        start_us: The time from which on they count, int64[n].
        end_us: The time before which they count, int64[n].
        as_of: The tile of each request's time, int64[n].
    """

    ring: Ring
    order: NDArray[np.int64] | slice
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    start_us: NDArray[np.int64]
    end_us: NDArray[np.int64]
    as_of: NDArray[np.int64]

    def total(self, brought: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return what all events brought, known or not, int64[n]; the sums wrap, as rows do."""
        sums = _prefix_sums(brought[self.order])
        total: NDArray[np.int64] = (sums[self.end] - sums[self.start]).sum(axis=1)
        return total

    def holds(self, request: NDArray[np.int64], event: NDArray[np.int64]) -> NDArray[np.intp]:
        """Return which of these pairs lie in the window, by index; for windows in the history's order."""
        inside = (event >= self.start[request, 0]) & (event < self.end[request, 0])
        return np.flatnonzero(inside)


class Total:
    """A count, a sum, or a word of a sum of squares: int64[n]."""

    def __init__(self, window: Window, brought: NDArray[np.int64]) -> None:
        self._brought = brought
        self.held = window.total(brought)

    def take_off(self, request: NDArray[np.int64], event: NDArray[np.int64]) -> None:
        """Take off events of the window that requests did not know."""
        np.subtract.at(self.held, request, self._brought[event])


class BucketCounts:
    """The counts of buckets: int64[n, buckets]."""

    def __init__(self, window: Window, brought: NDArray[np.int64], buckets: Buckets) -> None:
        self._bucket, self._sign = np.abs(brought) - 1, np.sign(brought)
        self.held = np.empty((len(window.as_of), buckets.count), np.int64)
        for bucket in range(buckets.count):
            self.held[:, bucket] = window.total(np.where(self._bucket == bucket, self._sign, 0))

    def take_off(self, request: NDArray[np.int64], event: NDArray[np.int64]) -> None:
        """Take off events of the window that requests did not know."""
        some = event[self._sign[event] != 0], request[self._sign[event] != 0]
        np.subtract.at(self.held, (some[1], self._bucket[some[0]]), self._sign[some[0]])


class TileTotals:
    """A total by the age of its tile: int64[n, tiles], the newest tile first."""

    def __init__(
        self, window: Window, brought: NDArray[np.int64], history: History, entity: NDArray[np.int64]
    ) -> None:
        self._window, self._brought, self._time_us = window, brought, history.time_us
        ring, sums = window.ring, _prefix_sums(brought)
        self.held = np.empty((len(window.as_of), ring.count), np.int64)
        later = sums[window.end[:, 0]]
        for age in range(ring.count):
            begin_us = np.maximum((window.as_of - age) * ring.width_us, window.start_us)
            earlier = sums[np.minimum(history.position(entity, begin_us), window.end[:, 0])]
            self.held[:, age] = later - earlier
            later = earlier

    def take_off(self, request: NDArray[np.int64], event: NDArray[np.int64]) -> None:
        """Take off events of the window that requests did not know."""
        age = self._window.as_of[request] - self._window.ring.tile(self._time_us[event])
        np.subtract.at(self.held, (request, age), self._brought[event])


class Extreme:
    """The least or the greatest value, or the newest time: int64[n]; `NO_NUMBER` where there is none."""

    def __init__(self, window: Window, brought: NDArray[np.int64], flip: int) -> None:
        self._flip = flip
        self._greatest = np.full(len(window.as_of), NO_NUMBER)
        self._values = GreatestOf(brought[window.order] ^ flip)

    def look_up(self, known: Stretches) -> None:
        """Take in the stretches of the window that requests knew."""
        self._values.into(self._greatest, known)

    @property
    def held(self) -> NDArray[np.int64]:
        """The values or times."""
        return np.where(self._greatest == NO_NUMBER, NO_NUMBER, self._greatest ^ self._flip)


class Paired:
    """The value of the greatest, or the least, (time, value) of all time: int64[n]; `NO_NUMBER` for none."""

    def __init__(
        self, window: Window, brought: NDArray[np.int64], flip: int, time_us: NDArray[np.int64]
    ) -> None:
        some = np.flatnonzero(brought != NO_NUMBER)
        self._event = some[np.lexsort((brought[some] ^ flip, time_us[some] ^ flip))]
        self._brought = brought
        rank = np.full(len(brought), -1, np.int64)
        rank[self._event] = np.arange(len(some))
        self._rank = np.full(len(window.as_of), -1, np.int64)
        self._ranks = GreatestOf(rank[window.order])

    def look_up(self, known: Stretches) -> None:
        """Take in the stretches of the window that requests knew."""
        self._ranks.into(self._rank, known)

    @property
    def held(self) -> NDArray[np.int64]:
        """The values."""
        values = np.append(self._brought[self._event], NO_NUMBER)
        return values[self._rank]


class RegisterWords:
    """Registers, packed in words: int64[n, words]."""

    def __init__(self, window: Window, brought: NDArray[np.int64], registers: Registers) -> None:
        self._entries = RegistersOf(brought[window.order], registers)
        self.held = np.zeros((len(window.as_of), registers.words), np.int64)

    def look_up(self, known: Stretches) -> None:
        """Take in the stretches of the window that requests knew."""
        self._entries.into(self.held, known)


class Stepped:
    """The value of the greatest, or the least, (time, value) of a window of tiles, found by stepping.

    int64[n]; `NO_NUMBER` where there is none. It costs a step for each event with a value that a request did
    not know, from the window's end, or its beginning, to the first that it knew: usually none.
    """

    def __init__(self, read: Read, window: Window, history: History, known: Known) -> None:
        self.held = np.full(len(window.as_of), NO_NUMBER)
        valued = history.valued(read.placed.number)
        start = valued.position(known.entity, window.start_us)
        stop = valued.position(known.entity, window.end_us)
        step = 1 if read.placed.accumulator.flip else -1
        place = start.copy() if step > 0 else stop - 1
        request = np.flatnonzero((known.newest_us != EMPTY_US) & (stop > start))
        while len(request):
            at = place[request]
            knew = known.knows(request, valued.event[at])
            self.held[request[knew]] = valued.value[at[knew]]
            request = request[~knew]
            place[request] += step
            request = request[(place[request] >= start[request]) & (place[request] < stop[request])]


Added = Total | BucketCounts | TileTotals
Ordered = Extreme | Paired | RegisterWords


def held_by(read: Read, window: Window, history: History, known: Known) -> Added | Ordered | Stepped:
    """Return what an accumulator held: added words as if all was known, ordered ones before any look-up."""
    accumulator, brought = read.placed.accumulator, history.contributions[read.placed.number]
    match accumulator.sketch:
        case Buckets():
            return BucketCounts(window, brought, accumulator.sketch)
        case Registers():
            return RegisterWords(window, brought, accumulator.sketch)
        case _ if read.by_tile:
            return TileTotals(window, brought, history, known.entity)
        case _ if accumulator.kind in ADDED:
            return Total(window, brought)
        case _:
            return _kept(read, window, history, known)


def _kept(read: Read, window: Window, history: History, known: Known) -> Ordered | Stepped:
    """Return what an accumulator that keeps a value or a time held."""
    accumulator, brought = read.placed.accumulator, history.contributions[read.placed.number]
    if accumulator.kind in EXTREME:
        return Extreme(window, brought, accumulator.flip)
    if window.ring.of_all_time:
        return Paired(window, brought, accumulator.flip, history.time_us)
    return Stepped(read, window, history, known)


def _prefix_sums(brought: NDArray[np.int64]) -> NDArray[np.int64]:
    sums = np.zeros(len(brought) + 1, np.int64)
    np.cumsum(brought, out=sums[1:])
    return sums

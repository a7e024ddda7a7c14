"""Views compiled for the engine: what a row holds, where it lies, and how a feature reads it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from feature_store.readings import reading_of
from feature_store.rows import HASH_BYTES, RowLayout
from feature_store.tiles import Ring

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from feature_store.aggregations import Accumulator
    from feature_store.definitions import Aggregation, View
    from feature_store.events import EventBatch

    Identity = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """An accumulator in its place.

    Attributes:
        accumulator: What is accumulated.
        number: Its number among the view's accumulators.
        start: Its first word in its window; it has `ring.count` words for each word of its `initial`.
    """

    accumulator: Accumulator
    number: int
    start: int


@dataclass(frozen=True, eq=False)
class WindowPlan:
    """The accumulators of one window.

    Attributes:
        ring: The window's tiles.
        accumulators: In the order of their words.
        start: The window's first word among the row's tiles.
        initial: The words of an empty slot.
    """

    ring: Ring
    accumulators: tuple[Placed, ...]
    start: int
    initial: NDArray[np.int64]

    @property
    def words(self) -> int:
        """The number of words that the window takes."""
        return len(self.initial) * self.ring.count


@dataclass(frozen=True, eq=False)
class ViewPlan:
    """What a view's rows hold.

    Attributes:
        view: The definition.
        windows: In the order of their words.
    """

    view: View
    windows: tuple[WindowPlan, ...]

    @cached_property
    def accumulators(self) -> tuple[Accumulator, ...]:
        """The view's accumulators by number."""
        return tuple(placed.accumulator for window in self.windows for placed in window.accumulators)

    @cached_property
    def layout(self) -> RowLayout:
        """The layout of a row with room for the partitions that the source declares."""
        slots = [np.repeat(window.initial, window.ring.count) for window in self.windows]
        return RowLayout(self.view.digest[:HASH_BYTES], np.concatenate(slots), self.view.source.partitions)

    @cached_property
    def places(self) -> Mapping[tuple[Ring, Identity], tuple[WindowPlan, Placed]]:
        """Where an accumulator of a window is, by ring and identity."""
        return {
            (window.ring, placed.accumulator.identity): (window, placed)
            for window in self.windows
            for placed in window.accumulators
        }

    def find(self, ring: Ring, accumulator: Accumulator) -> tuple[WindowPlan, Placed]:
        """Return where an accumulator of a window is."""
        return self.places[ring, accumulator.identity]

    def contributions(self, batch: EventBatch) -> NDArray[np.int64]:
        """Return what each of `n` events brings to each accumulator: int64[accumulators, n].

        An event that takes back an earlier one brings the negative of what that one brought.
        """
        brought = np.empty((len(self.accumulators), len(batch)), np.int64)
        columns = batch.named
        for number, first in enumerate(self._first_equal):
            if first < number:
                brought[number] = brought[first]
            else:
                accumulator = self.accumulators[number]
                brought[number] = accumulator.contributions(columns, batch.event_time_us)
        if batch.source.retracts is not None:
            np.negative(brought, out=brought, where=batch.source.retracts.evaluate(columns, len(batch)))
        return brought

    @cached_property
    def _first_equal(self) -> list[int]:
        """The first accumulator, in whatever window, that takes events in as each does."""
        identities = [accumulator.identity for accumulator in self.accumulators]
        return [identities.index(identity) for identity in identities]


def ring_of(aggregation: Aggregation) -> Ring:
    """Return the tiles of an aggregation's window."""
    return Ring(aggregation.tile_us, aggregation.tiles)


@lru_cache(maxsize=4096)
def plan_of(view: View) -> ViewPlan:
    """Return what a view's rows hold: windows and accumulators in the order in which features need them."""
    needed: dict[Ring, dict[Identity, Accumulator]] = {}
    for aggregation in view.aggregations.values():
        accumulators = needed.setdefault(ring_of(aggregation), {})
        for accumulator in reading_of(aggregation).accumulators:
            accumulators.setdefault(accumulator.identity, accumulator)
    windows: list[WindowPlan] = []
    start = number = 0
    for ring, accumulators in needed.items():
        window = _place(ring, accumulators.values(), start, number)
        windows.append(window)
        start += window.words
        number += len(accumulators)
    return ViewPlan(view, tuple(windows))


def _place(ring: Ring, accumulators: Iterable[Accumulator], start: int, number: int) -> WindowPlan:
    placed: list[Placed] = []
    initial: list[int] = []
    for accumulator in accumulators:
        placed.append(Placed(accumulator, number + len(placed), len(initial) * ring.count))
        initial.extend(accumulator.initial)
    return WindowPlan(ring, tuple(placed), start, np.array(initial, np.int64))

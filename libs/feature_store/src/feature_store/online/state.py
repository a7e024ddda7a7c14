"""Applying events to rows: many entities of one view at once, in numpy, no Python per event.

Rows are a matrix of words (`feature_store.rows`). Applying is commutative and idempotent: the result is the
same whatever the order of the partitions and the slicing of the events, and an event at or below the row's
applied offset of its partition leaves no trace.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from feature_store.aggregations import NO_NUMBER, PAIRED, Kind
from feature_store.rows import APPLIED, NEWEST, RECORDED, WORD_BYTES
from feature_store.sketches import RANK_BITS
from feature_store.tiles import held

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from feature_store.events import EventBatch
    from feature_store.plans import ViewPlan, WindowPlan
    from feature_store.rows import RowLayout


@dataclass(frozen=True, slots=True)
class ViewEvents:
    """What the events of one batch mean to one view.

    Attributes:
        event_time_us: int64[m].
        recorded_time_us: int64[m].
        partition: int64[m].
        offset: int64[m].
        contributions: int64[accumulators of the view, m].
        index: Each event's index in its batch.
    """

    event_time_us: NDArray[np.int64]
    recorded_time_us: NDArray[np.int64]
    partition: NDArray[np.int64]
    offset: NDArray[np.int64]
    contributions: NDArray[np.int64]
    index: NDArray[np.int64]

    @classmethod
    def of(cls, plan: ViewPlan, batch: EventBatch) -> Self:
        """Compute what each event of a batch contributes to each accumulator of a view."""
        return cls(
            batch.event_time_us,
            batch.recorded_time_us,
            batch.partition.astype(np.int64),
            batch.offset,
            plan.contributions(batch),
            np.arange(len(batch)),
        )

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> ViewEvents:
        """Return the chosen events."""
        return ViewEvents(
            self.event_time_us[chosen],
            self.recorded_time_us[chosen],
            self.partition[chosen],
            self.offset[chosen],
            self.contributions[:, chosen],
            self.index[chosen],
        )


def apply(
    plan: ViewPlan,
    layout: RowLayout,
    rows: NDArray[np.int64],
    events: ViewEvents,
    targets: NDArray[np.int64],
    repeats: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Apply events to rows, in place.

    Args:
        plan: The view.
        layout: The rows' layout, with room for every partition of the events.
        rows: int64[n, words], contiguous.
        events: m events.
        targets: The row of each event, int64[m].
        repeats: Which events of the batch repeat an earlier record: a row notes that it has seen them, and no
            more.

    Returns:
        Which rows took or noted an event: bool[n]. The others are untouched.
    """
    words = rows.reshape(-1)
    applied = targets * layout.words + APPLIED + events.partition
    fresh = events.offset > words[applied]
    np.maximum.at(words, applied, events.offset)
    changed = np.zeros(len(rows), np.bool_)
    changed[targets[fresh]] = True
    fresh &= ~repeats[events.index]
    if not fresh.all():
        events, targets = events.take(fresh), targets[fresh]
    newest_before = rows[:, NEWEST].copy()
    np.maximum.at(words, targets * layout.words + NEWEST, events.event_time_us)
    np.maximum.at(words, targets * layout.words + RECORDED, events.recorded_time_us)
    for window in plan.windows:
        _advance(window, layout, rows, newest_before)
        _add(window, layout, rows, events, targets)
    return changed


def _advance(
    window: WindowPlan, layout: RowLayout, rows: NDArray[np.int64], newest_before: NDArray[np.int64]
) -> None:
    """Empty the slots over which the heads have passed."""
    ring = window.ring
    tile = held(ring.tile(rows[:, NEWEST])[:, None], ring.count, np.arange(ring.count))
    passed = tile > ring.tile(newest_before)[:, None]
    start = layout.tiles + window.start
    block = rows[:, start : start + window.words].reshape(len(rows), len(window.initial), ring.count)
    np.copyto(block, window.initial[:, None], where=passed[:, None, :])


def _add(
    window: WindowPlan,
    layout: RowLayout,
    rows: NDArray[np.int64],
    events: ViewEvents,
    targets: NDArray[np.int64],
) -> None:
    """Take the events into their tiles; those outside their ring leave no trace."""
    ring, words = window.ring, rows.reshape(-1)
    tile = ring.tile(events.event_time_us)
    head = ring.tile(rows[targets, NEWEST])
    inside = np.flatnonzero(tile > head - ring.count)
    place = (targets * layout.words + layout.tiles + window.start + tile % ring.count)[inside]
    for placed in window.accumulators:
        contribution = events.contributions[placed.number][inside]
        at = place + placed.start
        if placed.accumulator.kind in PAIRED:
            _raise(words, at, ring.count, events.event_time_us[inside], contribution, placed.accumulator.flip)
        else:
            _merge(placed.accumulator.kind, words, at, ring.count, contribution)


def _merge(
    kind: Kind, words: NDArray[np.int64], at: NDArray[np.int64], count: int, brought: NDArray[np.int64]
) -> None:
    """Merge what events bring into words, in place; a tile's words lie `count` apart."""
    match kind:
        case Kind.MIN:
            np.minimum.at(words, at, brought)
        case Kind.MAX | Kind.NEWEST:
            np.maximum.at(words, at, brought)
        case Kind.BUCKETS:
            some = np.flatnonzero(brought)
            bucket = np.abs(brought[some]) - 1
            np.add.at(words, at[some] + bucket * count, np.sign(brought[some]))
        case Kind.REGISTERS:
            some = np.flatnonzero(brought)
            register, rank = brought[some] >> RANK_BITS, brought[some] & (2**RANK_BITS - 1)
            word = at[some] + register // WORD_BYTES * count
            np.maximum.at(
                words.view(np.uint8), word * WORD_BYTES + register % WORD_BYTES, rank.astype(np.uint8)
            )
        case _:
            np.add.at(words, at, brought)


def _raise(
    words: NDArray[np.int64],
    at: NDArray[np.int64],
    value_word: int,
    time_us: NDArray[np.int64],
    value: NDArray[np.int64],
    flip: int,
) -> None:
    """Raise (time, value) pairs to the greatest given; a value is `value_word` words after its time.

    With a `flip` of -1 the least pairs are kept.
    """
    given = np.flatnonzero(value != NO_NUMBER)
    time_us, value = time_us ^ flip, value ^ flip
    given = given[np.lexsort((value[given], time_us[given], at[given]))]
    places = at[given]
    greatest = given[np.append(places[1:] != places[:-1], np.ones(min(1, len(places)), np.bool_))]
    place, time, number = at[greatest], time_us[greatest], value[greatest]
    held_time, held_number = words[place] ^ flip, words[place + value_word] ^ flip
    rises = (time > held_time) | ((time == held_time) & (number > held_number))
    words[place[rises]] = time[rises] ^ flip
    words[place[rises] + value_word] = number[rises] ^ flip

"""Where what a contract reads lies in the rows of a request, and reading it: tiles that count, merged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Self, overload

import numpy as np

from feature_store.online.row_words import LastWords, WideWords
from feature_store.rows import APPLIED, NEWEST, RECORDED, REVISION, WORD
from feature_store.tiles import EMPTY_US, held
from feature_store.vectors import Readings, RowPositions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from feature_store.rows import RowLayout
    from feature_store.tiles import Ring
    from feature_store.vectors import Read, VectorPlan

_NEVER: Final[int] = 2**63 - 1
"""The age of a slot that a ring does not have: no request sees it."""


@dataclass(frozen=True, slots=True, eq=False)
class RowReadings:
    """What was read of the rows of `n` requests.

    Attributes:
        heads: Newest event time, recorded watermark and offsets applied of each view's row, int64[n, ...].
        totals: See `Readings`.
        lasts: See `Readings`.
        wides: See `Readings`.
    """

    heads: NDArray[np.int64]
    totals: NDArray[np.int64]
    lasts: NDArray[np.int64]
    wides: Sequence[NDArray[np.int64]]

    @classmethod
    def concatenated(cls, parts: Sequence[Self]) -> Self:
        """Return the readings of several parts of the requests as one."""
        return cls(
            np.concatenate([part.heads for part in parts]),
            np.concatenate([part.totals for part in parts]),
            np.concatenate([part.lasts for part in parts]),
            [np.concatenate(wides) for wides in zip(*(part.wides for part in parts), strict=True)],
        )


class RowMap:
    """Reads a matrix of rows: each line the rows of one request, a view beside the other.

    Arrays over slots have them on the axis before the last: numpy adds up many short rows far slower than few
    long ones.

    Attributes:
        words: Length of a line.
    """

    def __init__(self, plan: VectorPlan, layouts: Sequence[RowLayout]) -> None:
        starts = np.cumsum([0, *(layout.words for layout in layouts)])
        self.words = int(starts[-1])
        self._names = [view.view.name for view in plan.views]
        self._prefix_words = (starts[:-1, None] + np.arange(REVISION)).ravel()
        self._prefixes = np.frombuffer(b"".join(layout.prefix for layout in layouts), WORD)
        self._heads, self._applied = _heads(starts, layouts)
        self._tiles = [int(start) + layout.tiles for start, layout in zip(starts, layouts, strict=False)]
        reads = (*plan.totals, *plan.lasts, *plan.wides)
        windows = list(dict.fromkeys((read.view, read.window.ring) for read in reads))
        self._window_view = np.array([view for view, _ in windows], np.intp)
        self._width_us = np.array([ring.width_us for _, ring in windows], np.int64)
        self._count = np.array([ring.count for _, ring in windows], np.int64)
        self._origin_us = np.array([ring.origin_us for _, ring in windows], np.int64)
        self._slots = np.arange(self._count.max(initial=0))[:, None]
        counts = sorted(set(self._count.tolist()))
        self._window_ring = np.array([counts.index(ring.count) for _, ring in windows], np.intp)
        self._ages = _ages(counts)
        self._totals, self._totals_window = self._words(plan.totals), _windows_of(plan.totals, windows)
        self._lasts = LastWords(plan.lasts, self._words, _windows_of(plan.lasts, windows))
        self._wides = [
            WideWords(read, self._words, window)
            for read, window in zip(plan.wides, _windows_of(plan.wides, windows).tolist(), strict=True)
        ]

    def _words(self, reads: Sequence[Read], block: int = 0) -> NDArray[np.intp]:
        """Return the word of each slot of each accumulator, intp[slots, reads]; any where there is none."""
        words = np.empty((len(self._slots), len(reads)), np.intp)
        for at, read in enumerate(reads):
            count = read.window.ring.count
            start = self._tiles[read.view] + read.window.start + read.placed.start + block * count
            words[:, at] = start + np.minimum(self._slots[:, 0], count - 1)
        return words

    def fits(self, matrix: NDArray[np.int64]) -> bool:
        """Return whether every row is of its view's layout."""
        return bool((matrix.take(self._prefix_words, axis=1) == self._prefixes).all())

    def read(self, matrix: NDArray[np.int64], time_us: NDArray[np.int64]) -> RowReadings:
        """Merge, for each request, the tiles that count as of its time."""
        heads = matrix.take(self._heads, axis=1)
        counted = self._counted(heads, time_us)
        tiles = matrix.take(self._totals, axis=1)
        tiles *= counted.take(self._totals_window, axis=2)
        wides = []
        if self._wides:
            as_of = self._tile(time_us[:, None])
            wides = [wide.read(matrix, counted, as_of) for wide in self._wides]
        return RowReadings(heads, tiles.sum(axis=1), self._lasts.read(matrix, counted), wides)

    def _tile(self, times_us: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the tile of each window in which times lie, int64[n, windows]; see `Ring.tile`."""
        tile: NDArray[np.int64] = (times_us - self._origin_us) // self._width_us
        return tile

    def _counted(self, heads: NDArray[np.int64], time_us: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which slots count: bool[n, slots, windows]."""
        head = self._tile(heads.take(self._window_view, axis=1))
        ahead = (self._tile(time_us[:, None]) - head)[:, :, None]
        age = self._ages[self._window_ring, head % self._count]
        # A request ahead of the newest event finds the oldest tiles too old; one behind, the newest too new.
        counted: NDArray[np.bool_] = (age < self._count[:, None] - ahead) & (age >= -ahead)
        return counted.transpose(0, 2, 1)

    def readings(self, read: RowReadings) -> Readings:
        """Return what a vector is made of."""
        return Readings(read.heads[:, : len(self._names)], read.totals, read.lasts, read.wides)

    def positions(self, read: RowReadings) -> Sequence[RowPositions]:
        """Return what the rows had applied."""
        return _Positions(self._names, self._applied, read.heads)


class _Positions(Sequence[RowPositions]):
    """What the rows of each view had applied, taken apart when somebody looks: after the score, if at all."""

    def __init__(self, names: Sequence[str], applied: Sequence[slice], heads: NDArray[np.int64]) -> None:
        self._names = names
        self._applied = applied
        self._heads = heads

    @cached_property
    def _each(self) -> tuple[RowPositions, ...]:
        views = len(self._names)
        found = self._heads[:, :views] != EMPTY_US
        return tuple(
            RowPositions(name, found[:, number], self._heads[:, applied], self._heads[:, views + number])
            for number, (name, applied) in enumerate(zip(self._names, self._applied, strict=True))
        )

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, index: int) -> RowPositions: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[RowPositions]: ...
    def __getitem__(self, index: int | slice) -> RowPositions | Sequence[RowPositions]:
        return self._each[index]


def _ages(counts: Sequence[int]) -> NDArray[np.int64]:
    """Return how many tiles before its ring's head each slot lies, int64[rings, head's slot, slots].

    A table, because looking up takes one operation and computing several. A slot that a ring does not have is
    as old as can be.
    """
    most = max(counts, default=0)
    ages = np.full((len(counts), most, most), _NEVER)
    for ring, count in enumerate(counts):
        head, slot = np.ogrid[:count, :count]
        ages[ring, :count, :count] = head - held(head, count, slot)
    return ages


def _heads(starts: NDArray[np.int64], layouts: Sequence[RowLayout]) -> tuple[NDArray[np.int64], list[slice]]:
    """Return the words of newest times, watermarks and offsets applied, and which are each view's offsets."""
    offsets = [
        start + np.arange(APPLIED, layout.tiles) for start, layout in zip(starts, layouts, strict=False)
    ]
    ends = np.cumsum([2 * len(layouts), *map(len, offsets)]).tolist()
    words = np.concatenate((starts[:-1] + NEWEST, starts[:-1] + RECORDED, *offsets))
    return words, [slice(start, end) for start, end in pairwise(ends)]


def _windows_of(reads: Sequence[Read], windows: Sequence[tuple[int, Ring]]) -> NDArray[np.intp]:
    return np.array([windows.index((read.view, read.window.ring)) for read in reads], np.intp)

"""Where what a contract reads lies in the rows of a request, and reading it: tiles that count, merged."""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, cast

import numpy as np

from feature_store.aggregations import PAIRED, Kind
from feature_store.rows import APPLIED, NEWEST, RECORDED, REVISION, WORD
from feature_store.tiles import EMPTY_US
from feature_store.vectors import Positions, Readings, RowPositions, told

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from feature_store.rows import RowLayout
    from feature_store.vectors import Read, VectorPlan


class RowMap:
    """Reads a matrix of rows: each line the rows of one request, a view beside the other.

    Attributes:
        words: Length of a line.
    """

    def __init__(self, plan: VectorPlan, layouts: Sequence[RowLayout]) -> None:
        self._kernels = plan.kernels
        starts = np.cumsum([0, *(layout.words for layout in layouts)])
        self.words = int(starts[-1])
        self._names = [view.view.name for view in plan.views]
        self._prefix_words = (starts[:-1, None] + np.arange(REVISION)).ravel()
        self._prefixes = np.frombuffer(b"".join(layout.prefix for layout in layouts), WORD)
        self._heads, self._applied = _heads(starts, layouts)
        self._declared = [view.layout.partitions for view in plan.views]
        is_wider = any(layout.partitions > n for layout, n in zip(layouts, self._declared, strict=True))
        self._positions = _WiderPositions if is_wider else _Positions
        reads = (*plan.totals, *plan.lasts, *plan.wides)
        windows = list(dict.fromkeys((read.view, read.window) for read in reads))
        self._windows = _lines(
            (
                (starts[view] + NEWEST, one.ring.width_us, one.ring.count, one.ring.origin_us)
                for view, one in windows
            ),
            4,
        )
        tiles = [int(start) + layout.tiles for start, layout in zip(starts, layouts, strict=False)]

        def place(read: Read) -> tuple[int, int]:
            window = windows.index((read.view, read.window))
            return tiles[read.view] + read.window.start + read.placed.start, window

        self._totals = _lines((place(read) for read in plan.totals), 2)
        self._lasts = _lines(
            ((*place(read), read.placed.accumulator.flip, read.kind in PAIRED) for read in plan.lasts), 4
        )
        sizes = [_size(read) for read in plan.wides]
        ends = np.cumsum([0, *sizes]).tolist()
        self._each_wide = [slice(start, end) for start, end in pairwise(ends)]
        self._wides = _lines(
            (
                (*place(read), self._how(read), size, first)
                for read, size, first in zip(plan.wides, sizes, ends, strict=False)
            ),
            5,
        )

    def _how(self, read: Read) -> int:
        how = self._kernels.How
        if read.by_tile:
            return int(how.BY_AGE)
        return int(how.GREATEST_BYTES if read.kind is Kind.REGISTERS else how.ADDED)

    def read(
        self, matrix: NDArray[np.int64], time_us: NDArray[np.int64]
    ) -> tuple[Readings, Positions] | None:
        """Return what the tiles hold that count as of each request's time, and what the rows had applied.

        None if a row is not of its layout.

        Args:
            matrix: int64[n, words].
            time_us: int64[n].
        """
        n = len(matrix)
        heads = np.empty((n, len(self._heads)), np.int64)
        totals = np.empty((n, len(self._totals)), np.int64)
        lasts = np.empty((n, len(self._lasts)), np.int64)
        wides = np.empty((n, self._each_wide[-1].stop if self._each_wide else 0), np.int64)
        if not self._kernels.read_rows(
            matrix,
            time_us,
            self._prefix_words,
            self._prefixes,
            self._heads,
            self._windows,
            self._totals,
            self._lasts,
            self._wides,
            heads,
            totals,
            lasts,
            wides,
        ):
            return None
        newest_us = heads[:, : len(self._names)]
        readings = Readings(newest_us, totals, lasts, [wides[:, one] for one in self._each_wide])
        return readings, self._positions(self._names, self._applied, heads, self._declared)


def _size(read: Read) -> int:
    """Return how many words are read of an accumulator."""
    return read.window.ring.count if read.by_tile else len(read.placed.accumulator.initial)


def _lines(lines: Iterable[Sequence[int]], columns: int) -> NDArray[np.int64]:
    return np.array(list(lines), np.int64).reshape(-1, columns)


class _Positions(Positions):
    """Taken from the words of the rows when somebody looks: after the score, if at all."""

    def __init__(
        self,
        names: Sequence[str],
        applied: Sequence[slice],
        heads: NDArray[np.int64],
        declared: Sequence[int],
    ) -> None:
        self._names = names
        self._applied = applied
        self._heads = heads
        self._declared = declared

    def of(self, request: int) -> Sequence[tuple[str, list[int], int]]:
        """See `Positions.of`; all requests' words are taken out at once."""
        words = self._words[request]
        views = len(self._names)
        return [
            (name, words[applied], words[views + number])
            for number, (name, applied) in enumerate(zip(self._names, self._applied, strict=True))
            if words[number] != EMPTY_US
        ]

    @cached_property
    def _words(self) -> list[list[int]]:
        return cast("list[list[int]]", self._heads.tolist())

    @cached_property
    def _each(self) -> Sequence[RowPositions]:
        views = len(self._names)
        found = self._heads[:, :views] != EMPTY_US
        return tuple(
            RowPositions(
                name, found[:, number], self._heads[:, applied], self._heads[:, views + number], declared
            )
            for number, (name, applied, declared) in enumerate(
                zip(self._names, self._applied, self._declared, strict=True)
            )
        )


class _WiderPositions(_Positions):
    """Of rows that are laid out for more partitions than their sources declare."""

    def of(self, request: int) -> Sequence[tuple[str, list[int], int]]:
        """See `Positions.of`."""
        declared = dict(zip(self._names, self._declared, strict=True))
        return [(name, told(applied, declared[name]), us) for name, applied, us in super().of(request)]


def _heads(starts: NDArray[np.int64], layouts: Sequence[RowLayout]) -> tuple[NDArray[np.int64], list[slice]]:
    """Return the words of newest times, watermarks and offsets applied, and which are each view's offsets."""
    offsets = [
        start + np.arange(APPLIED, layout.tiles) for start, layout in zip(starts, layouts, strict=False)
    ]
    ends = np.cumsum([2 * len(layouts), *map(len, offsets)]).tolist()
    words = np.concatenate((starts[:-1] + NEWEST, starts[:-1] + RECORDED, *offsets))
    return words, [slice(start, end) for start, end in pairwise(ends)]

"""Reading accumulators that are not one added word: the tiles that count, compared or merged word by word.

`RowMap` says where words lie and which slots count. Arrays over slots have them on the axis before the last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from feature_store.aggregations import NO_NUMBER, PAIRED, Kind
from feature_store.tiles import EMPTY_US

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from feature_store.vectors import Read


class Words(Protocol):
    """Says where accumulators lie in a line."""

    def __call__(self, reads: Sequence[Read], block: int = 0) -> NDArray[np.intp]:
        """Return the place of each slot's word number `block` of each accumulator, intp[slots, reads]."""


class LastWords:
    """Accumulators that keep a value or a time: with a time beside it, or alone."""

    def __init__(self, reads: Sequence[Read], words: Words, windows: NDArray[np.intp]) -> None:
        paired = np.array([read.kind in PAIRED for read in reads], np.bool_)
        flips = np.array([read.placed.accumulator.flip for read in reads], np.int64)
        self._pairs, self._singles = np.flatnonzero(paired), np.flatnonzero(~paired)
        self._count = len(reads)
        self._windows, self._flips = windows, flips
        times, values = words(reads), words(reads, 1)
        self._times, self._values = times[:, self._pairs], values[:, self._pairs]
        self._alone = times[:, self._singles]

    def read(self, matrix: NDArray[np.int64], counted: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return what the slots that count keep, merged, int64[n, reads]; `NO_NUMBER` for nothing."""
        if not len(self._singles):
            return self._read_pairs(matrix, counted)
        merged = np.empty((len(matrix), self._count), np.int64)
        merged[:, self._pairs] = self._read_pairs(matrix, counted)
        merged[:, self._singles] = self._read_singles(matrix, counted)
        return merged

    def _read_pairs(self, matrix: NDArray[np.int64], counted: NDArray[np.bool_]) -> NDArray[np.int64]:
        if not self._times.size:
            return np.empty((len(matrix), 0), np.int64)
        # Two tiles never hold the same event time, so the greatest (time, value) is the one of the greatest
        # time; the least, of the greatest with all bits flipped.
        times = matrix.take(self._times, axis=1) ^ self._flips[self._pairs]
        times = np.where(counted.take(self._windows[self._pairs], axis=2), times, EMPTY_US)
        latest, found = times.argmax(axis=1), times.max(axis=1) != EMPTY_US
        words = self._values[latest, np.arange(latest.shape[1])]
        return np.where(found, matrix[np.arange(len(matrix))[:, None], words], NO_NUMBER)

    def _read_singles(self, matrix: NDArray[np.int64], counted: NDArray[np.bool_]) -> NDArray[np.int64]:
        flips = self._flips[self._singles]
        kept = matrix.take(self._alone, axis=1) ^ flips
        greatest = np.where(counted.take(self._windows[self._singles], axis=2), kept, NO_NUMBER).max(axis=1)
        return np.where(greatest == NO_NUMBER, NO_NUMBER, greatest ^ flips)


class WideWords:
    """An accumulator of several words a tile, or one that is read tile by tile."""

    def __init__(self, read: Read, words: Words, window: int) -> None:
        self._kind, self._by_tile, self._window = read.kind, read.by_tile, window
        self._count = read.window.ring.count
        size = len(read.placed.accumulator.initial)
        self._words = np.stack([words([read], block)[: self._count, 0] for block in range(size)], axis=1)

    def read(
        self, matrix: NDArray[np.int64], counted: NDArray[np.bool_], as_of: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return what the slots that count hold: merged, int64[n, words], or by tile, int64[n, tiles].

        Args:
            matrix: The rows.
            counted: Which slots count, bool[n, slots, windows].
            as_of: The tile of the requests' time, int64[n, windows].
        """
        held = matrix.take(self._words, axis=1)
        held *= counted[:, : self._count, self._window, None]
        if self._by_tile:
            slot = (as_of[:, self._window, None] - np.arange(self._count)) % self._count
            return np.take_along_axis(held[:, :, 0], slot, axis=1)
        if self._kind is Kind.REGISTERS:
            registers: NDArray[np.int64] = held.view(np.uint8).max(axis=1).view(np.int64)
            return registers
        merged: NDArray[np.int64] = held.sum(axis=1)
        return merged

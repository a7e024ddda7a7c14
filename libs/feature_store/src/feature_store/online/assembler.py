"""From rows to vectors: one matrix for all the rows of all the requests, and no Python per feature."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np

from feature_store.aggregations import NO_NUMBER
from feature_store.rows import APPLIED, NEWEST, RECORDED, WORD, key_prefix
from feature_store.tiles import EMPTY_US, first, held
from feature_store.vectors import Readings, RowPositions, VectorPlan, Vectors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from feature_store.contract import Contract
    from feature_store.requests import Requests
    from feature_store.rows import RowLayout
    from feature_store.vectors import Read


class VectorAssembler:
    """Assembles the vectors of one contract."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self._plan = VectorPlan(contract)
        self._prefixes = [(key_prefix(view.name), view.entity.name) for view in contract.views]
        self._use([view.layout for view in self._plan.views])

    def _use(self, layouts: list[RowLayout]) -> None:
        self._layouts = layouts
        self._expected = [(layout.prefix, layout.size, layout.empty.tobytes()) for layout in layouts]
        self._map = _RowMap(self._plan, layouts)

    def row_keys(self, requests: Requests) -> list[bytes]:
        """Return the keys of the rows to read: `n * views` of them, a request's views side by side."""
        keys = [
            [prefix + key.encode() if key else prefix for key in requests.entities[entity]]
            for prefix, entity in self._prefixes
        ]
        return [key for request in zip(*keys, strict=True) for key in request]

    def assemble(self, requests: Requests, rows: Sequence[bytes | None], *, readable: bool = True) -> Vectors:
        """Return the vectors.

        Args:
            requests: The requests.
            rows: What was read under `row_keys(requests)`; None where there is no row. A row of another format
                version, or of another definition of its view, is unreadable and its features are DEFAULTED.
            readable: False where the store could not be read; then `rows` is not looked at.
        """
        n, views = len(requests), len(self._layouts)
        packed, unreadable = self._pack(rows if readable else [None] * (n * views))
        matrix = np.frombuffer(packed, WORD).reshape(n, self._map.words)
        mask = None if readable else np.zeros((n, views), np.bool_)
        if unreadable:
            mask = np.ones((n, views), np.bool_)
            mask.flat[unreadable] = False
        readings = self._map.read(matrix, requests.time_us)
        values, statuses = self._plan.finish(readings, requests, mask)
        return Vectors(values, statuses, self._map.positions(matrix, readings.newest_us))

    def _pack(self, rows: Sequence[bytes | None]) -> tuple[bytes, list[int]]:
        """Return the rows side by side, empty ones where there is none, and the indexes of the unreadable ones."""
        parts: list[bytes] = []
        unreadable: list[int] = []
        for row, (prefix, size, empty) in zip(rows, cycle(self._expected), strict=False):
            if row is None:
                parts.append(empty)
            elif row.startswith(prefix) and len(row) == size:
                parts.append(row)
            else:
                view = len(parts) % len(self._layouts)
                layout = self._layouts[view]
                partitions = layout.partitions_of(row)
                if partitions is None:
                    unreadable.append(len(parts))
                    parts.append(empty)
                elif partitions < layout.partitions:
                    laid_out = layout.with_partitions(partitions)
                    parts.append(laid_out.widen(laid_out.stack([row]), layout.partitions).tobytes())
                else:
                    # The topic was given more partitions since this process started.
                    wider = layout.with_partitions(partitions)
                    self._use([*self._layouts[:view], wider, *self._layouts[view + 1 :]])
                    return self._pack(rows)
        return b"".join(parts), unreadable


class _RowMap:
    """Where what a contract reads lies in the rows of a request, laid side by side."""

    def __init__(self, plan: VectorPlan, layouts: Sequence[RowLayout]) -> None:
        starts = np.cumsum([0, *(layout.words for layout in layouts)])
        self.words = int(starts[-1])
        self._views = [
            (view.view.name, int(start), layout.partitions)
            for view, start, layout in zip(plan.views, starts, layouts, strict=False)
        ]
        self._newest = starts[:-1] + NEWEST
        windows = list(dict.fromkeys((read.view, read.window.ring) for read in (*plan.totals, *plan.lasts)))
        self._window_view = np.array([view for view, _ in windows], np.intp)
        self._width_us = np.array([ring.width_us for _, ring in windows], np.int64)
        self._count = np.array([ring.count for _, ring in windows], np.int64)
        self._slots = np.arange(max((ring.count for _, ring in windows), default=0))
        self._real = self._slots < self._count[:, None]

        def place(reads: Sequence[Read], words_in: int = 0) -> NDArray[np.intp]:
            begins = [
                starts[read.view]
                + layouts[read.view].tiles
                + read.window.start
                + read.placed.start
                + words_in * read.window.ring.count
                for read in reads
            ]
            slots = [np.minimum(self._slots, read.window.ring.count - 1) for read in reads]
            return np.array(begins, np.intp)[:, None] + np.array(slots, np.intp).reshape(len(reads), -1)

        def window_of(reads: Sequence[Read]) -> NDArray[np.intp]:
            return np.array([windows.index((read.view, read.window.ring)) for read in reads], np.intp)

        self._totals, self._totals_window = place(plan.totals), window_of(plan.totals)
        self._last_times, self._last_values = place(plan.lasts), place(plan.lasts, 1)
        self._lasts_window = window_of(plan.lasts)

    def read(self, matrix: NDArray[np.int64], time_us: NDArray[np.int64]) -> Readings:
        """Merge, for each request, the tiles that count as of its time."""
        newest = matrix[:, self._newest]
        counted = self._counted(newest, time_us)
        tiles = matrix[:, self._totals]
        totals = np.where(counted[:, self._totals_window], tiles, 0).sum(axis=2)
        return Readings(newest, totals, self._read_lasts(matrix, counted))

    def _counted(self, newest_us: NDArray[np.int64], time_us: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which slots count: bool[n, windows, slots]."""
        head = newest_us[:, self._window_view] // self._width_us
        as_of = time_us[:, None] // self._width_us
        oldest = first(head, as_of, self._count)
        tile = held(head[..., None], self._count[:, None], self._slots)
        return (tile >= oldest[..., None]) & (tile <= as_of[..., None]) & self._real

    def _read_lasts(self, matrix: NDArray[np.int64], counted: NDArray[np.bool_]) -> NDArray[np.int64]:
        if not len(self._last_times):
            return np.empty((len(matrix), 0), np.int64)
        # Two tiles never hold the same event time, so the greatest (time, value) is the one of the greatest time.
        times = np.where(counted[:, self._lasts_window], matrix[:, self._last_times], EMPTY_US)
        latest = times.argmax(axis=2)[..., None]
        values = np.take_along_axis(matrix[:, self._last_values], latest, axis=2)
        return np.where(np.take_along_axis(times, latest, axis=2) == EMPTY_US, NO_NUMBER, values)[..., 0]

    def positions(self, matrix: NDArray[np.int64], newest_us: NDArray[np.int64]) -> tuple[RowPositions, ...]:
        """Return what the rows had applied."""
        found = newest_us != EMPTY_US
        return tuple(
            RowPositions(
                name,
                found[:, number],
                matrix[:, start + APPLIED : start + APPLIED + partitions],
                matrix[:, start + RECORDED],
            )
            for number, (name, start, partitions) in enumerate(self._views)
        )

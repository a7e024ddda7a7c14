"""From rows to vectors: all the rows of many requests as one matrix, and no Python per feature."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Final, cast

import numpy as np

from feature_store.online.row_map import RowMap, RowReadings
from feature_store.rows import WORD, WORD_BYTES, key_prefix
from feature_store.vectors import VectorPlan, Vectors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from feature_store.contract import Contract
    from feature_store.requests import Requests
    from feature_store.rows import RowLayout

REQUESTS_A_PART: Final = 64
"""Larger arrays go back to the system after each use; getting them anew costs more than all arithmetic."""


class VectorAssembler:
    """Assembles the vectors of one contract.

    Attributes:
        contract: The contract.
    """

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self._plan = VectorPlan(contract)
        self._keys = [(key_prefix(view.name, view.digest), view.entity.name) for view in contract.views]
        self._expect([view.layout for view in self._plan.views])

    def _expect(self, layouts: Sequence[RowLayout]) -> None:
        self._layouts = layouts
        self._empty = [layout.empty.tobytes() for layout in layouts]
        self._map = RowMap(self._plan, layouts)

    def row_keys(self, requests: Requests) -> list[bytes]:
        """Return the keys of the rows to read: `n * views` of them, a request's views side by side."""
        keys = [
            [prefix + key.encode() if key else prefix for key in requests.entities[entity]]
            for prefix, entity in self._keys
        ]
        return [key for request in zip(*keys, strict=True) for key in request]

    def compute(self, requests: Requests) -> NDArray[np.float64]:
        """Return the features that need no rows: they may be computed while rows are being read."""
        return self._plan.compute(requests)

    def assemble(
        self,
        requests: Requests,
        rows: Sequence[bytes | None],
        *,
        readable: bool = True,
        computed: NDArray[np.float64] | None = None,
    ) -> Vectors:
        """Return the vectors.

        Args:
            requests: The requests.
            rows: What was read under `row_keys(requests)`; None where there is no row. A row of another
                format version, or of another definition of its view, is unreadable and its features are
                DEFAULTED.
            readable: False where the store could not be read; then `rows` is not looked at.
            computed: What `compute` returned for these requests, if somebody has called it already.
        """
        n, views, expected = len(requests), len(self._layouts), self._map
        if not readable:
            rows = [None] * (n * views)
        unreadable: list[int] = []
        parts: list[RowReadings] = []
        for start in range(0, max(n, 1), REQUESTS_A_PART):
            time_us = requests.time_us[start : start + REQUESTS_A_PART]
            first = start * views
            matrix, odd = self._matrix(len(time_us), rows[first : first + len(time_us) * views])
            unreadable.extend(first + index for index in odd)
            parts.append(self._map.read(matrix, time_us))
        if self._map is not expected:
            # Some rows were wider than expected; now that they are, all parts come out alike.
            return self.assemble(requests, rows, readable=readable, computed=computed)
        read = parts[0] if len(parts) == 1 else RowReadings.concatenated(parts)
        mask = None
        if unreadable or not readable:
            mask = np.full((n, views), readable)
            mask.flat[unreadable] = False
        values, statuses = self._plan.finish(self._map.readings(read), requests, mask, computed)
        return Vectors(values, statuses, self._map.positions(read))

    def _matrix(self, n: int, rows: Sequence[bytes | None]) -> tuple[NDArray[np.int64], list[int]]:
        """Return each request's rows side by side, int64[n, words], and the indexes of the unreadable ones.

        Where there is no row, or an unreadable one, there is an empty one.
        """
        present: Sequence[bytes]
        if None in rows:
            present = [
                empty if row is None else row for row, empty in zip(rows, cycle(self._empty), strict=False)
            ]
        else:
            present = cast("Sequence[bytes]", rows)
        packed = b"".join(present)
        if len(packed) == n * self._map.words * WORD_BYTES:
            matrix = np.frombuffer(packed, WORD).reshape(n, self._map.words)
            if self._map.fits(matrix):
                return matrix, []
        return self._odd_matrix(present)

    def _odd_matrix(self, rows: Sequence[bytes]) -> tuple[NDArray[np.int64], list[int]]:
        """Do the same where some rows are unreadable, or laid out for other numbers of partitions.

        Rows for more partitions than expected, which a topic may get while this process runs, are expected
        from now on.
        """
        views = len(self._layouts)
        decoded = [layout.decode(rows[view::views]) for view, layout in enumerate(self._layouts)]
        layouts = [layout for layout, _ in decoded]
        if any(
            layout.partitions != old.partitions for layout, old in zip(layouts, self._layouts, strict=True)
        ):
            self._expect(layouts)
        unreadable = [
            index for index, row in enumerate(rows) if layouts[index % views].partitions_of(row) is None
        ]
        return np.concatenate([matrix for _, matrix in decoded], axis=1), unreadable

"""From rows to vectors: all the rows of many requests as one matrix, and no Python per request or feature."""

from __future__ import annotations

from itertools import chain, cycle
from typing import TYPE_CHECKING, cast

import numpy as np

from feature_store.online.row_map import RowMap
from feature_store.rows import WORD, WORD_BYTES, key_prefix
from feature_store.vectors import VectorPlan, Vectors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from feature_store.contract import Contract
    from feature_store.requests import Requests
    from feature_store.rows import RowLayout


class VectorAssembler:
    """Assembles the vectors of one contract.

    Attributes:
        contract: The contract.
    """

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self._plan = VectorPlan(contract)
        # A key of one part, as most are, is in the requests as it is.
        self._keys = [
            (key_prefix(view.name, view.digest), "" if view.entity.keys else view.entity.name, view.entity)
            for view in contract.views
        ]
        self._expect([view.layout for view in self._plan.views])

    def _expect(self, layouts: Sequence[RowLayout]) -> None:
        self._layouts = layouts
        self._empty = [layout.empty.tobytes() for layout in layouts]
        self._map = RowMap(self._plan, layouts)

    def row_keys(self, requests: Requests) -> list[bytes]:
        """Return the keys of the rows to read: `n * views` of them, a request's views side by side."""
        columns = [
            [
                prefix + key.encode() if key else prefix
                for key in (requests.entities[name] if name else requests.keys_of(entity)).tolist()
            ]
            for prefix, name, entity in self._keys
        ]
        return list(chain.from_iterable(zip(*columns, strict=True)))

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
        n, views = len(requests), len(self._layouts)
        if not readable:
            rows = [None] * (n * views)
        mask = None if readable else np.zeros((n, views), np.bool_)
        packed = b"".join(self._present(rows))
        read = None
        if len(packed) == n * self._map.words * WORD_BYTES:
            matrix = np.frombuffer(packed, WORD).reshape(n, self._map.words)
            read = self._map.read(matrix, requests.time_us)
        if read is None:
            matrix, mask = self._odd_matrix(rows)
            read = self._map.read(matrix, requests.time_us)
            assert read is not None, "rows that were laid out here are not as they were laid out"
        readings, positions = read
        values, statuses = self._plan.finish(readings, requests, mask, computed)
        return Vectors(values, statuses, positions)

    def _present(self, rows: Sequence[bytes | None]) -> Sequence[bytes]:
        """Return the rows, with an empty one where there is none."""
        if None not in rows:
            return cast("Sequence[bytes]", rows)
        return [empty if row is None else row for row, empty in zip(rows, cycle(self._empty), strict=False)]

    def _odd_matrix(self, rows: Sequence[bytes | None]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return each request's rows side by side, int64[n, words], and which were readable, bool[n, views].

        For when some are unreadable, instead of which there is an empty one, or are laid out for other
        numbers of partitions. Rows for more partitions than expected, which a topic may get while this
        process runs, are expected from now on.
        """
        views = len(self._layouts)
        decoded = [layout.decode(rows[view::views]) for view, layout in enumerate(self._layouts)]
        layouts = [layout for layout, _ in decoded]
        if any(
            layout.partitions != old.partitions for layout, old in zip(layouts, self._layouts, strict=True)
        ):
            self._expect(layouts)
        readable = [
            row is None or layouts[index % views].partitions_of(row) is not None
            for index, row in enumerate(rows)
        ]
        matrix = np.concatenate([matrix for _, matrix in decoded], axis=1)
        return matrix, np.array(readable, np.bool_).reshape(-1, views)

"""Rows that this process has read or written, decoded: what makes a write need no read.

Another process may have replaced a row since; compare-and-set finds out. So the cache may forget anything at
any time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from feature_store.rows import RowLayout

_FIRST_CAPACITY: Final = 256
_EVICTED_PART: Final = 4
"""One in so many rows goes when the cache is full: evicting many at once costs next to nothing a row."""


class RowCache:
    """One view's rows by entity, the least recently used forgotten first.

    Attributes:
        layout: How the rows are laid out.
    """

    def __init__(self, layout: RowLayout, capacity: int) -> None:
        self.layout = layout
        self._capacity = capacity
        self._slots: dict[str, int] = {}
        self._free: list[int] = []
        self._rows = np.empty((0, layout.words), np.int64)
        self._expected = np.empty(0, np.object_)
        self._entities = np.empty(0, np.object_)
        self._used = np.empty(0, np.int64)
        self._tick = 0

    def __len__(self) -> int:
        return len(self._slots)

    def take(
        self, entities: Sequence[str]
    ) -> tuple[NDArray[np.int64], NDArray[np.object_], NDArray[np.intp]]:
        """Look rows up.

        Returns:
            Copies of the rows, int64[n, words]; the revisions they are stored under, as `revision_of` has
            them; and the indexes of those that are not here, which are empty rows in the first and None in
            the second.
        """
        slots = np.array([self._slots.get(entity, -1) for entity in entities], np.intp)
        missing = np.flatnonzero(slots < 0)
        if not len(self._rows):
            return np.tile(self.layout.empty, (len(entities), 1)), np.full(len(entities), None), missing
        rows, expected = self._rows[slots], self._expected[slots]
        rows[missing] = self.layout.empty
        expected[missing] = None
        self._tick += 1
        self._used[slots[slots >= 0]] = self._tick
        return rows, expected, missing

    def put(self, entities: Sequence[str], rows: NDArray[np.int64], expected: Sequence[bytes]) -> None:
        """Keep rows, with the revisions they are stored under; of more than fit, the last."""
        entities, rows, expected = (
            entities[-self._capacity :],
            rows[-self._capacity :],
            expected[-self._capacity :],
        )
        self._tick += 1
        here = [slot for slot in map(self._slots.get, entities) if slot is not None]
        self._used[here] = self._tick
        self._make_room(len(entities) - len(here), in_use=len(here))
        slots = [self._slot(entity) for entity in entities]
        self._rows[slots] = rows
        self._expected[slots] = expected
        self._entities[slots] = entities
        self._used[slots] = self._tick

    def widen(self, partitions: int) -> None:
        """Make room for this many partitions, if there is less."""
        if partitions > self.layout.partitions:
            self._rows = self.layout.widen(self._rows, partitions)
            self.layout = self.layout.with_partitions(partitions)

    def _slot(self, entity: str) -> int:
        slot = self._slots.get(entity)
        if slot is None:
            slot = self._slots[entity] = self._free.pop()
        return slot

    def _make_room(self, wanted: int, in_use: int) -> None:
        """Have this many free slots, at the cost of any rows but those in use, which have the latest tick."""
        if wanted <= len(self._free):
            return
        have = len(self._rows)
        grown = min(self._capacity, max(_FIRST_CAPACITY, 2 * have, have - len(self._free) + wanted))
        if grown > have:
            self._rows = np.concatenate((self._rows, np.empty((grown - have, self.layout.words), np.int64)))
            self._expected = np.concatenate((self._expected, np.full(grown - have, None)))
            self._entities = np.concatenate((self._entities, np.full(grown - have, None)))
            self._used = np.concatenate((self._used, np.zeros(grown - have, np.int64)))
            self._free.extend(range(have, grown))
        if wanted > len(self._free):
            self._evict(min(max(wanted - len(self._free), grown // _EVICTED_PART), len(self._slots) - in_use))

    def _evict(self, count: int) -> None:
        taken = np.fromiter(self._slots.values(), np.intp, len(self._slots))
        for slot in taken[np.argpartition(self._used[taken], count - 1)[:count]].tolist():
            del self._slots[self._entities[slot]]
            self._free.append(slot)

"""What a batch asks of one view's rows, and doing it: everything but talking to the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from feature_store.online.cache import RowCache
from feature_store.online.state import ViewEvents, apply
from feature_store.plans import plan_of
from feature_store.rows import REVISION, REVISION_BYTES, key_prefix, revision_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from feature_store.definitions import View
    from feature_store.events import EventBatch
    from feature_store.rows import RowLayout


class CachedView:
    """A view with this process's rows of it."""

    def __init__(self, view: View, cached_rows: int) -> None:
        self.view = view
        self.plan = plan_of(view)
        self.prefix = key_prefix(view.name, view.digest)
        self.cache = RowCache(self.plan.layout, cached_rows)


@dataclass(slots=True)
class Work:
    """What a batch asks of one view's rows, while it is being done.

    Attributes:
        view: The view.
        entities: The entities touched.
        events: What is applied to them.
        targets: The entity of each event, by index.
        layout: How the rows are laid out.
        rows: The entities' rows, int64[n, words].
        expected: The revision under which each is stored.
        missing: Indexes of the rows that were not cached.
        unreadable: How many rows were there and could not be read: they are taken as none.
    """

    view: CachedView
    entities: list[str]
    events: ViewEvents
    targets: NDArray[np.int64]
    layout: RowLayout
    rows: NDArray[np.int64]
    expected: NDArray[np.object_]
    missing: NDArray[np.intp]
    unreadable: int = 0

    @classmethod
    def of(cls, view: CachedView, batch: EventBatch) -> Self:
        """Return what a batch asks, with the rows that are cached. An event without a key asks nothing."""
        entities, targets = _grouped(view.view.keys_of(batch))
        events = ViewEvents.of(view.plan, batch)
        keyed = targets >= 0
        if not keyed.all():
            events, targets = events.take(keyed), targets[keyed]
        view.cache.widen(int(events.partition.max(initial=-1)) + 1)
        return cls(view, entities, events, targets, view.cache.layout, *view.cache.take(entities))

    def keys(self, chosen: NDArray[np.intp]) -> list[bytes]:
        """Return the keys of the chosen rows."""
        prefix = self.view.prefix
        return [prefix + self.entities[index].encode() for index in chosen.tolist()]

    def revisions(self, chosen: NDArray[np.intp]) -> list[bytes]:
        """Return the revisions that the chosen rows were taken at."""
        revisions: list[bytes] = self.expected[chosen].tolist()
        return revisions

    def fill(self, stored: Sequence[bytes | None]) -> None:
        """Take the missing rows as they were read."""
        layout, rows = self.layout.decode(stored)
        self.rows = self.layout.widen(self.rows, layout.partitions)
        self.layout = layout
        self.rows[self.missing] = rows
        self.expected[self.missing] = [revision_of(row) for row in stored]
        self.unreadable = _unreadable(layout, stored)

    def apply(self, repeats: NDArray[np.bool_]) -> tuple[NDArray[np.intp], list[bytes]]:
        """Apply the events; return the indexes of the rows that changed, and these rows as bytes."""
        touched = apply(self.view.plan, self.layout, self.rows, self.events, self.targets, repeats)
        changed = np.flatnonzero(touched)
        self.rows[changed, REVISION] += 1
        return changed, self.layout.unstack(self.rows[changed])

    def keep(
        self, changed: NDArray[np.intp], replaced: Sequence[bytes], lost: Mapping[int, bytes | None]
    ) -> None:
        """Cache the rows as they are stored now: those that changed were replaced, but for the lost ones."""
        self.expected[changed] = [row[REVISION_BYTES] for row in replaced]
        kept = [index for index in range(len(self.entities)) if index not in lost]
        cache = self.view.cache
        cache.widen(self.layout.partitions)
        rows = self.layout.widen(self.rows[kept], cache.layout.partitions)
        cache.put([self.entities[index] for index in kept], rows, self.expected[kept].tolist())

    def again(self, lost: Mapping[int, bytes | None]) -> Work:
        """Return the work on the lost rows, from what is stored there now."""
        indexes = np.array(list(lost), np.intp)
        renumbered = np.full(len(self.entities), -1, np.int64)
        renumbered[indexes] = np.arange(len(indexes))
        targets = renumbered[self.targets]
        mine = targets >= 0
        stored = list(lost.values())
        layout, rows = self.layout.decode(stored)
        return Work(
            self.view,
            [self.entities[index] for index in lost],
            self.events.take(mine),
            targets[mine],
            layout,
            rows,
            np.array([revision_of(row) for row in stored], np.object_),
            np.empty(0, np.intp),
            _unreadable(layout, stored),
        )


def _unreadable(layout: RowLayout, stored: Sequence[bytes | None]) -> int:
    return sum(row is not None and layout.partitions_of(row) is None for row in stored)


def _grouped(keys: NDArray[Any]) -> tuple[list[str], NDArray[np.int64]]:
    """Return the distinct keys, and for each key its index among them; -1 for null and empty keys."""
    numbers: dict[str | None, int] = {}
    numbered = [numbers.setdefault(key, len(numbers)) for key in keys.tolist()]
    entities = [key for key in numbers if key]
    indexes = np.full(len(numbers), -1, np.int64)
    indexes[[numbers[entity] for entity in entities]] = np.arange(len(entities))
    return entities, indexes[numbered]

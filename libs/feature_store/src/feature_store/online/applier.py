"""Applying events to stored rows, by any number of processes at once: merge, compare-and-set, try again.

First the ids are claimed, which tells repeats; then rows are taken from the cache or the store, events
applied, and the rows replaced by compare-and-set. A row that another process replaced meanwhile comes back,
and what it lacks is applied to it. When `apply` returns, everything is durable. When it raises, or the
process dies, part of it may be: applying the same records again, here or elsewhere and in whatever batches,
ends in the same state, because a row knows the last offset applied of each partition, and a claimed id the
offset that claimed it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from feature_store.online.cache import RowCache
from feature_store.online.claims import claimed_repeats
from feature_store.online.ports import StoreUnavailable
from feature_store.online.state import ViewEvents, apply
from feature_store.plans import plan_of
from feature_store.rows import REVISION, REVISION_BYTES, key_prefix, revision_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from feature_store.definitions import View
    from feature_store.events import EventBatch
    from feature_store.online.ports import Claims, FeatureRows
    from feature_store.rows import RowLayout

CACHED_ROWS: Final = 100_000
"""Rows kept decoded, a view: some 100 MB at the usual row."""

ATTEMPTS: Final = 1_000
"""Every lost attempt is another writer's gain: so many in a row mean that the store is at fault."""


@dataclass(frozen=True, slots=True)
class Application:
    """What applying a batch did.

    Attributes:
        repeats: Which events repeat an earlier record, bool[n].
        rows_written: Rows replaced.
        conflicts: Replacements refused because another process had been there.
        cache_hits: Rows that needed no read.
        cache_misses: Rows read.
    """

    repeats: NDArray[np.bool_]
    rows_written: int
    conflicts: int
    cache_hits: int
    cache_misses: int


class Applier:
    """Applies events to the rows of views. One call at a time."""

    def __init__(
        self, views: Iterable[View], rows: FeatureRows, claims: Claims, *, cached_rows: int = CACHED_ROWS
    ) -> None:
        self._rows = rows
        self._claims = claims
        self._views = [_CachedView(view, cached_rows) for view in views]

    async def apply(self, batch: EventBatch) -> Application:
        """Apply a batch of one source's events to the rows of every view of that source.

        A partition's events must come in the order of their offsets, from one batch to the next.

        Raises:
            StoreUnavailable: the store is away; part of the batch may have been applied. Applying it again is
                safe.
        """
        repeats = await claimed_repeats(self._claims, batch)
        works = [view.work(batch, ~repeats) for view in self._views if view.view.source is batch.source]
        misses = await self._read_missing(works)
        touched = sum(len(work.entities) for work in works)
        written = conflicts = 0
        for _ in range(ATTEMPTS):
            changed, works = await self._replace(works)
            lost = sum(len(work.entities) for work in works)
            written, conflicts = written + changed - lost, conflicts + lost
            if not works:
                return Application(repeats, written, conflicts, touched - misses, misses)
        raise StoreUnavailable(f"{lost} rows were lost to other writers {ATTEMPTS} times in a row")

    async def _read_missing(self, works: Sequence[_Work]) -> int:
        """Read the rows that are not in the cache, all views' at once, and return how many they are."""
        keys = [work.keys(work.missing) for work in works]
        stored = await self._rows.read([key for keys_of_view in keys for key in keys_of_view])
        start = 0
        for work, keys_of_view in zip(works, keys, strict=True):
            work.fill(stored[start : start + len(keys_of_view)])
            start += len(keys_of_view)
        return start

    async def _replace(self, works: Sequence[_Work]) -> tuple[int, list[_Work]]:
        """Apply the events and replace the rows; return how many changed, and the work left to do again."""
        changed = [work.apply() for work in works]
        conflicts = await self._rows.replace(
            [key for work, chosen in zip(works, changed, strict=True) for key in work.keys(chosen)],
            [
                work.expected[index]
                for work, chosen in zip(works, changed, strict=True)
                for index in chosen.tolist()
            ],
            [row for work, chosen in zip(works, changed, strict=True) for row in work.packed(chosen)],
        )
        left: list[_Work] = []
        start = 0
        for work, chosen in zip(works, changed, strict=True):
            lost = {
                int(chosen[index - start]): stored
                for index, stored in conflicts.items()
                if start <= index < start + len(chosen)
            }
            start += len(chosen)
            work.keep(chosen, lost)
            if lost:
                left.append(work.again(lost))
        return start, left


class _CachedView:
    """A view with this process's rows of it."""

    def __init__(self, view: View, cached_rows: int) -> None:
        self.view = view
        self.plan = plan_of(view)
        self.prefix = key_prefix(view.name)
        self.cache = RowCache(self.plan.layout, cached_rows)

    def work(self, batch: EventBatch, counts: NDArray[np.bool_]) -> _Work:
        """Return what a batch asks of this view's rows. An event without a key asks nothing."""
        entities, targets = _grouped(batch.columns[self.view.key])
        events = ViewEvents.of(self.plan, batch, counts)
        keyed = targets >= 0
        if not keyed.all():
            events, targets = events.take(keyed), targets[keyed]
        self.cache.widen(int(events.partition.max(initial=-1)) + 1)
        rows, expected, missing = self.cache.take(entities)
        return _Work(self, entities, events, targets, self.cache.layout, rows, expected, missing)


@dataclass(slots=True)
class _Work:
    """What a batch asks of one view's rows, while it is being done.

    Attributes:
        view: The view.
        entities: The entities touched.
        events: What is applied to them.
        targets: The entity of each event, by index.
        layout: How the rows are laid out.
        rows: The entities' rows, int64[n, words].
        expected: The revision under which each is stored.
        missing: Indexes of the rows still to be read.
    """

    view: _CachedView
    entities: list[str]
    events: ViewEvents
    targets: NDArray[np.int64]
    layout: RowLayout
    rows: NDArray[np.int64]
    expected: NDArray[np.object_]
    missing: NDArray[np.intp]

    def keys(self, chosen: NDArray[np.intp]) -> list[bytes]:
        """Return the keys of the chosen rows."""
        prefix = self.view.prefix
        return [prefix + self.entities[index].encode() for index in chosen.tolist()]

    def packed(self, chosen: NDArray[np.intp]) -> list[bytes]:
        """Return the chosen rows as bytes."""
        return self.layout.unstack(self.rows[chosen])

    def fill(self, stored: Sequence[bytes | None]) -> None:
        """Take the missing rows as they were read."""
        layout, rows = self.layout.decode(stored)
        self.rows = self.layout.widen(self.rows, layout.partitions)
        self.layout = layout
        self.rows[self.missing] = rows
        self.expected[self.missing] = [revision_of(row) for row in stored]

    def apply(self) -> NDArray[np.intp]:
        """Apply the events and return the indexes of the rows that changed."""
        changed = np.flatnonzero(apply(self.view.plan, self.layout, self.rows, self.events, self.targets))
        self.rows[changed, REVISION] += 1
        return changed

    def keep(self, changed: NDArray[np.intp], lost: Mapping[int, bytes | None]) -> None:
        """Put the rows into the cache: the changed ones have been replaced, but for the lost ones."""
        self.expected[changed] = [row[REVISION_BYTES] for row in self.packed(changed)]
        kept = [index for index in range(len(self.entities)) if index not in lost]
        self.view.cache.widen(self.layout.partitions)
        rows = self.layout.widen(self.rows[kept], self.view.cache.layout.partitions)
        self.view.cache.put([self.entities[index] for index in kept], rows, self.expected[kept].tolist())

    def again(self, lost: Mapping[int, bytes | None]) -> _Work:
        """Return the work on the lost rows, from what is stored there now."""
        indexes = np.array(list(lost), np.intp)
        renumbered = np.full(len(self.entities), -1, np.int64)
        renumbered[indexes] = np.arange(len(indexes))
        targets = renumbered[self.targets]
        mine = targets >= 0
        layout, rows = self.layout.decode(list(lost.values()))
        expected = np.array([revision_of(row) for row in lost.values()], np.object_)
        entities = [self.entities[index] for index in lost]
        return _Work(
            self.view,
            entities,
            self.events.take(mine),
            targets[mine],
            layout,
            rows,
            expected,
            np.empty(0, np.intp),
        )


def _grouped(keys: NDArray[Any]) -> tuple[list[str], NDArray[np.int64]]:
    """Return the distinct keys, and for each key its index among them; -1 for null and empty keys."""
    encoded = pa.array(keys, pa.string()).dictionary_encode()
    entities = encoded.dictionary.to_pylist()
    targets = encoded.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    if "" not in entities:
        return entities, targets
    empty = entities.index("")
    kept = targets - (targets > empty)
    return [entity for entity in entities if entity], np.where(targets == empty, -1, kept)

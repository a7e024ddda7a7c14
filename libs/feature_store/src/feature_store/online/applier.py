"""Applying events to stored rows, by any number of processes at once: merge, compare-and-set, try again.

First the ids are claimed, which tells repeats; then rows are taken from the cache or the store, events
applied, and the rows replaced by compare-and-set. A row that another process replaced meanwhile comes back,
and what it lacks is applied to it. When `apply` returns, everything is durable. When it raises, or the
process dies, part of it may be: applying the same records again, here or elsewhere and in whatever batches,
ends in the same state, because a row knows the last offset applied of each partition, and a claimed id the
offset that claimed it.

What can be in flight at once is: claims beside reads, and one view beside another, so that the store works on
one while this process works on the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from feature_store.online.claims import claimed_repeats
from feature_store.online.ports import StoreUnavailable
from feature_store.online.together import both
from feature_store.online.work import CachedView, Work

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    from feature_store.definitions import View
    from feature_store.events import EventBatch
    from feature_store.online.ports import Claims, FeatureRows

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
        unreadable: Rows that were there and could not be read: their entities began anew.
    """

    repeats: NDArray[np.bool_]
    rows_written: int
    conflicts: int
    cache_hits: int
    cache_misses: int
    unreadable: int


class Applier:
    """Applies events to the rows of views. One call at a time."""

    def __init__(
        self, views: Iterable[View], rows: FeatureRows, claims: Claims, *, cached_rows: int = CACHED_ROWS
    ) -> None:
        self._rows = rows
        self._claims = claims
        self._views = [CachedView(view, cached_rows) for view in views]

    async def apply(self, batch: EventBatch) -> Application:
        """Apply a batch of one source's events to the rows of every view of that source.

        A partition's events must come in the order of their offsets, from one batch to the next.

        Raises:
            StoreUnavailable: the store is away; part of the batch may have been applied. Applying it again is
                safe.
        """
        views = [view for view in self._views if view.view.source is batch.source]
        repeats, works = await both(claimed_repeats(self._claims, batch), self._gather(views, batch))
        misses = sum(len(work.missing) for work in works)
        hits = sum(len(work.entities) for work in works) - misses
        written = conflicts = 0
        unreadable = sum(work.unreadable for work in works)
        for _ in range(ATTEMPTS):
            replaced, works = await self._replace(works, repeats)
            unreadable += sum(work.unreadable for work in works)
            written, conflicts = written + replaced, conflicts + sum(len(work.entities) for work in works)
            if not works:
                return Application(repeats, written, conflicts, hits, misses, unreadable)
        names = ", ".join(work.view.view.name for work in works)
        raise StoreUnavailable(f"rows of {names} were lost to other writers {ATTEMPTS} times in a row")

    async def _gather(self, views: Iterable[CachedView], batch: EventBatch) -> list[Work]:
        """Gather the rows that a batch touches, from the caches and the store."""
        works = [Work.of(view, batch) for view in views]
        stored = iter(await self._rows.read([key for work in works for key in work.keys(work.missing)]))
        for work in works:
            work.fill(list(islice(stored, len(work.missing))))
        return works

    async def _replace(self, works: Iterable[Work], repeats: NDArray[np.bool_]) -> tuple[int, list[Work]]:
        """Apply the events and replace the rows; return how many were, and the work on the others."""
        changes = [(work, *work.apply(repeats)) for work in works]
        refused = await self._rows.replace(
            [key for work, changed, _ in changes for key in work.keys(changed)],
            [revision for work, changed, _ in changes for revision in work.revisions(changed)],
            [row for _, _, rows in changes for row in rows],
        )
        left: list[Work] = []
        first = 0
        for work, changed, rows in changes:
            lost = {
                int(changed[number - first]): row
                for number, row in refused.items()
                if first <= number < first + len(changed)
            }
            first += len(changed)
            work.keep(changed, rows, lost)
            if lost:
                left.append(work.again(lost))
        return first - len(refused), left

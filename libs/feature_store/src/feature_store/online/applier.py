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

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar, cast

from feature_store.online.claims import claimed_repeats
from feature_store.online.ports import StoreUnavailable
from feature_store.online.work import CachedView, Work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

    import numpy as np
    from numpy.typing import NDArray

    from feature_store.definitions import View
    from feature_store.events import EventBatch
    from feature_store.online.ports import Claims, FeatureRows

T = TypeVar("T")
S = TypeVar("S")

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
        self._views = [CachedView(view, cached_rows) for view in views]

    async def apply(self, batch: EventBatch) -> Application:
        """Apply a batch of one source's events to the rows of every view of that source.

        A partition's events must come in the order of their offsets, from one batch to the next.

        Raises:
            StoreUnavailable: the store is away; part of the batch may have been applied. Applying it again is
                safe.
        """
        views = [view for view in self._views if view.view.source is batch.source]
        repeats, works = await _both(
            claimed_repeats(self._claims, batch), _all(self._begin(view, batch) for view in views)
        )
        misses = sum(len(work.missing) for work in works)
        hits = sum(len(work.entities) for work in works) - misses
        done = await _all(self._finish(work, repeats) for work in works)
        written, conflicts = sum(written for written, _ in done), sum(lost for _, lost in done)
        return Application(repeats, written, conflicts, hits, misses)

    async def _begin(self, view: CachedView, batch: EventBatch) -> Work:
        """Gather the rows that a batch touches."""
        work = Work.of(view, batch)
        if len(work.missing):
            work.fill(await self._rows.read(work.keys(work.missing)))
        return work

    async def _finish(self, work: Work, repeats: NDArray[np.bool_]) -> tuple[int, int]:
        """Apply the events and replace the rows; return how many were, and how many attempts were lost."""
        written = conflicts = 0
        for _ in range(ATTEMPTS):
            changed, rows = work.apply(repeats)
            refused = await self._rows.replace(work.keys(changed), work.revisions(changed), rows)
            lost = {int(changed[index]): stored for index, stored in refused.items()}
            work.keep(changed, rows, lost)
            written, conflicts = written + len(rows) - len(lost), conflicts + len(lost)
            if not lost:
                return written, conflicts
            work = work.again(lost)
        name = work.view.view.name
        raise StoreUnavailable(f"rows of {name} were lost to other writers {ATTEMPTS} times in a row")


async def _all(doing: Iterable[Awaitable[T]]) -> list[T]:
    """Do several things at once; if one fails, fail when all have ended, so that none goes on unobserved."""
    ended = await asyncio.gather(*doing, return_exceptions=True)
    for result in ended:
        if isinstance(result, BaseException):
            raise result
    return cast("list[T]", ended)


async def _both(first: Awaitable[T], second: Awaitable[S]) -> tuple[T, S]:
    """Do two things at once, in the manner of `_all`."""
    ended = await _all(cast("list[Awaitable[object]]", [first, second]))
    return cast("tuple[T, S]", tuple(ended))

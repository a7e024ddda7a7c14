"""Takes a subject's past out of its feature rows, while events go on being applied.

A row that has applied nothing later than the erasure is deleted. One that has is replaced by the row of its
later events alone, read from the lake: what is then served is what a backfill would make. Either is done by
compare-and-set on the row's revision, and done again where a writer was faster. Afterwards the markers get a
new epoch, so that writers drop what they had cached.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
from feature_store.expressions import Field
from feature_store.online import Applier
from feature_store.online.epochs import Condition
from feature_store.online.memory import MemoryClaims, MemoryFeatureRows
from feature_store.plans import plan_of
from feature_store.rows import REVISION_BYTES, WORD, revision_of, row_key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from feature_store import EventBatch, View
    from feature_store.definitions import Source
    from feature_store.online.backfill_ports import Note
    from feature_store.online.epochs import Epochs
    from feature_store.online.ports import FeatureRows

_REVISION: Final = struct.Struct("<q")
_FIRST_OFFSET: Final = 5
_ATTEMPTS: Final = 100


class RowsHeld(Exception):
    """Rows are being replaced by a backfill, which has read what is to be erased."""


class RowFate(StrEnum):
    """What became of a row."""

    ABSENT = "absent"
    DELETED = "deleted"
    REPLACED = "replaced"


class ErasableRows(Protocol):
    """The store's rows, which can also be deleted."""

    async def delete(self, key: bytes, revision: bytes) -> bool:
        """Delete a row that has this revision; return whether none is there now.

        Raises:
            StoreUnavailable: the store is away.
        """
        ...


class SubjectHistory(Protocol):
    """What the lake holds."""

    async def reached(self, source: Source) -> Mapping[int, int]:
        """Look anew, and return how far the source's table goes, by partition."""
        ...

    async def of_key(self, source: Source, field: str, key: str) -> EventBatch:
        """Return the events of the version looked at whose field holds the key, in any order."""
        ...


@dataclass(frozen=True, slots=True)
class Store:
    """What rows are erased in.

    Attributes:
        rows: The rows.
        erasable: The same, for deletion.
        epochs: The markers that writers heed.
        note: Tells of a backfill that has begun.
        history: The lake, without what is erased.
        pause: Waits between two looks at the lake.
    """

    rows: FeatureRows
    erasable: ErasableRows
    epochs: Epochs
    note: Callable[[], Awaitable[Note | None]]
    history: SubjectHistory
    pause: Callable[[], Awaitable[None]]


async def erase_subject(
    views: Sequence[View], key: str, until_us: int, store: Store, *, now_us: int
) -> dict[str, RowFate]:
    """Erase what a subject's rows hold of the time up to `until_us`.

    Args:
        views: Those with a row of the subject's own (`feature_store.subjects.rows_of`).
        key: The entity's key as rows have it.
        until_us: What was recorded later stays.
        store: Where.
        now_us: Begins the revisions of replaced rows, so that no writer has seen them.

    Returns:
        What became of each view's row.

    Raises:
        RowsHeld: a backfill has begun; nothing was done, or it has to be done again.
        StoreUnavailable: the store is away.
    """
    await _refuse_backfill(store)
    fates = {view.name: await _erase_row(view, key, until_us, store, now_us) for view in views}
    epoch = await store.epochs.read()
    if epoch.condition is Condition.WHOLE and any(one is not RowFate.ABSENT for one in fates.values()):
        await store.epochs.write(f"erased@{now_us}".encode())
    await _refuse_backfill(store)
    return fates


async def _refuse_backfill(store: Store) -> None:
    if await store.note() is not None:
        raise RowsHeld(
            "a backfill of feature rows has begun, and may have read what is to be erased: "
            "let it end (run `tidemark features backfill` again), then run the same again"
        )


async def _erase_row(view: View, key: str, until_us: int, store: Store, now_us: int) -> RowFate:
    at = row_key(view.name, view.digest, key)
    for _ in range(_ATTEMPTS):
        [row] = await store.rows.read([at])
        if row is None:
            return RowFate.ABSENT
        later = await _made_of_later(view, key, row, until_us, store)
        if later is None:
            if await store.erasable.delete(at, revision_of(row)):
                return RowFate.DELETED
            continue
        revised = _revised(later, max(now_us, _REVISION.unpack(revision_of(row))[0] + 1))
        if not await store.rows.replace([at], [revision_of(row)], [revised]):
            return RowFate.REPLACED
    raise RowsHeld(f"row {at.decode()!r} was written by others {_ATTEMPTS} times meanwhile: run it again")


async def _made_of_later(view: View, key: str, row: bytes, until_us: int, store: Store) -> bytes | None:
    """Return the row that the events make which this one has applied and that were recorded later."""
    applied = _applied_offsets(view, row)
    while _is_behind(await store.history.reached(view.source), applied):
        await store.pause()
    [field] = view.key
    assert isinstance(field, Field), f"{view.name} has rows that subjects share"
    events = await store.history.of_key(view.source, field.name, key)
    ends = np.array([*applied.values(), *([-1] * (int(events.partition.max(initial=0)) + 1))], np.int64)
    chosen = (events.recorded_time_us > until_us) & (events.offset <= ends[events.partition])
    if not chosen.any():
        return None
    events = events.take(chosen)
    rows = MemoryFeatureRows()
    ordered = events.take(np.lexsort((events.offset, events.partition)))
    await Applier([view], rows, MemoryClaims()).apply(ordered)
    [made] = await rows.read([row_key(view.name, view.digest, key)])
    return made


def _applied_offsets(view: View, row: bytes) -> dict[int, int]:
    """By partition, the last offset that a row has applied; none of a row that cannot be read."""
    partitions = plan_of(view).layout.partitions_of(row)
    if partitions is None:
        return {}
    words = np.frombuffer(row, WORD)[_FIRST_OFFSET : _FIRST_OFFSET + partitions]
    return dict(enumerate(words.tolist()))


def _is_behind(reached: Mapping[int, int], applied: Mapping[int, int]) -> bool:
    return any(reached.get(partition, 0) <= offset for partition, offset in applied.items() if offset >= 0)


def _revised(row: bytes, revision: int) -> bytes:
    return row[: REVISION_BYTES.start] + _REVISION.pack(revision) + row[REVISION_BYTES.stop :]

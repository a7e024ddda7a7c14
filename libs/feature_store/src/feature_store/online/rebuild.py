"""Rows made again from the lake, and handed over to their writers with no gap and no double count.

1. **Stage.** The source tables are applied, by the applier of live events, to rows under keys of their own.
   What was applied is noted after each part; after a crash the work goes on from there, and doing a part
   twice has no effect, because a row knows the offsets it has applied. Live rows are not touched.
2. **Hold.** The markers (`epochs`) make the writers of live rows wait.
3. **Catch up.** The lake is read on to where the topics ended once the hold stood. A writer that had looked
   just before has nothing in hand that is later.
4. **Hand over.** Each live row is replaced by the staged one, which has all that it had, by compare-and-set.
   A writer that comes later is refused and finds the staged row, whose revision no count of writes reaches:
   it applies what the row lacks, which is nothing.
5. **Release.** Claims are copied, so that a repeat of an old record is still known; then the markers get a
   new epoch. Writers drop what they had cached and go on from their commits. What they read again has been
   applied, and rows know it.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from feature_store.online.applier import Applier
from feature_store.online.epochs import held
from feature_store.online.staging import STAGED, StagedClaims, StagedRows
from feature_store.rows import REVISION_BYTES, revision_of

if TYPE_CHECKING:
    from feature_store.definitions import Source, View
    from feature_store.events import EventBatch
    from feature_store.online.epochs import Epochs
    from feature_store.online.ports import Claims, FeatureRows

Offsets = Mapping[int, int]
"""The next offset, by partition."""
Positions = Mapping[str, Offsets]
"""The next offset, by topic and partition."""

OFFSETS_A_PART: Final = 20_000
KEYS_A_PART: Final = 512
_REVISION: Final = struct.Struct("<q")


class RebuildBroken(Exception):
    """What was staged is not all there any more: the rebuild has to begin anew."""


class History(Protocol):
    """What the lake holds of sources."""

    async def reached(self, source: Source) -> Offsets:
        """Look anew, and return how far the source's table goes, by partition."""
        ...

    async def read(self, source: Source, ranges: Mapping[int, tuple[int, int]]) -> EventBatch:
        """Return the events whose offset is in its partition's range [first, end), in any order."""
        ...


@dataclass(frozen=True, slots=True)
class Note:
    """How far a rebuild has come.

    Attributes:
        run: Its name.
        revision: What handed-over rows begin to count from; no row is written so often.
        views: Hex digest of each view that is rebuilt, by name.
        positions: What was applied.
    """

    run: str
    revision: int
    views: Mapping[str, str]
    positions: Positions


class RebuildStore(Protocol):
    """What a rebuild needs of the store beside rows and claims."""

    async def note(self) -> Note | None:
        """Return what the last `take_note` noted."""
        ...

    async def take_note(self, note: Note) -> None:
        """Note how far the rebuild has come."""
        ...

    def staged_keys(self) -> AsyncIterator[Sequence[bytes]]:
        """Yield the keys of staged rows, in parts; some may come twice."""
        ...

    async def copy_claims(self, positions: Positions) -> None:
        """Put the staged claims of the partitions' last generations over the live ones."""
        ...

    async def forget(self) -> None:
        """Delete the staged rows and claims, and the note last."""
        ...


@dataclass(frozen=True, slots=True)
class Report:
    """How far a rebuild has come, for who watches.

    Attributes:
        doing: "staging", "waiting for the lake", "handing over".
        done: Offsets passed, or rows handed over.
        total: Of how many.
    """

    doing: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Outside:
    """What a rebuild works on.

    Attributes:
        history: The lake.
        rows: The store's rows, live and staged.
        claims: The store's claims, live and staged.
        live: The markers that writers of live rows heed.
        staging: Markers of the staged rows.
        store: The rest of the store.
        ends: Where the sources' topics end now.
        pause: Waits between two looks at the lake.
        watch: Told how far it is.
    """

    history: History
    rows: FeatureRows
    claims: Claims
    live: Epochs
    staging: Epochs
    store: RebuildStore
    ends: Callable[[], Awaitable[Positions]]
    pause: Callable[[], Awaitable[None]]
    watch: Callable[[Report], None]


class Rebuild:
    """One rebuild of some views. One at a time in a store: two at once would stage under the same keys.

    Args:
        views: Which.
        outside: What it works on.
        run: A name for it that no other has.
        now_us: When it begins; later than any other rebuild's.
    """

    def __init__(self, views: Sequence[View], outside: Outside, *, run: str, now_us: int) -> None:
        self._views = views
        self._sources = list({view.source.topic: view.source for view in views}.values())
        self._outside = outside
        digests = {view.name: view.digest.hex() for view in views}
        self._note = Note(run, now_us, digests, {source.topic: {} for source in self._sources})
        self._applier = Applier(views, StagedRows(outside.rows), StagedClaims(outside.claims))

    async def run(self) -> int:
        """Rebuild, and return how many rows were handed over.

        One that was interrupted goes on where it was, if the views and their definitions are the same.

        Raises:
            StoreUnavailable: the store is away. Running it again goes on.
            RebuildBroken: staged rows were lost. Running it again begins anew.
        """
        outside = self._outside
        await self._begin()
        await self._stage(await self._reached())
        await outside.live.write(held(self._note.run))
        await self._catch_up(await outside.ends())
        handed_over = await self._hand_over()
        await outside.store.copy_claims(self._note.positions)
        await self._check_staging()
        await outside.live.write(f"{self._note.run}@{self._note.revision}".encode())
        await outside.store.forget()
        return handed_over

    async def _begin(self) -> None:
        store, staging = self._outside.store, self._outside.staging
        found = await store.note()
        is_ours = found is not None and found.views == self._note.views
        if found is not None and is_ours and (await staging.read()).detail == found.run:
            self._note = found
            return
        await store.forget()
        await staging.write(self._note.run.encode())
        await store.take_note(self._note)

    async def _check_staging(self) -> None:
        if (await self._outside.staging.read()).detail != self._note.run:
            await self._outside.store.forget()
            raise RebuildBroken("the store lost staged rows meanwhile; run the rebuild again: it begins anew")

    async def _reached(self) -> Positions:
        history = self._outside.history
        return {source.topic: await history.reached(source) for source in self._sources}

    async def _stage(self, reached: Positions) -> None:
        """Apply what the lake has and the staged rows have not."""
        for source in self._sources:
            while ranges := _next_ranges(self._note.positions[source.topic], reached[source.topic]):
                await self._applier.apply(_ordered(await self._outside.history.read(source, ranges)))
                await self._advance(source, ranges)
                self._tell("staging", reached)

    async def _advance(self, source: Source, ranges: Mapping[int, tuple[int, int]]) -> None:
        passed = {partition: end for partition, (_, end) in ranges.items()}
        positions = self._note.positions
        moved = {**positions, source.topic: {**positions[source.topic], **passed}}
        self._note = Note(self._note.run, self._note.revision, self._note.views, moved)
        await self._outside.store.take_note(self._note)

    async def _catch_up(self, ends: Positions) -> None:
        """Read the lake on until it holds all that the topics held."""
        wanted = {source.topic: ends.get(source.topic, {}) for source in self._sources}
        while _is_behind(self._note.positions, wanted):
            await self._stage(await self._reached())
            if _is_behind(self._note.positions, wanted):
                self._tell("waiting for the lake", wanted)
                await self._outside.pause()

    async def _hand_over(self) -> int:
        left = list({key async for part in self._outside.store.staged_keys() for key in part})
        total = len(left)
        while left:
            # A row is refused where a writer was faster, with what it had in hand: it has no more than that.
            left = await self._replace(left[:KEYS_A_PART]) + left[KEYS_A_PART:]
            self._outside.watch(Report("handing over", total - len(left), total))
        return total

    async def _replace(self, staged_keys: Sequence[bytes]) -> list[bytes]:
        """Put staged rows in the place of live ones; return the keys of those that were refused."""
        rows = self._outside.rows
        keys = [key.removeprefix(STAGED) for key in staged_keys]
        staged, live = await rows.read(staged_keys), await rows.read(keys)
        here = [index for index, row in enumerate(staged) if row is not None]
        refused = await rows.replace(
            [keys[index] for index in here],
            [revision_of(live[index]) for index in here],
            [self._revised(staged[index] or b"", live[index]) for index in here],
        )
        return [staged_keys[here[number]] for number in refused]

    def _revised(self, row: bytes, live: bytes | None) -> bytes:
        """Return a staged row with a revision that no writer has seen under the live row's key."""
        revision = self._note.revision
        if live is not None and len(live) >= REVISION_BYTES.stop:
            revision = max(revision, _REVISION.unpack(revision_of(live))[0] + 1)
        return row[: REVISION_BYTES.start] + _REVISION.pack(revision) + row[REVISION_BYTES.stop :]

    def _tell(self, doing: str, reached: Positions) -> None:
        self._outside.watch(Report(doing, _sum(self._note.positions), _sum(reached)))


def _next_ranges(passed: Offsets, reached: Offsets) -> dict[int, tuple[int, int]]:
    return {
        partition: (passed.get(partition, 0), min(passed.get(partition, 0) + OFFSETS_A_PART, end))
        for partition, end in reached.items()
        if passed.get(partition, 0) < end
    }


def _ordered(batch: EventBatch) -> EventBatch:
    return batch.take(np.lexsort((batch.offset, batch.partition)))


def _is_behind(passed: Positions, wanted: Positions) -> bool:
    return any(
        passed[topic].get(partition, 0) < end
        for topic, ends in wanted.items()
        for partition, end in ends.items()
    )


def _sum(positions: Positions) -> int:
    return sum(end for ends in positions.values() for end in ends.values())

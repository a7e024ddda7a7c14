"""Rows made from the lake, and handed over to the stream with no gap and no double count.

1. **Stage.** The source tables are applied, by the applier of live events, to rows under keys of their own.
   What was applied is noted after each part; after a crash the work goes on from there, and doing a part
   twice has no effect, because a row knows the offsets it has applied. Live rows are not touched.
2. **Hold and catch up**, where somebody may have written these rows before (they were lost, or are made
   again): the markers (`epochs`) make their writers wait, and the lake is read on to where the topics ended
   once the hold stood. A writer that had looked just before has nothing in hand that is later. Rows of new
   versions have no writer: only their own group waits.
3. **Hand over.** Each live row is replaced by the staged one, which has all that it had, by compare-and-set.
   A writer that comes later is refused and finds the staged row, whose revision no count of writes reaches:
   it applies what the row lacks, which is nothing.
4. **Release.** Claims are copied, so that a repeat of an old record is still known. A group that never began
   is committed to exactly where the lake was read to. Then the markers get a new epoch: writers drop what
   they had cached and go on from their commits. What they read again has been applied, and rows know it.

A group that begins beside another, on versions of which the other keeps some already, must not bring those
an event before the other has brought all that came before it. So the lake is read no further than the other
has committed (`Plan.limits`).
"""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from feature_store.online.applier import Applier
from feature_store.online.backfill_plan import Other, Plan, plan_backfill
from feature_store.online.backfill_ports import BackfillBroken, Filled, Note, Report
from feature_store.online.backfill_staging import Staging
from feature_store.online.epochs import Condition, held
from feature_store.online.keepers import Keeper, group_of, versions_of
from feature_store.online.staging import OwnClaims, StagedRows, staged_name, staged_prefix
from feature_store.rows import REVISION_BYTES, revision_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from feature_store.definitions import Source, View
    from feature_store.online.backfill_ports import Outside
    from feature_store.online.epochs import Epochs
    from feature_store.online.keepers import Positions

KEYS_A_PART: Final = 512
_REVISION: Final = struct.Struct("<q")
_NOTHING: Final = Plan({}, again=False, holds=(), limits={}, begins=False)


class Backfill:
    """One backfill of a project's views. One at a time for a group: two at once stage under the same keys.

    Args:
        project: The project's module.
        views: All of its views.
        outside: What it works on.
        run: A name for it that no other has.
        now_us: When it begins; later than any other backfill's.
        chosen: Names of the views to be made again, of rows that are kept already; all when empty.
        since: The first offset that rows shall hold, where it is not 0: for a history that is not whole.
    """

    def __init__(
        self,
        project: str,
        views: Sequence[View],
        outside: Outside,
        *,
        run: str,
        now_us: int,
        chosen: Sequence[str] = (),
        since: Positions | None = None,
    ) -> None:
        self._views = views
        self._chosen = chosen
        self._outside = outside
        self._group = group_of(project, views)
        self._keeper = Keeper(
            self._group, project, versions_of(views), since or {}, {}, complete=False, began_us=now_us
        )
        self._live = outside.markers(self._group)
        self._staging = outside.markers(staged_name(self._group))
        self._note = Note(run, now_us, _NOTHING, {})

    async def run(self) -> Filled:
        """Make the rows and hand them over.

        One that was interrupted goes on where it was, if the definitions and what was chosen are the same.

        Raises:
            StoreUnavailable: the store is away. Running it again goes on.
            BackfillBroken: staged rows were lost. Running it again begins anew.
            BackfillRefused: what was chosen would leave rows incomplete.
        """
        await self._begin()
        note, plan = self._note, self._note.plan
        sources = self._sources(plan.views)
        applier = Applier(
            [view for view in self._views if view.name in plan.views],
            StagedRows(self._outside.rows, self._group),
            OwnClaims(self._outside.claims, staged_name(self._group)),
        )
        staging = Staging(self._outside, sources, applier, note)
        await (self._fill_again(staging) if plan.again else self._fill_first(staging))
        self._note = staging.note
        handed_over = await self._hand_over()
        await self._outside.store.copy_claims(self._note.positions)
        await self._check_staging()
        await self._release()
        return Filled(self._group, plan.views, handed_over, self._note.positions)

    def _sources(self, names: Mapping[str, str]) -> list[Source]:
        return list({view.source.topic: view.source for view in self._views if view.name in names}.values())

    async def _begin(self) -> None:
        store = self._outside.store
        found = await store.note()
        if found is not None and self._is_ours(found) and (await self._staging.read()).detail == found.run:
            self._note = found
            return
        plan = await self._plan()
        await store.forget()
        await self._staging.write(self._note.run.encode())
        staged = {source.topic: dict[int, int]() for source in self._sources(plan.views)}
        self._note = replace(self._note, plan=plan, positions={**plan.limits, **staged})
        await store.take_note(self._note)

    def _is_ours(self, found: Note) -> bool:
        views = found.plan.views
        return self._keeper.shares(views) == views and (not self._chosen or set(self._chosen) == set(views))

    async def _plan(self) -> Plan:
        outside, log = self._outside, self._outside.log
        keepers = await outside.keepers.all()
        has_begun = any(one.group == self._group for one in keepers) or bool(await log.commits(self._group))
        others = [
            Other(
                one,
                (await outside.markers(one.group).read()).condition is Condition.WHOLE,
                await log.commits(one.group),
            )
            for one in keepers
            if one.group != self._group and one.shares(self._keeper.views)
        ]
        return plan_backfill(
            self._views, self._chosen, has_begun=has_begun, others=others, begins=await log.begins()
        )

    async def _fill_again(self, staging: Staging) -> None:
        await staging.read_on()
        for markers in self._held():
            await markers.write(held(self._note.run))
        await staging.catch_up(await self._outside.log.ends())

    async def _fill_first(self, staging: Staging) -> None:
        await self._live.write(held(self._note.run))
        await staging.read_on()
        await staging.catch_up(await self._left_in_the_topics())

    async def _left_in_the_topics(self) -> Positions:
        """Return what the lake has to have reached: nobody can read on where a topic holds nothing."""
        begins, ends = await self._outside.log.begins(), await self._outside.log.ends()
        return {
            topic: {partition: min(begin, ends[topic][partition]) for partition, begin in held.items()}
            for topic, held in begins.items()
        }

    def _held(self) -> list[Epochs]:
        return [self._live, *map(self._outside.markers, self._note.plan.holds)]

    async def _release(self) -> None:
        log, note = self._outside.log, self._note
        if note.plan.begins and not await log.commits(self._group):
            await log.commit(self._group, note.positions)
        keeper = replace(self._keeper, since=await self._since(), until=await log.ends())
        for markers in self._held():
            await markers.write(f"{note.run}@{note.revision}".encode())
        await self._outside.keepers.put(keeper)
        await self._outside.store.forget()

    async def _since(self) -> Positions:
        """Return what all rows lack: what they lacked, unless all were made anew."""
        kept = [one for one in await self._outside.keepers.all() if one.group == self._group]
        is_whole = self._note.plan.views.keys() == self._keeper.views.keys()
        return kept[0].since if kept and not is_whole else self._keeper.since

    async def _check_staging(self) -> None:
        if (await self._staging.read()).detail != self._note.run:
            await self._outside.store.forget()
            raise BackfillBroken(
                "the store lost staged rows meanwhile; run the backfill again: it begins anew"
            )

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
        keys = [key.removeprefix(staged_prefix(self._group)) for key in staged_keys]
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

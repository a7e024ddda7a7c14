"""The steps of an erasure. Each looks for what is left to do, so the whole may be begun again at any point.

1. Wait until the erasure is announced: from then on no writer lets the subject's past in.
2. Wait until archiver, `feature` and shadow_comparator have dealt with all that the topics held by then.
3. Lake: outcomes first, then tables of scores, for predictions and events tell which of their rows are
   meant; then predictions, then events.
4. Training sets.
5. Feature rows, which are made again of what the lake has left, and predictions that wait for their outcome.
6. The lake's old files once more: a compaction that failed meanwhile may have left one.
"""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from bus.times import format_rfc3339
from deltalake import DeltaTable
from privacy.erased import Erasure
from privacy.listing import LIST_AGE_SECONDS, read_erasures
from privacy.rows import RowFate, erase_subject
from training_sets.erasing import TableErased, erase_rows, sweep

from tidemark_cli.forgetting.places import Places
from tidemark_cli.forgetting.tables import Place
from tidemark_cli.forgetting.topics import gone_by
from tidemark_cli.forgetting.writers import Writers

_LOOK_AGAIN_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Report:
    """How far it is: what is being done, and so many of so many."""

    doing: str
    done: int
    total: int | None


class Forgetting:
    """One erasure, carried out.

    Args:
        places: Where.
        erasure: What was approved.
        watch: Told how far it is.
        clock_us: Stamps commits and revisions.
    """

    def __init__(
        self,
        places: Places,
        erasure: Erasure,
        *,
        watch: Callable[[Report], None],
        clock_us: Callable[[], int],
    ) -> None:
        self._places = places
        self._erasure = erasure
        self._watch = watch
        self._clock_us = clock_us

    async def run(self) -> dict[str, Any]:
        """Carry it out, and return the receipt.

        Raises:
            Unavailable: Kafka is away.
            StoreUnavailable: the feature store is away.
            RowsHeld: a rebuild is going on.
            LakeBusy: other writers of a table were faster every time.
        """
        began_us = self._clock_us()
        await self._announced()
        await self._dealt_with()
        tables = await asyncio.to_thread(self._erase_tables)
        datasets = await asyncio.to_thread(self._erase_datasets)
        rows = await self._erase_rows()
        other_versions = await self._places.erase_other_versions()
        waiting = await self._erase_waiting()
        await asyncio.to_thread(self._sweep_tables, tables)
        now_us = self._clock_us()
        return self._receipt(began_us, now_us, tables, datasets, rows) | {
            "scores_not_reached": await asyncio.to_thread(self._places.unreached),
            "feature_rows_of_other_versions": other_versions,
            "waiting_predictions": waiting,
            "topics": await gone_by(
                self._places.bootstrap, self._places.project, self._places.entity, now_us
            ),
        }

    async def _announced(self) -> None:
        self._watch(Report("waiting for the announcement", 0, None))
        while not await self._is_announced():  # noqa: ASYNC110 - another process announces it
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        # From then on every batch that a writer begins is held to a list that has the subject.
        await asyncio.sleep(LIST_AGE_SECONDS)

    async def _is_announced(self) -> bool:
        announced = await read_erasures(self._places.bootstrap)
        return any(one.erasure_id == self._erasure.erasure_id for one in announced)

    async def _dealt_with(self) -> None:
        """Wait until nobody has in hand what was published before the announcement."""
        places = self._places
        writers = Writers(places.project, places.entity, places.lake_uri, places.bootstrap)
        ends = await writers.ends()
        total = sum(ends.values())
        while left := await writers.left(ends):
            self._watch(Report("waiting for archiver and feature", max(0, total - left), total))
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    def _erase_tables(self) -> dict[str, TableErased]:
        found: dict[str, TableErased] = {}
        opened = self._tables()
        for number, (table, place) in enumerate(opened):
            self._watch(Report(f"table: {place.path}", number, len(opened)))
            now_ms = self._clock_us() // 1000
            found[place.path] = erase_rows(
                table, place.rows, why=self._erasure.erasure_id, now_ms=now_ms, spare_ns=place.spare_ns
            )
        return found

    def _sweep_tables(self, erased: dict[str, TableErased]) -> None:
        for table, place in self._tables():
            again = sweep(table, place.rows, table.version(), 0, spare_ns=place.spare_ns)
            before = erased.get(place.path)
            if before is not None and again.files_deleted:
                files = before.files_deleted + again.files_deleted
                erased[place.path] = TableErased(**asdict(before) | {"files_deleted": files})

    def _tables(self) -> list[tuple[DeltaTable, Place]]:
        return self._places.tables(self._erasure.until_us)

    def _erase_datasets(self) -> dict[str, int]:
        places, erasure = self._places, self._erasure
        manifests = places.manifests()
        found = {}
        for number, manifest in enumerate(manifests):
            self._watch(Report("training sets", number, len(manifests)))
            rows = places.shelf.erase(manifest, places.columns, erasure.until_us, erasure.erasure_id)
            if rows:
                found[manifest.name] = rows
        return found

    async def _erase_rows(self) -> dict[str, RowFate]:
        views = self._places.views
        self._watch(Report("feature rows", 0, len(views)))
        async with self._places.store() as store:
            return await erase_subject(
                views, self._places.key, self._erasure.until_us, store, now_us=self._clock_us()
            )

    async def _erase_waiting(self) -> int:
        self._watch(Report("predictions that wait for their outcome", 0, None))
        return await self._places.erase_waiting(self._erasure.until_us)

    def _receipt(
        self,
        began_us: int,
        now_us: int,
        tables: dict[str, TableErased],
        datasets: dict[str, int],
        rows: dict[str, RowFate],
    ) -> dict[str, Any]:
        return {
            "entity": self._erasure.entity,
            "subject": self._erasure.subject,
            "key_id": self._erasure.key_id,
            "until": format_rfc3339(self._erasure.until_us),
            "began": format_rfc3339(began_us),
            "ended": format_rfc3339(now_us),
            "tables": {path: asdict(one) for path, one in tables.items()},
            "datasets": datasets,
            "feature_rows": {name: str(fate) for name, fate in rows.items()},
        }

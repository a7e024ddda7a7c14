"""Source tables of the lake, as the archiver keeps them (docs/adr/0007-lake-offsets.md)."""

from __future__ import annotations

import asyncio
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

import pyarrow.dataset as ds
from training_sets.lake import open_table, read_events

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deltalake import DeltaTable
    from feature_store import EventBatch, Source


class LakeHistory:
    """`feature_store.online.backfill_ports.History` in Delta tables below a URI."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._tables: dict[str, DeltaTable] = {}

    async def reached(self, source: Source) -> Mapping[int, int]:
        """See `History.reached`: the positions that the table's own log holds.

        Raises:
            DatasetError: there is no such table, or it cannot be read.
        """
        return await asyncio.to_thread(self._reached, source)

    async def read(self, source: Source, ranges: Mapping[int, tuple[int, int]]) -> EventBatch:
        """See `History.read`: of the version that `reached` looked at.

        Raises:
            DatasetError: the table cannot be read.
        """
        return await asyncio.to_thread(self._read, source, ranges)

    async def of_key(self, source: Source, field: str, key: str) -> EventBatch:
        """See `privacy.rows.SubjectHistory.of_key`.

        Raises:
            DatasetError: the table cannot be read.
        """
        table = self._tables[source.topic]
        return await asyncio.to_thread(read_events, table, source, ds.field(field) == key)

    def _reached(self, source: Source) -> Mapping[int, int]:
        table = self._tables[source.topic] = open_table(self._uri, source)
        return positions_of(table, source.topic, source.partitions)

    def _read(self, source: Source, ranges: Mapping[int, tuple[int, int]]) -> EventBatch:
        wanted = [
            (ds.field("_partition") == partition)
            & (ds.field("_offset") >= first)
            & (ds.field("_offset") < end)
            for partition, (first, end) in ranges.items()
        ]
        return read_events(self._tables[source.topic], source, reduce(or_, wanted))


def positions_of(table: DeltaTable, topic: str, partitions: int) -> dict[int, int]:
    """Return how far a table goes, by partition of its topic, which has so many at least."""
    found: dict[int, int] = {}
    # A topic may have been given more partitions than its source declares.
    while (end := table.transaction_version(f"{topic}:{len(found)}")) is not None or len(found) < partitions:
        found[len(found)] = end or 0
    return found

"""Source tables of the lake, as the archiver keeps them (docs/adr/0007-lake-offsets.md)."""

from __future__ import annotations

import asyncio
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from feature_store.events import arrow_schema, from_arrow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from feature_store import EventBatch, Source


class LakeProblem(Exception):
    """The lake lacks a table, or a table cannot be read."""


class LakeHistory:
    """`feature_store.online.rebuild.History` in Delta tables below a URI."""

    def __init__(self, uri: str) -> None:
        self._uri = uri.rstrip("/")
        self._tables: dict[str, DeltaTable] = {}

    async def reached(self, source: Source) -> Mapping[int, int]:
        """See `History.reached`: the positions that the table's own log holds.

        Raises:
            LakeProblem: there is no such table.
        """
        return await asyncio.to_thread(self._reached, source)

    async def read(self, source: Source, ranges: Mapping[int, tuple[int, int]]) -> EventBatch:
        """See `History.read`: of the version that `reached` looked at.

        Raises:
            LakeProblem: the table cannot be read.
        """
        return await asyncio.to_thread(self._read, source, ranges)

    def _reached(self, source: Source) -> Mapping[int, int]:
        location = f"{self._uri}/sources/{source.topic}"
        try:
            table = self._tables[source.topic] = DeltaTable(location)
        except TableNotFoundError:
            raise LakeProblem(
                f"the lake has no table {location}: check --lake; does the archiver run with this project?"
            ) from None
        found: dict[int, int] = {}
        # A topic may have been given more partitions than its source declares.
        while (end := table.transaction_version(f"{source.topic}:{len(found)}")) is not None or (
            len(found) < source.partitions
        ):
            found[len(found)] = end or 0
        return found

    def _read(self, source: Source, ranges: Mapping[int, tuple[int, int]]) -> EventBatch:
        wanted = [
            (ds.field("_partition") == partition)
            & (ds.field("_offset") >= first)
            & (ds.field("_offset") < end)
            for partition, (first, end) in ranges.items()
        ]
        try:
            rows = self._tables[source.topic].to_pyarrow_dataset()
            columns = arrow_schema(source).names
            missing = [name for name in columns if name not in rows.schema.names]
            if missing:
                told = f"has no column {', '.join(missing)}: start the archiver with this project"
                raise LakeProblem(f"lake table {source.topic} {told}")
            return from_arrow(source, rows.to_table(columns=columns, filter=reduce(or_, wanted)))
        except (DeltaError, OSError, pa.ArrowException) as error:
            raise LakeProblem(f"lake table {source.topic} cannot be read: {error}") from error

"""The lake as training sets see it: every source's events, as they were known by some moment."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from feature_store import EventBatch, Source
from feature_store.events import arrow_schema, from_arrow
from numpy.typing import NDArray

from training_sets.datasets import TableVersion
from training_sets.errors import ChangedColumn, EmptyLake, MissingColumn, UnreadableTable


@dataclass(frozen=True, slots=True, eq=False)
class SourceEvents:
    """A source's events as the lake has them, and which version of the table they are of."""

    batch: EventBatch
    table: TableVersion


class EventLake(Protocol):
    """The offline store: what features saw, for ever."""

    def read(self, source: Source, until_us: int, at: TableVersion | None = None) -> SourceEvents:
        """Read the events of a source that were recorded by `until_us`, of one version of its table.

        Args:
            source: Whose events.
            until_us: The cut.
            at: Leaves out what the table did not hold by then, and answers as of that version; None for
                all there is.

        Raises:
            EmptyLake: there is no such table, or no such event.
            MissingColumn: the table lacks a column of every source's table.
            ChangedColumn: a column's type is not that of the source's field.
            UnreadableTable: it cannot be read.
        """


class DeltaEvents:
    """The Delta tables that the archiver keeps below `uri`."""

    def __init__(self, uri: str) -> None:
        self._uri = uri.rstrip("/")

    def read(self, source: Source, until_us: int, at: TableVersion | None = None) -> SourceEvents:
        """See `EventLake.read`."""
        table = open_table(self._uri, source)
        until = pa.scalar(until_us, pa.timestamp("us", tz="UTC"))
        batch = read_events(table, source, ds.field("_recorded_time") <= until)
        if not len(batch):
            raise EmptyLake(
                f"lake table {_location(table)} (version {table.version()}) holds no event recorded by "
                "--until: let the archiver catch up, or choose a later --until"
            )
        if at is not None:
            batch = batch.take(held_by(batch, at.next_offsets))
        version = table.version() if at is None else at.version
        return SourceEvents(batch, TableVersion(version, next_offsets(batch), len(batch)))


def open_table(uri: str, source: Source) -> DeltaTable:
    """Open a source's table below `uri`, at its newest version.

    Raises:
        EmptyLake: there is none.
        UnreadableTable: it cannot be read.
    """
    location = f"{uri.rstrip('/')}/sources/{source.topic}"
    try:
        return DeltaTable(location)
    except TableNotFoundError:
        raise EmptyLake(
            f"the lake has no table {location}: check LAKE_URI, and that the archiver runs with this project"
        ) from None
    except (DeltaError, OSError) as error:
        raise _unreadable(location, error) from error


def read_events(table: DeltaTable, source: Source, wanted: ds.Expression) -> EventBatch:
    """Read the events of a source's table that a condition on its columns holds for.

    A field that the table does not have yet is null, as it is in the older rows once the archiver has added
    it. Columns of fields that are declared no more are not read.

    Raises:
        MissingColumn: the table lacks a column of every source's table.
        ChangedColumn: a column's type is not that of the source's field.
        UnreadableTable: it cannot be read.
    """
    try:
        rows = table.to_pyarrow_dataset()
        schema = arrow_schema(source)
        _check_columns(table, schema, rows.schema)
        there = [name for name in schema.names if name in rows.schema.names]
        found = rows.to_table(columns=there, filter=wanted)
        for column in schema:
            if column.name not in there:
                found = found.append_column(column, pa.nulls(len(found), column.type))
        return from_arrow(source, found)
    except (DeltaError, OSError, pa.ArrowException) as error:
        raise _unreadable(_location(table), error) from error


def _check_columns(table: DeltaTable, wanted: pa.Schema, found: pa.Schema) -> None:
    for column in wanted:
        index = found.get_field_index(column.name)
        if index < 0 and column.name.startswith("_"):
            raise MissingColumn(
                f"lake table {_location(table)} has no column {column.name}, which every source's table has: "
                "the archiver did not make it; check LAKE_URI"
            )
        if index >= 0 and found.field(index).type != column.type:
            raise ChangedColumn(
                f"lake table {_location(table)}: column {column.name} holds {found.field(index).type}, the "
                f"project's source says {column.type}; declare the field under a new name, or publish to a "
                "new topic"
            )


def _location(table: DeltaTable) -> str:
    """Say where a table is as its user wrote it: a path for a local one."""
    return table.table_uri.removeprefix("file://").rstrip("/")


def _unreadable(location: str, error: Exception) -> UnreadableTable:
    return UnreadableTable(
        f"lake table {location} cannot be read: {error}; if a file is gone or damaged, delete the table, and "
        "the archiver reads its topic again"
    )


def held_by(batch: EventBatch, offsets: Mapping[int, int]) -> NDArray[np.bool_]:
    """Which events a table held that had each partition up to an offset: bool[n]."""
    ends = np.zeros(int(batch.partition.max(initial=0)) + 1, np.int64)
    for partition, end in offsets.items():
        if partition < len(ends):
            ends[partition] = end
    return batch.offset < ends[batch.partition]


def next_offsets(batch: EventBatch) -> dict[int, int]:
    """By partition, the offset after the last of its events."""
    return {
        int(partition): int(batch.offset[batch.partition == partition].max()) + 1
        for partition in np.unique(batch.partition)
    }

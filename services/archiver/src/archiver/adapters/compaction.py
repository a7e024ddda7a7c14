"""Joins a Delta table's small files into one, so that no two processes can do it to the same files.

`DeltaTable.optimize.compact` is not used: delta-rs 1.6 lets two compactions that read the same files both
commit, and every row of them is then in the table twice (docs/adr/0007-lake-offsets.md). Here the commit
carries a `txn` action of its own, by which Delta refuses the second of two.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.transaction import AddAction, RemoveAction
from pyarrow.dataset import FileSystemDataset

from archiver.adapters.lookups import LOOKED_UP, MOST_GROUP_ROWS, parquet_options

_APP_ID: Final = "compaction"
_PARTITION_PREFIX: Final = "partition."
_BOUNDED: Final = ("_partition", "_offset", "_event_time", "_recorded_time", *LOOKED_UP)
"""The columns by which readers skip files: what was recorded by then, ranges of offsets, ids."""


@dataclass(frozen=True, slots=True)
class SmallFile:
    """A file of a table: where it is below it, its size, and its partition's values as the log has them."""

    path: str
    size_bytes: int
    partition: tuple[tuple[str, str | None], ...]


def small_files(table: DeltaTable, below_bytes: int) -> list[list[SmallFile]]:
    """The files below a size of each of the table's partitions that has any, smallest first.

    Partitions rise by their values, so that the last is the newest.
    """
    by_partition: dict[tuple[tuple[str, str | None], ...], list[SmallFile]] = defaultdict(list)
    files = pa.table(table.get_add_actions(flatten=True))
    partition = [name for name in files.column_names if name.startswith(_PARTITION_PREFIX)]
    for path, size, *values in zip(
        *(files.column(name).to_pylist() for name in ("path", "size_bytes", *partition)), strict=True
    ):
        if size < below_bytes:
            lies_in = tuple(
                (name.removeprefix(_PARTITION_PREFIX), None if value is None else str(value))
                for name, value in zip(partition, values, strict=True)
            )
            by_partition[lies_in].append(SmallFile(path, size, lies_in))
    return [
        sorted(by_partition[values], key=lambda file: file.size_bytes)
        for values in sorted(by_partition, key=str)
    ]


def join_files(table: DeltaTable, files: Sequence[SmallFile], now_ms: int) -> None:
    """Replace files of one partition by one with the same rows, in one commit that changes no data.

    Raises:
        CommitFailedError: another process joined files since the table was read; nothing has changed.
    """
    partition = dict(files[0].partition)
    assert all(dict(file.partition) == partition for file in files)
    joined = _write(table, [file.path for file in files], partition, now_ms)
    removed = [
        RemoveAction(
            file.path,
            data_change=False,
            deletion_timestamp=now_ms,
            size=file.size_bytes,
            partition_values=partition,
        )
        for file in files
    ]
    table.create_write_transaction(
        [joined, *removed],
        mode="append",
        schema=table.schema(),
        partition_by=list(partition) or None,
        commit_properties=CommitProperties(app_transactions=[Transaction(_APP_ID, table.version())]),
    )


def _write(
    table: DeltaTable, paths: Sequence[str], partition: Mapping[str, str | None], now_ms: int
) -> AddAction:
    whole = table.to_pyarrow_dataset()
    schema = pa.schema([field for field in whole.schema if field.name not in partition])
    chosen = [fragment for fragment in whole.get_fragments() if fragment.path in set(paths)]
    rows = FileSystemDataset(chosen, schema, whole.format, whole.filesystem)
    folder = "".join(f"{name}={value}/" for name, value in partition.items())
    name, bounds = f"{folder}joined-{uuid4()}.zstd.parquet", _Bounds()
    with (
        whole.filesystem.open_output_stream(name) as stream,
        pq.ParquetWriter(stream, schema, **parquet_options(schema.names, rows.count_rows())) as writer,
    ):
        for group in _grouped(rows.to_batches(), schema):
            writer.write_table(group)
            bounds.take_in(group)
    size = whole.filesystem.get_file_info(name).size
    return AddAction(name, size, dict(partition), now_ms, data_change=False, stats=bounds.to_json())


def _grouped(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """Put the rows of many small files into few row groups: each is a read, and has its own statistics."""
    together: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        for start in range(0, batch.num_rows, MOST_GROUP_ROWS):
            part = batch.slice(start, MOST_GROUP_ROWS)
            if together and rows + part.num_rows > MOST_GROUP_ROWS:
                yield pa.Table.from_batches(together, schema)
                together, rows = [], 0
            together.append(part)
            rows += part.num_rows
    if together:
        yield pa.Table.from_batches(together, schema)


class _Bounds:
    """The least and the greatest of the columns that readers skip files by, over batches."""

    def __init__(self) -> None:
        self._rows = 0
        self._least: dict[str, Any] = {}
        self._greatest: dict[str, Any] = {}

    def take_in(self, rows: pa.Table) -> None:
        self._rows += rows.num_rows
        for name in set(_BOUNDED) & set(rows.schema.names):
            found = pc.min_max(rows.column(name)).as_py()
            if found["min"] is not None:
                self._least[name] = min(found["min"], self._least.get(name, found["min"]))
                self._greatest[name] = max(found["max"], self._greatest.get(name, found["max"]))

    def to_json(self) -> str:
        """As the Delta protocol has a file's statistics."""
        least, greatest = (
            {name: _told(bounds[name]) for name in _BOUNDED if name in bounds}
            for bounds in (self._least, self._greatest)
        )
        return json.dumps({"numRecords": self._rows, "minValues": least, "maxValues": greatest})


def _told(value: int | str | datetime) -> int | str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return value

"""Joins a Delta table's small files into one, so that no two processes can do it to the same files.

`DeltaTable.optimize.compact` is not used: delta-rs 1.6 lets two compactions that read the same files both
commit, and every row of them is then in the table twice (docs/adr/0007-lake-offsets.md). Here the commit
carries a `txn` action of its own, by which Delta refuses the second of two.
"""

import json
from collections.abc import Sequence
from typing import Final
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.transaction import AddAction, RemoveAction
from pyarrow.dataset import FileSystemDataset

_APP_ID: Final = "compaction"
_PARTITION_VALUES: Final[dict[str, str | None]] = {}


def small_files(table: DeltaTable, below_bytes: int) -> list[tuple[str, int]]:
    """The table's files below a size, smallest first, with their sizes."""
    files = pa.table(table.get_add_actions(flatten=True))
    sizes = zip(files.column("path").to_pylist(), files.column("size_bytes").to_pylist(), strict=True)
    return sorted(((path, size) for path, size in sizes if size < below_bytes), key=lambda file: file[1])


def join_files(table: DeltaTable, files: Sequence[tuple[str, int]], now_ms: int) -> None:
    """Replace files by one with the same rows, in one commit that changes no data.

    Raises:
        CommitFailedError: another process joined files since the table was read; nothing has changed.
    """
    joined = _write(table, [path for path, _ in files], now_ms)
    removed = [
        RemoveAction(path, data_change=False, deletion_timestamp=now_ms, size=size) for path, size in files
    ]
    table.create_write_transaction(
        [joined, *removed],
        mode="append",
        schema=table.schema(),
        commit_properties=CommitProperties(app_transactions=[Transaction(_APP_ID, table.version())]),
    )


def _write(table: DeltaTable, paths: Sequence[str], now_ms: int) -> AddAction:
    whole = table.to_pyarrow_dataset()
    chosen = [fragment for fragment in whole.get_fragments() if fragment.path in set(paths)]
    rows = FileSystemDataset(chosen, whole.schema, whole.format, whole.filesystem)
    name = f"joined-{uuid4()}.zstd.parquet"
    with (
        whole.filesystem.open_output_stream(name) as stream,
        pq.ParquetWriter(stream, whole.schema, compression="zstd") as writer,
    ):
        for batch in rows.to_batches():
            writer.write_batch(batch)
    size = whole.filesystem.get_file_info(name).size
    stats = json.dumps({"numRecords": rows.count_rows()})
    return AddAction(name, size, _PARTITION_VALUES, now_ms, data_change=False, stats=stats)

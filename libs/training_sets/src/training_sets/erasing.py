"""Takes rows out of Delta tables for good: out of the newest version, out of older ones, out of the log.

1. Files that hold such rows are written anew without them, in one commit. It carries the `txn` action by
   which compactions exclude one another (docs/adr/0007-lake-offsets.md), so that none which read the old
   files can bring their rows back, and none is undone by it.
2. Every file that no longer belongs to the table and holds such rows is deleted: what older versions need,
   and what writers that failed left behind.
3. The log is summed up in a checkpoint and what is before it is deleted: entries tell each file's least and
   greatest values.

Each step looks for what is left to do, so killed at any point and done again it ends the same.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction
from pyarrow import fs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

COMPACTION: Final = "compaction"
"""The application whose transactions exclude one another: at most one rewrites a table's files at a time."""
ERASURE: Final = "tidemark.erasure"
"""What a commit's metadata says it was for."""
_APPEND_ONLY: Final = "delta.appendOnly"
_ATTEMPTS: Final = 20
_LOG: Final = "_delta_log"
_LOG_ENTRY: Final = re.compile(r"(\d{20})\.(json|checkpoint(\.\d{10}\.\d{10})?\.parquet)")


class LakeBusy(Exception):
    """Other writers were faster every time; nothing is lost by trying again."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Which rows are meant.

    Attributes:
        columns: What has to be read to tell.
        chosen: Given a table with those of the columns that a file has, tells which rows: bool[n].
        text: What must not be left in the log's statistics; empty where rows are not chosen by a text.
    """

    columns: Sequence[str]
    chosen: Callable[[pa.Table], pa.Array]
    text: str = ""


@dataclass(frozen=True, slots=True)
class TableErased:
    """What was done to a table.

    Attributes:
        rows: Taken out of the newest version.
        version_before: The newest version before.
        version_after: That after; the same where no row had to go.
        files_deleted: Data files that older versions had and that held such rows.
        log_entries_deleted: Entries of the log that may have told of them.
    """

    rows: int
    version_before: int
    version_after: int
    files_deleted: int
    log_entries_deleted: int

    @property
    def nothing(self) -> bool:
        """Whether there was nothing to do."""
        return not (self.rows or self.files_deleted or self.log_entries_deleted)


def count_rows(table: DeltaTable, rows: Rows) -> int:
    """Count the rows of the newest version."""
    return sum(_count(one, rows) for one in _fragments(table))


def erase_rows(table: DeltaTable, rows: Rows, *, why: str, now_ms: int, spare_ns: int = 0) -> TableErased:
    """Take rows out of a table, its history and its log.

    Args:
        table: Opened at its newest version.
        rows: Which.
        why: The erasure's id, for the commit.
        now_ms: Stamps the removed files.
        spare_ns: Leave files alone that belong to no version and are so much younger than the newest: a
            writer may be about to commit them. 0 where nobody writes such rows any more.

    Raises:
        LakeBusy: other writers were faster, twenty times in a row.
    """
    before = table.version()
    erased = _take_out(table, rows, why, now_ms)
    return sweep(table, rows, before, erased, spare_ns=spare_ns)


def sweep(table: DeltaTable, rows: Rows, before: int, erased: int, *, spare_ns: int = 0) -> TableErased:
    """Delete what the newest version no longer needs and that still holds the rows, log entries included."""
    table.update_incremental()
    deleted = _delete_left_files(table, rows, spare_ns)
    entries = _shorten_log(table) if erased or deleted or _log_tells(table, rows.text) else 0
    return TableErased(erased, before, table.version() if erased else before, deleted, entries)


def _take_out(table: DeltaTable, rows: Rows, why: str, now_ms: int) -> int:
    for _ in range(_ATTEMPTS):
        table.update_incremental()
        holding = [one for one in _fragments(table) if _count(one, rows)]
        if not holding:
            return 0
        if table.metadata().configuration.get(_APPEND_ONLY) == "true":
            table.alter.set_table_properties({_APPEND_ONLY: "false"})
            continue
        try:
            return _rewrite(table, holding, rows, why, now_ms)
        except CommitFailedError:
            continue
    raise LakeBusy(f"{table.table_uri}: other writers were faster {_ATTEMPTS} times; run the same again")


def _rewrite(table: DeltaTable, holding: Sequence[Any], rows: Rows, why: str, now_ms: int) -> int:
    files = _facts_of_files(table)
    actions: list[AddAction | RemoveAction] = []
    erased = 0
    written: list[str] = []
    whole = table.to_pyarrow_dataset()
    for fragment in holding:
        size, partition = files[fragment.path]
        held = pq.read_table(fragment.path, filesystem=whole.filesystem, partitioning=None)
        kept = held.filter(pc.invert(_mask(held, rows)))
        erased += held.num_rows - kept.num_rows
        if kept.num_rows:
            added = _write(whole.filesystem, fragment.path, kept, partition, now_ms)
            written.append(added.path)
            actions.append(added)
        actions.append(RemoveAction(fragment.path, True, now_ms, size, partition))  # noqa: FBT003
    try:
        table.create_write_transaction(
            actions,
            mode="append",
            schema=table.schema(),
            partition_by=list(table.metadata().partition_columns),
            commit_properties=CommitProperties(
                custom_metadata={ERASURE: why},
                app_transactions=[Transaction(COMPACTION, table.version())],
            ),
        )
    except CommitFailedError:
        for path in written:
            whole.filesystem.delete_file(path)
        raise
    return erased


def _write(
    files: fs.FileSystem, instead_of: str, kept: pa.Table, partition: Mapping[str, str | None], now_ms: int
) -> AddAction:
    folder, slash, _ = instead_of.rpartition("/")
    path = f"{folder}{slash}kept-{uuid4()}.zstd.parquet"
    pq.write_table(kept, path, filesystem=files, compression="zstd")
    stats = json.dumps({"numRecords": kept.num_rows})
    return AddAction(path, files.get_file_info(path).size, partition, now_ms, True, stats)  # noqa: FBT003


def _delete_left_files(table: DeltaTable, rows: Rows, spare_ns: int) -> int:
    whole = table.to_pyarrow_dataset()
    live = {fragment.path for fragment in whole.get_fragments()}
    found = dict(_parquet_files(whole.filesystem))
    newest_ns = max(found.values(), default=0)
    deleted = 0
    for path, written_ns in found.items():
        spared = spare_ns and newest_ns - written_ns < spare_ns
        if path not in live and not spared and _file_holds(whole.filesystem, path, rows):
            whole.filesystem.delete_file(path)
            deleted += 1
    return deleted


def _shorten_log(table: DeltaTable) -> int:
    table.create_checkpoint()
    files, last = table.to_pyarrow_dataset().filesystem, table.version()
    old = [path for version, path in _log_entries(files) if version < last]
    for path in old:
        files.delete_file(path)
    return len(old)


def _log_tells(table: DeltaTable, text: str) -> bool:
    if not text:
        return False
    files = table.to_pyarrow_dataset().filesystem
    # Statistics are JSON within JSON.
    told = json.dumps(json.dumps(text)[1:-1])[1:-1].encode()
    for _, path in _log_entries(files):
        if path.endswith(".json") and told in files.open_input_file(path).read():
            return True
    return False


def _log_entries(files: fs.FileSystem) -> Iterator[tuple[int, str]]:
    for info in files.get_file_info(fs.FileSelector(_LOG, recursive=False)):
        name = _LOG_ENTRY.fullmatch(info.base_name)
        if name:
            yield int(name[1]), f"{_LOG}/{info.base_name}"


def _parquet_files(files: fs.FileSystem) -> Iterator[tuple[str, int]]:
    """Yield data files, whether any version has them or not, and when each was written."""
    for info in files.get_file_info(fs.FileSelector("", recursive=True)):
        path = info.path.lstrip("/")
        if path.endswith(".parquet") and not path.startswith(_LOG):
            yield path, info.mtime_ns or 0


def _file_holds(files: fs.FileSystem, path: str, rows: Rows) -> bool:
    try:
        names = pq.read_schema(path, filesystem=files).names
        there = [name for name in rows.columns if name in names]
        held = pq.read_table(path, filesystem=files, columns=there, partitioning=None)
    except (pa.ArrowInvalid, FileNotFoundError):
        return False  # not whole: its writer has not finished it, or it is gone meanwhile
    return bool(pc.any(_mask(held, rows)).as_py())


def _fragments(table: DeltaTable) -> list[Any]:
    return list(table.to_pyarrow_dataset().get_fragments())


def _count(fragment: Any, rows: Rows) -> int:
    there = [name for name in rows.columns if name in fragment.physical_schema.names]
    held = ds.FileSystemDataset([fragment], fragment.physical_schema, fragment.format, fragment.filesystem)
    return int(pc.sum(_mask(held.to_table(columns=there), rows)).as_py() or 0)


def _mask(held: pa.Table, rows: Rows) -> pa.Array:
    return pc.fill_null(rows.chosen(held), False)  # noqa: FBT003


def _facts_of_files(table: DeltaTable) -> dict[str, tuple[int, dict[str, str | None]]]:
    """By path, a file's size and the values of its partition."""
    added = pa.table(table.get_add_actions(flatten=True))
    names = list(table.metadata().partition_columns)
    found = {}
    for one in added.to_pylist():
        values = {name: one.get(f"partition.{name}") for name in names}
        told = {name: None if value is None else str(value) for name, value in values.items()}
        found[one["path"]] = (one["size_bytes"], told)
    return found

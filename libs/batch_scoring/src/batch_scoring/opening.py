"""Finding an input: a Parquet file, a folder or a pattern of them, or a Delta table, wherever it lies."""

from __future__ import annotations

import hashlib
from fnmatch import fnmatchcase
from typing import Final

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from pyarrow import fs
from training_sets.locations import uri_of

from batch_scoring.errors import EmptyInput, UnreadableInput, cause_of
from batch_scoring.inputs import Input, InputFile, unified

_PATTERN: Final = frozenset("*?[")
_MAPPING: Final = "delta.columnMapping.mode"
_FOOTER_END: Final = 8
"""Bytes at the end of a Parquet file: the footer's length, little-endian, and `PAR1`."""


def open_input(location: str, version: int | None = None) -> Input:
    """Look at all that an input holds: every file's footer is read, no row.

    Args:
        location: A path or URI: a file, a folder (all `*.parquet` below it), a pattern such as
            `requests/2013-0[1-3]*/*.parquet`, or a Delta table's folder.
        version: Of a Delta table; the newest when None.

    Raises:
        UnreadableInput: there is nothing, it cannot be read, or a version is asked of what has none.
        EmptyInput: it holds no row.
    """
    try:
        found = _open(location, uri_of(location).rstrip("/"), version)
    except (DeltaError, OSError, pa.ArrowException) as error:
        raise UnreadableInput(f"input {location} cannot be read: {cause_of(error)}") from error
    if not found.rows:
        raise EmptyInput(f"input {location} holds no row: there is nothing to score")
    return found


def _open(location: str, place: str, version: int | None) -> Input:
    files, root = fs.FileSystem.from_uri(place)
    folder = files.get_file_info(root).type is fs.FileType.Directory
    if folder and DeltaTable.is_deltatable(place):
        return _open_delta(location, DeltaTable(place, version=version))
    if version is not None:
        raise UnreadableInput(
            f"input {location} is no Delta table, so it has no version {version}: leave --input-version out"
        )
    return _open_parquet(location, files, root)


def _open_delta(location: str, table: DeltaTable) -> Input:
    # delta-rs says nothing of it, and finds no value of any column.
    mapping = table.metadata().configuration.get(_MAPPING, "none")
    if mapping != "none":
        raise UnreadableInput(
            f"input {location} is a Delta table with {_MAPPING} = {mapping}, whose files call columns "
            "otherwise, and is not read: write its rows to a table without, or to Parquet files"
        )
    rows = table.to_pyarrow_dataset()
    partitions = table.metadata().partition_columns
    files = [
        _look_at(one, one.path, one.path, [name for name in partitions if name in rows.schema.names])
        for one in sorted(rows.get_fragments(), key=lambda one: one.path)
    ]
    source = {"kind": "delta", "table": str(table.metadata().id), "version": table.version()}
    return Input(location, source, tuple(files), rows.schema, strict=False)


def _open_parquet(location: str, files: fs.FileSystem, root: str) -> Input:
    paths = _matching(files, root)
    if not paths:
        raise UnreadableInput(
            f"input {location} holds no *.parquet file and no Delta table: name a file, a folder or a pattern"
        )
    base = _base(root) if paths != [root] else root.rpartition("/")[0]
    rows = ds.dataset(paths, filesystem=files, format="parquet", partitioning="hive", partition_base_dir=base)
    found = []
    for one in rows.get_fragments():
        name = one.path.removeprefix(f"{base}/")
        size = files.get_file_info(one.path).size
        told = [*ds.get_partition_keys(one.partition_expression)]
        found.append(_look_at(one, name, f"{size} {_hash_of_footer(one)}", told))
    schema = _merged([rows.schema, *(one.schema for one in found)])
    return Input(location, {"kind": "parquet"}, tuple(found), schema, strict=True)


def _merged(schemas: list[pa.Schema]) -> pa.Schema:
    """Return every column in a type that holds all of its values; the first, where there is none."""
    fields: dict[str, pa.Field] = {}
    for field in (one for schema in schemas for one in schema.remove_metadata()):
        known = fields.setdefault(field.name, field)
        fields[field.name] = known if known.type == field.type else unified(known, field) or known
    return pa.schema(list(fields.values()))


def _look_at(fragment: ds.ParquetFileFragment, name: str, identity: str, partitions: list[str]) -> InputFile:
    metadata = fragment.metadata
    groups = tuple(metadata.row_group(number).num_rows for number in range(metadata.num_row_groups))
    told = ds.get_partition_keys(fragment.partition_expression)
    partition = {one: told.get(one) for one in partitions}
    schema = metadata.schema.to_arrow_schema().remove_metadata()
    return InputFile(name, fragment, identity, groups, schema, partition)


def _matching(files: fs.FileSystem, root: str) -> list[str]:
    """List the files that are meant, by name; those that begin with a dot or an underscore are nobody's."""
    if files.get_file_info(root).type is fs.FileType.File:
        return [root]
    base = _base(root)
    selector = fs.FileSelector(base, recursive=True, allow_not_found=True)
    listed = [one.path for one in files.get_file_info(selector) if one.type is fs.FileType.File]
    wanted = [path for path in listed if not _hidden(path.removeprefix(f"{base}/"))]
    if base == root:
        return sorted(path for path in wanted if path.endswith(".parquet"))
    return sorted(path for path in wanted if _matches(path, root))


def _matches(path: str, pattern: str) -> bool:
    """Whether a path is meant by a pattern, of which `*` stays within a folder, as in a shell."""
    parts, patterns = path.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))


def _hidden(name: str) -> bool:
    return any(part.startswith((".", "_")) for part in name.split("/"))


def _base(root: str) -> str:
    """Return the folder in front of a pattern; the whole where there is none."""
    parts = root.split("/")
    plain = next((at for at, part in enumerate(parts) if _PATTERN.intersection(part)), len(parts))
    return "/".join(parts[:plain])


def _hash_of_footer(fragment: ds.ParquetFileFragment) -> str:
    with fragment.open() as file:
        size = file.size()
        file.seek(size - _FOOTER_END)
        length = int.from_bytes(file.read(4), "little")
        file.seek(max(0, size - _FOOTER_END - length))
        return hashlib.sha256(file.read(length)).hexdigest()

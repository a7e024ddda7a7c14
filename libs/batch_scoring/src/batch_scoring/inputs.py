"""What is scored: rows of Parquet files or of one version of a Delta table, in an order that never changes.

A row is known by its number: files by name, row groups as they lie in a file, rows as they lie in a group.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from model_package import canonical_json

from batch_scoring.errors import UnknownColumn, UnreadableInput, WrongType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_BUFFER_BYTES: Final = 1 << 20


@dataclass(frozen=True, eq=False)
class InputFile:
    """A Parquet file of the input.

    Attributes:
        name: Relative to the input.
        fragment: Opens it.
        identity: Of its contents: size and SHA-256 of the footer, which says where all else lies; for a file
            of a Delta table, which never changes, its name.
        groups: Rows of each row group.
        schema: Its columns.
        partition: Columns that its folder tells.
    """

    name: str
    fragment: ds.ParquetFileFragment
    identity: str
    groups: tuple[int, ...]
    schema: pa.Schema
    partition: Mapping[str, Any]

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return sum(self.groups)


@dataclass(frozen=True, eq=False)
class Input:
    """Rows that are numbered from 0, and can be read from any of them on.

    Attributes:
        location: As its user named it.
        source: What it is: `{"kind": "parquet"}`, or a Delta table's kind, id and version.
        files: In order.
        schema: Columns that every row has, null where a file lacks them.
        strict: Whether a file that lacks a column is refused; a Delta table may have gained it later.
    """

    location: str
    source: Mapping[str, Any]
    files: tuple[InputFile, ...]
    schema: pa.Schema
    strict: bool

    @cached_property
    def rows(self) -> int:
        """How many there are."""
        return sum(file.rows for file in self.files)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What tells this input from any other, wherever it lies."""
        told = [[file.name, file.identity, file.rows] for file in self.files]
        digest = hashlib.sha256(canonical_json(told)).hexdigest()
        return {**self.source, "files": len(self.files), "rows": self.rows, "digest": digest}

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *accumulate(file.rows for file in self.files)]

    def where(self, row: int) -> str:
        """Say where a row lies, for a person: its file, and its number there, from 0."""
        at = bisect_right(self._starts, row) - 1
        return f"row {row - self._starts[at]:,} of {self.files[at].name}"

    def check(self, columns: Sequence[str]) -> None:
        """Refuse files that lack a column or have it in a type of their own.

        Raises:
            UnknownColumn: a file has no such column, and should.
            WrongType: its type there cannot be read as the others'.
        """
        for file in self.files:
            for name in columns:
                if name in file.partition:
                    continue
                if name not in file.schema.names:
                    if self.strict:
                        raise UnknownColumn(
                            f"{file.name} has no column {name!r}, which other files of {self.location} have: "
                            "score files of one shape at a time"
                        )
                    continue
                found, wanted = file.schema.field(name), self.schema.field(name)
                if found.type != wanted.type and unified(found, wanted) is None:
                    raise WrongType(
                        f"column {name!r} is {found.type} in {file.name} and {wanted.type} in other files of "
                        f"{self.location}: write it in one type"
                    )

    def read(self, columns: Sequence[str], start: int, batch_rows: int) -> Iterator[pa.Table]:
        """Read rows from `start` on, `batch_rows` at a time; the last batch may have fewer.

        Where batches are cut depends on `start` and `batch_rows` alone, not on files and row groups.

        Raises:
            UnreadableInput: a file is gone or damaged.
        """
        schema = pa.schema([self.schema.field(name) for name in columns])
        waiting: list[pa.RecordBatch] = []
        missing = batch_rows
        for piece in self._pieces(schema, start, batch_rows):
            rest = piece
            while rest.num_rows >= missing:
                yield pa.Table.from_batches([*waiting, rest.slice(0, missing)], schema)
                rest, waiting, missing = rest.slice(missing), [], batch_rows
            if rest.num_rows:
                waiting.append(rest)
                missing -= rest.num_rows
        if waiting:
            yield pa.Table.from_batches(waiting, schema)

    def _pieces(self, schema: pa.Schema, start: int, batch_rows: int) -> Iterator[pa.RecordBatch]:
        for file, first in zip(self.files, self._starts, strict=False):
            if first + file.rows > start:
                try:
                    yield from _rows_of(file, schema, max(0, start - first), batch_rows)
                except (OSError, pa.ArrowException) as error:
                    raise UnreadableInput(
                        f"{file.name} of {self.location} cannot be read: {error}; is it being written?"
                    ) from error


def _rows_of(file: InputFile, schema: pa.Schema, skip: int, batch_rows: int) -> Iterator[pa.RecordBatch]:
    """Read a file's rows behind the first `skip`, never more than `batch_rows` in memory."""
    there = [name for name in schema.names if name in file.schema.names and name not in file.partition]
    # With pre_buffer, its default, a whole row group would be in memory.
    with pq.ParquetFile(file.fragment.open(), buffer_size=_BUFFER_BYTES, pre_buffer=False) as opened:
        for number, rows in enumerate(file.groups):
            if skip >= rows:
                skip -= rows
                continue
            pieces = (
                opened.iter_batches(batch_rows, row_groups=[number], columns=there)
                if there
                else iter([pa.record_batch({"": pa.nulls(rows)})])
            )
            for piece in pieces:
                if skip >= piece.num_rows:
                    skip -= piece.num_rows
                    continue
                yield _shaped(piece.slice(skip), schema, file.partition)
                skip = 0


def _shaped(piece: pa.RecordBatch, schema: pa.Schema, partition: Mapping[str, Any]) -> pa.RecordBatch:
    columns = []
    for field in schema:
        if field.name in partition:
            columns.append(pa.repeat(pa.scalar(partition[field.name], field.type), piece.num_rows))
        elif field.name in piece.schema.names:
            column = piece.column(field.name)
            columns.append(column if column.type == field.type else column.cast(field.type))
        else:
            columns.append(pa.nulls(piece.num_rows, field.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def unified(one: pa.Field, other: pa.Field) -> pa.Field | None:
    """Return a column that holds the values of both, as float64 holds float32; None where none does."""
    try:
        return pa.unify_schemas([pa.schema([one]), pa.schema([other])], promote_options="permissive").field(0)
    except pa.ArrowException:
        return None

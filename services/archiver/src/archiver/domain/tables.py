"""Tables of the lake: their names, and the columns derived from what a message looks like."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from archiver.domain.shapes import Kind, Mapped, Nested, Repeated, Scalar, Shape

SEPARATOR: Final = "__"
TIMESTAMP: Final = pa.timestamp("us", tz="UTC")

ENVELOPE: Final = pa.schema(
    [
        pa.field("_partition", pa.int32()),
        pa.field("_offset", pa.int64()),
        pa.field("_id", pa.string()),
        pa.field("_event_time", TIMESTAMP),
        pa.field("_recorded_time", TIMESTAMP),
        pa.field("_key", pa.binary()),
    ]
)
"""The columns every table starts with: where the record was, and its event's envelope."""

_SCALARS: Final[dict[Kind, pa.DataType]] = {
    Kind.BOOL: pa.bool_(),
    Kind.INT32: pa.int32(),
    Kind.INT64: pa.int64(),
    Kind.UINT64: pa.decimal128(20, 0),  # Delta has no unsigned integers
    Kind.FLOAT: pa.float32(),
    Kind.DOUBLE: pa.float64(),
    Kind.STRING: pa.string(),
    Kind.BYTES: pa.binary(),
    Kind.ENUM: pa.string(),
    Kind.TIMESTAMP: TIMESTAMP,
    Kind.JSON: pa.string(),
}


class SchemaError(Exception):
    """A message cannot become a table, or no longer fits the one it has."""


@dataclass(frozen=True, slots=True)
class LakeTable:
    """One table: where it is below the lake, the topic it keeps and its columns."""

    path: str
    topic: str
    schema: pa.Schema


def source_path(topic: str) -> str:
    """The place of a source's table below the lake."""
    return f"sources/{topic}"


def platform_path(topic: str) -> str:
    """The place of a platform topic's table: `tidemark.predictions.made.v1` is kept in `predictions_made`."""
    return "_".join(topic.removeprefix("tidemark.").removesuffix(".v1").split("."))


def derive_schema(message: Nested) -> pa.Schema:
    """The table schema for a message: the envelope's columns, then the message's, nested ones flattened.

    Every column is nullable, so that a field added tomorrow is null in the rows of today.

    Raises:
        SchemaError: two fields would share a column.
    """
    return unambiguous(pa.schema([*ENVELOPE, *_columns(message)]), message.name)


def unambiguous(schema: pa.Schema, name: str) -> pa.Schema:
    """The schema itself, if its columns differ by more than their case.

    Raises:
        SchemaError: two would be the same column of the lake.
    """
    seen: dict[str, str] = {}
    for column in schema.names:
        other = seen.get(column.lower())
        if other is not None:
            raise SchemaError(
                f"{name}: fields {other!r} and {column!r} would share a column (lake columns ignore case and "
                "join nested names with '__'); rename one of them"
            )
        seen[column.lower()] = column
    return schema


def new_columns(existing: pa.Schema, wanted: pa.Schema, table: str) -> Sequence[pa.Field]:
    """The columns a table lacks.

    Raises:
        SchemaError: a column exists with another type, which no append can bridge.
    """
    for column in wanted:
        index = existing.get_field_index(column.name)
        if index >= 0 and existing.field(index).type != column.type:
            raise SchemaError(
                f"lake table {table}: column {column.name!r} holds {existing.field(index).type}, the message "
                f"now says {column.type}; publish the changed field under a new name or to a new topic"
            )
    return [column for column in wanted if existing.get_field_index(column.name) < 0]


def conform(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """The rows in a table's own column order, with nulls where the table knows more than the message."""
    count = rows.num_rows
    columns = [
        rows.column(field.name) if field.name in rows.column_names else pa.nulls(count, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def arrow_type(shape: Shape) -> pa.DataType:
    """The column type for a shape; messages inside lists and maps become structs."""
    match shape:
        case Scalar(kind=kind):
            return _SCALARS[kind]
        case Repeated(item=item):
            return pa.list_(pa.field("element", arrow_type(item)))
        case Mapped(key=key, value=value):
            return pa.map_(arrow_type(key), arrow_type(value))
        case Nested():
            return pa.struct(list(_columns(shape)))


def _columns(message: Nested, prefix: str = "") -> Iterator[pa.Field]:
    for field in message.fields:
        name = prefix + field.name
        if isinstance(field.shape, Nested):
            yield from _columns(field.shape, name + SEPARATOR)
        else:
            yield pa.field(name, arrow_type(field.shape))

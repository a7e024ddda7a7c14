"""Columns of an input as a Delta table holds them: no dictionaries, times in microseconds UTC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.errors import BadValue, WrongType

if TYPE_CHECKING:
    from collections.abc import Mapping

MOMENT: Final = pa.timestamp("us", tz="UTC")
# Delta has no unsigned numbers and no halves: the next type that holds each of their values.
_WIDER: Final[Mapping[pa.DataType, pa.DataType]] = {
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20, 0),
    pa.float16(): pa.float32(),
}
_AS_THEY_ARE: Final = (
    pa.types.is_signed_integer,
    pa.types.is_float32,
    pa.types.is_float64,
    pa.types.is_boolean,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_fixed_size_binary,
    pa.types.is_date,
    pa.types.is_decimal128,
    pa.types.is_null,
)


def kept_as(column: pa.Field) -> pa.Field:
    """Return a column of the input as it is written.

    Raises:
        WrongType: Delta holds nothing like it.
    """
    try:
        return pa.field(column.name, _type_of(column.type))
    except WrongType as error:
        raise WrongType(
            f"column {column.name!r} is {column.type}, and a Delta table holds no {error}: leave it out with "
            "--keep, or write it as another type"
        ) from None


def keep(column: pa.ChunkedArray, name: str, kind: pa.DataType) -> pa.ChunkedArray:
    """Return values as they are written; what a time has beyond microseconds is cut off.

    Raises:
        BadValue: one is out of the type's bounds.
    """
    try:
        return column.cast(options=pc.CastOptions(kind, allow_time_truncate=True))
    except pa.ArrowInvalid as error:
        raise BadValue(f"column {name!r} cannot be written as {kind}: {error}") from error


def _type_of(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _type_of(kind.value_type)
    if pa.types.is_timestamp(kind):
        return MOMENT
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(one.name, _type_of(one.type)) for one in kind])
    if pa.types.is_map(kind):
        return pa.map_(_type_of(kind.key_type), _type_of(kind.item_type))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(_type_of(kind.value_type))
    if kind not in _WIDER and not any(holds(kind) for holds in _AS_THEY_ARE):
        raise WrongType(str(kind))
    return _WIDER.get(kind, kind)

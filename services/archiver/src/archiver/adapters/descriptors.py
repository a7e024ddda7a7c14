"""Describes protobuf messages in the domain's plain shapes."""

import re
from typing import Final, cast

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from archiver.domain.shapes import Field, Kind, Mapped, Nested, Repeated, Scalar, Shape

_KINDS: Final = {
    FieldDescriptor.CPPTYPE_BOOL: Kind.BOOL,
    FieldDescriptor.CPPTYPE_INT32: Kind.INT32,
    FieldDescriptor.CPPTYPE_INT64: Kind.INT64,
    FieldDescriptor.CPPTYPE_UINT32: Kind.INT64,
    FieldDescriptor.CPPTYPE_UINT64: Kind.UINT64,
    FieldDescriptor.CPPTYPE_FLOAT: Kind.FLOAT,
    FieldDescriptor.CPPTYPE_DOUBLE: Kind.DOUBLE,
}
_WELL_KNOWN: Final = {
    "google.protobuf.Timestamp": Kind.TIMESTAMP,
    "tidemark.common.v1.Value": Kind.JSON,
}


def describe(message: type[Message]) -> Nested:
    """What a message looks like; where it contains itself it is JSON, for its columns would never end."""
    return _message(cast("Descriptor", message.DESCRIPTOR), within=())


def _message(message: Descriptor, within: tuple[str, ...]) -> Nested:
    within = (*within, message.full_name)
    return Nested(message.full_name, tuple(_field(field, within) for field in message.fields))


def _field(field: FieldDescriptor, within: tuple[str, ...]) -> Field:
    return Field(field.name, _shape(field, within), optional=field.has_presence)


def _shape(field: FieldDescriptor, within: tuple[str, ...]) -> Shape:
    entry = field.message_type
    if entry is not None and entry.GetOptions().map_entry:
        key, value = (_single(entry.fields_by_name[name], within) for name in ("key", "value"))
        assert isinstance(key, Scalar)
        return Mapped(key, value)
    single = _single(field, within)
    return Repeated(single) if field.is_repeated else single


def _single(field: FieldDescriptor, within: tuple[str, ...]) -> Scalar | Nested:
    if field.message_type is not None:
        name = field.message_type.full_name
        kind = Kind.JSON if name in within else _WELL_KNOWN.get(name)
        return Scalar(kind) if kind else _message(field.message_type, within)
    if field.enum_type is not None:
        return Scalar(Kind.ENUM, symbols(field.enum_type))
    if field.type == FieldDescriptor.TYPE_BYTES:
        return Scalar(Kind.BYTES)
    return Scalar(_KINDS.get(field.cpp_type, Kind.STRING))


def symbols(enum: EnumDescriptor) -> tuple[tuple[int, str], ...]:
    """An enum's names by number, without the prefix that repeats the enum's own name."""
    prefix = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", enum.name).upper() + "_"
    return tuple((value.number, value.name.removeprefix(prefix) or value.name) for value in enum.values)

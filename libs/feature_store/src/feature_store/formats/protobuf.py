"""Protobuf payloads as columns.

Numbers of every width become float64 (exact up to 2^53), enums their names without the type's prefix,
`google.protobuf.Timestamp` a time, and a nested message's fields stand beside the others as `outer__inner`.
Bytes, repeated fields, maps and recursive messages are no fields: features cannot read them.

A field with explicit presence (`optional`, a oneof, a message's) that is not set is null. A field without it
is never null: proto3 cannot tell an unset one from its zero. A field that was written as another type than
declared is refused, where protobuf itself would read it as not set: it is another message altogether, or a
schema changed the field's type. Fields that the message does not have are passed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from dataclasses import field as attribute
from itertools import repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from feature_store.errors import DefinitionError, caller
from feature_store.expressions import NULL_TIME_US, FieldType
from feature_store.formats.base import FIRST_SECOND, LAST_SECOND
from feature_store.rejects import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from google.protobuf.descriptor import Descriptor, EnumDescriptor
    from google.protobuf.message import Message
    from numpy.typing import NDArray

    from feature_store.formats.base import Columns
    from feature_store.rejects import Rejects

_TIMESTAMP: Final = "google.protobuf.Timestamp"
_NANOS_A_SECOND: Final = 1_000_000_000
_UNSPECIFIED: Final = "UNSPECIFIED"
_VARINT: Final = 0

_KINDS: Final[Mapping[int, FieldType]] = {
    FieldDescriptor.CPPTYPE_INT32: FieldType.NUMBER,
    FieldDescriptor.CPPTYPE_INT64: FieldType.NUMBER,
    FieldDescriptor.CPPTYPE_UINT32: FieldType.NUMBER,
    FieldDescriptor.CPPTYPE_UINT64: FieldType.NUMBER,
    FieldDescriptor.CPPTYPE_DOUBLE: FieldType.NUMBER,
    FieldDescriptor.CPPTYPE_FLOAT: FieldType.NUMBER,
    FieldDescriptor.CPPTYPE_BOOL: FieldType.FLAG,
    FieldDescriptor.CPPTYPE_ENUM: FieldType.TEXT,
    FieldDescriptor.CPPTYPE_STRING: FieldType.TEXT,
}


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A field of a message: where it is, what it becomes, and whether it can be absent."""

    path: tuple[str, ...]
    kind: FieldType
    optional: bool
    enum: Mapping[int, str] | None

    @property
    def name(self) -> str:
        return "__".join(self.path)

    @property
    def read(self) -> Callable[[Any], Any]:
        return attrgetter(".".join(self.path))

    def absent(self, message: Any) -> bool:
        for name in self.path[:-1]:
            if not message.HasField(name):
                return True
            message = getattr(message, name)
        return self.optional and not message.HasField(self.path[-1])


@dataclass(frozen=True, slots=True)
class _Holder:
    """A message that holds leaves: the payload itself, or one nested in it."""

    path: tuple[str, ...]
    fields: Mapping[int, FieldDescriptor]

    def mistyped(self, payload: Any) -> list[str]:
        """Return which of its fields were written as another type; protobuf keeps those as unknown ones."""
        message = payload
        for name in self.path:
            message = getattr(message, name)
        unknown = UnknownFieldSet(message)
        if not len(unknown):
            return []
        found = [unknown[index] for index in range(len(unknown))]
        wrong = {one.field_number for one in found if self._is_mistyped(one.field_number, one.wire_type)}
        return ["__".join((*self.path, self.fields[number].name)) for number in sorted(wrong)]

    def _is_mistyped(self, number: int, wire_type: int) -> bool:
        field = self.fields.get(number)
        # Of a proto2 enum, a value from the future is kept as unknown as well.
        return field is not None and not (field.enum_type and wire_type == _VARINT)


@dataclass(frozen=True, eq=False)
class Protobuf:
    """Payloads that are one protobuf message, bare."""

    message: type[Message]
    fields: Mapping[str, FieldType] = attribute(init=False)
    _leaves: tuple[_Leaf, ...] = attribute(init=False, repr=False)
    _holders: tuple[_Holder, ...] = attribute(init=False, repr=False)

    def __post_init__(self) -> None:
        descriptor = getattr(self.message, "DESCRIPTOR", None)
        if descriptor is None or not isinstance(self.message, type):
            raise DefinitionError(
                "Protobuf(...)",
                f"it is given a {type(self.message).__name__}, no generated message class",
                instead="Write the class itself, such as Protobuf(FlightDeparted).",
                at=caller(),
            )
        leaves = tuple(_leaves(descriptor, ()))
        object.__setattr__(self, "_leaves", leaves)
        object.__setattr__(self, "_holders", tuple(_holders(descriptor, leaves)))
        object.__setattr__(self, "fields", {leaf.name: leaf.kind for leaf in leaves})

    @property
    def name(self) -> str:
        """What the payload is: "protobuf " and the message's full name."""
        return f"protobuf {self.message.DESCRIPTOR.full_name}"

    def decode(self, values: Sequence[bytes], rejects: Rejects) -> Columns:
        """Return the columns of these payloads; see `Format.decode`."""
        messages = self._parse(values, rejects)
        self._refuse_mistyped(messages, rejects)
        return {leaf.name: _column(leaf, messages, rejects) for leaf in self._leaves}

    def _parse(self, values: Sequence[bytes], rejects: Rejects) -> list[Message]:
        parse = self.message.FromString
        try:
            return [parse(value) for value in values]
        except DecodeError:
            return [self._parse_one(index, value, rejects) for index, value in enumerate(values)]

    def _parse_one(self, index: int, value: bytes, rejects: Rejects) -> Message:
        try:
            return self.message.FromString(value)
        except DecodeError as error:
            name = self.message.DESCRIPTOR.full_name
            rejects.add(index, Reason.MALFORMED_PAYLOAD, f"The {len(value)} bytes are no {name}: {error}.")
            return self.message()

    def _refuse_mistyped(self, messages: Sequence[Message], rejects: Rejects) -> None:
        for holder in self._holders:
            for index, message in enumerate(messages):
                for name in holder.mistyped(message):
                    declared = f"another type than {self.message.DESCRIPTOR.full_name} declares"
                    rejects.add(index, Reason.WRONG_TYPE, f"{name} was written as {declared}.")


def _holders(descriptor: Descriptor, leaves: Sequence[_Leaf]) -> Iterator[_Holder]:
    for path in dict.fromkeys([(), *(leaf.path[:-1] for leaf in leaves)]):
        holder: Descriptor | None = descriptor
        for name in path:
            assert holder is not None
            holder = holder.fields_by_name[name].message_type
        assert holder is not None
        yield _Holder(path, {member.number: member for member in holder.fields})


def _leaves(descriptor: Descriptor, above: tuple[FieldDescriptor, ...]) -> Iterator[_Leaf]:
    for member in descriptor.fields:
        path = (*above, member)
        names = tuple(step.name for step in path)
        if member.is_repeated:
            continue
        nested = member.message_type
        if nested is None:
            if member.type != FieldDescriptor.TYPE_BYTES:
                enum = _enum_names(member.enum_type) if member.enum_type else None
                yield _Leaf(names, _KINDS[member.cpp_type], member.has_presence, enum)
        elif nested.full_name == _TIMESTAMP:
            yield _Leaf(names, FieldType.TIME, optional=True, enum=None)
        elif nested not in {descriptor, *(step.containing_type for step in path)}:
            yield from _leaves(nested, path)


def _enum_names(enum: EnumDescriptor) -> Mapping[int, str]:
    prefix = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", enum.name).upper() + "_"
    return {value.number: value.name.removeprefix(prefix) for value in enum.values}


def _column(leaf: _Leaf, messages: Sequence[Message], rejects: Rejects) -> NDArray[Any]:
    match leaf.kind:
        case FieldType.TIME:
            return _times(leaf, messages, rejects)
        case FieldType.TEXT:
            return _texts(leaf, messages)
        case FieldType.FLAG:
            flags = np.fromiter(map(leaf.read, messages), np.int8, len(messages))
            flags[_absent(leaf, messages, flags == 0)] = -1
            return flags
        case _:
            return _numbers(leaf, messages, rejects)


def _absent(leaf: _Leaf, messages: Sequence[Message], zero: NDArray[np.bool_]) -> list[int]:
    """Return the rows without the field; only a value equal to its type's zero can be absent."""
    if not leaf.optional and len(leaf.path) == 1:
        return []
    return [index for index in np.flatnonzero(zero).tolist() if leaf.absent(messages[index])]


def _numbers(leaf: _Leaf, messages: Sequence[Message], rejects: Rejects) -> NDArray[Any]:
    column = np.fromiter(map(leaf.read, messages), np.float64, len(messages))
    for index in np.flatnonzero(~np.isfinite(column)).tolist():
        rejects.add(index, Reason.NOT_FINITE, f"{leaf.name} is {column[index]}; a number must be finite.")
    column[_absent(leaf, messages, column == 0)] = np.nan
    return column


def _texts(leaf: _Leaf, messages: Sequence[Message]) -> NDArray[Any]:
    values: Iterable[Any] = map(leaf.read, messages)
    if leaf.enum is not None:
        values = map(leaf.enum.get, values, repeat(_UNSPECIFIED))
    column = np.empty(len(messages), dtype=np.object_)
    column[:] = list(values)
    zero = "" if leaf.enum is None else leaf.enum.get(0, _UNSPECIFIED)
    if leaf.optional or len(leaf.path) > 1:
        column[_absent(leaf, messages, column == zero)] = None
    return column


def _times(leaf: _Leaf, messages: Sequence[Message], rejects: Rejects) -> NDArray[np.int64]:
    stamps = list(map(leaf.read, messages))
    seconds = np.fromiter((stamp.seconds for stamp in stamps), np.int64, len(stamps))
    nanos = np.fromiter((stamp.nanos for stamp in stamps), np.int64, len(stamps))
    wrong = (seconds < FIRST_SECOND) | (seconds > LAST_SECOND) | (nanos < 0) | (nanos >= _NANOS_A_SECOND)
    for index in np.flatnonzero(wrong).tolist():
        detail = f"{leaf.name} is {seconds[index]} seconds and {nanos[index]} nanos, which is no time."
        rejects.add(index, Reason.TIME_OUT_OF_RANGE, detail)
    column = np.where(wrong, 0, seconds) * 1_000_000 + nanos // 1_000
    column[_absent(leaf, messages, (seconds == 0) & (nanos == 0))] = NULL_TIME_US
    return column

"""What a message looks like, in plain words: enough to derive a table without knowing the wire format.

Adapters describe protobuf descriptors (or any other format) with these; `tables` turns them into columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Kind(Enum):
    """The kinds of single value that a message can hold."""

    BOOL = auto()
    INT32 = auto()
    INT64 = auto()
    UINT64 = auto()
    FLOAT = auto()
    DOUBLE = auto()
    STRING = auto()
    BYTES = auto()
    ENUM = auto()
    TIMESTAMP = auto()
    JSON = auto()


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value; `symbols` are an enum's names by number, without the enum's prefix."""

    kind: Kind
    symbols: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Nested:
    """A message within a message; `name` is its type's."""

    name: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Repeated:
    """A list of values."""

    item: Scalar | Nested


@dataclass(frozen=True, slots=True)
class Mapped:
    """A map from single values to values."""

    key: Scalar
    value: Scalar | Nested


Shape = Scalar | Nested | Repeated | Mapped


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a message; an `optional` one may be absent, which is not the same as its zero."""

    name: str
    shape: Shape
    optional: bool = False

"""Turns parsed protobuf messages into columns, field by field."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import pyarrow as pa
from bus.received import Received
from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from tidemark.common.v1.value_pb2 import Value

from archiver.domain.shapes import Field, Kind, Mapped, Nested, Repeated, Scalar, Shape
from archiver.domain.tables import ENVELOPE, SEPARATOR, arrow_type

UNKNOWN_SYMBOL: Final = "UNSPECIFIED"  # as features read a symbol from the future: the lake must not differ
_FIRST_SECOND: Final = -62_135_596_800  # 0001-01-01T00:00:00Z, where Timestamp begins
_LAST_SECOND: Final = 253_402_300_799  # 9999-12-31T23:59:59Z, where it ends


class Unstorable(ValueError):
    """A message parses, yet holds a value that no column can."""


def envelope_columns(records: Sequence[Received]) -> list[pa.Array]:
    """The columns of `ENVELOPE`."""
    events = [record.event for record in records]
    values = [
        [record.partition for record in records],
        [record.offset for record in records],
        [event.id for event in events],
        [event.time_us for event in events],
        [event.recorded_time_us for event in events],
        [event.key for event in events],
    ]
    return [pa.array(column, field.type) for column, field in zip(values, ENVELOPE, strict=True)]


def message_columns(shape: Nested, messages: Sequence[Message | None]) -> Iterator[pa.Array]:
    """The message's columns in the order of `derive_schema`, one value a message; a missing message is null.

    Raises:
        Unstorable: a time is outside the years 1 to 9999.
    """
    for field in shape.fields:
        if isinstance(field.shape, Nested):
            yield from message_columns(field.shape, [_child(field, message) for message in messages])
        else:
            yield pa.array([*map(_reader(field), messages)], arrow_type(field.shape))


def _child(field: Field, message: Message | None) -> Message | None:
    if message is None or not message.HasField(field.name):
        return None
    child: Message = getattr(message, field.name)
    return child


def _reader(field: Field) -> Callable[[Message | None], Any]:
    name, convert, optional = field.name, _converter(field.shape), field.optional

    def read(message: Message | None) -> Any:
        if message is None or (optional and not message.HasField(name)):
            return None
        value = getattr(message, name)
        return value if convert is None else convert(value)

    return read


def _converter(shape: Shape) -> Callable[[Any], Any] | None:
    match shape:
        case Scalar(kind=Kind.ENUM, symbols=symbols):
            names = dict(symbols)
            return lambda number: names.get(number, UNKNOWN_SYMBOL)
        case Scalar(kind=kind):
            return _SCALARS.get(kind)
        case Repeated(item=item):
            each = _converter(item)
            return list if each is None else lambda values: [*map(each, values)]
        case Mapped(value=value_shape):
            entry = _converter(value_shape) or _itself
            # A map has no order of its own: sorted, equal messages are equal rows.
            return lambda values: [(key, entry(values[key])) for key in sorted(values)]
        case Nested():
            return lambda message: dict(_flattened(shape, message, prefix=""))


def _flattened(shape: Nested, message: Message | None, prefix: str) -> Iterator[tuple[str, Any]]:
    for field in shape.fields:
        if isinstance(field.shape, Nested):
            yield from _flattened(field.shape, _child(field, message), prefix + field.name + SEPARATOR)
        else:
            yield prefix + field.name, _reader(field)(message)


def _itself(value: Any) -> Any:
    return value


def _microseconds(moment: Timestamp) -> int:
    if not _FIRST_SECOND <= moment.seconds <= _LAST_SECOND:
        raise Unstorable(f"a timestamp of {moment.seconds} seconds is outside the years 1 to 9999")
    return moment.seconds * 1_000_000 + moment.nanos // 1000


def json_text(message: Message) -> str:
    """A message as compact protobuf JSON, e.g. `{"number":1.5}` or `{"time":"2013-04-01T10:00:00Z"}`."""
    if not isinstance(message, Value):
        return json_format.MessageToJson(message, indent=None)
    kind = message.WhichOneof("kind")
    if kind is None:
        return "{}"
    value = getattr(message, kind)
    if isinstance(value, Timestamp):
        _microseconds(value)  # refuses what JSON could not name
        value = value.ToJsonString()
    elif isinstance(value, float) and not math.isfinite(value):
        value = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return json.dumps({kind: value}, separators=(",", ":"), ensure_ascii=False)


_SCALARS: Final[dict[Kind, Callable[[Any], Any]]] = {
    Kind.TIMESTAMP: _microseconds,
    Kind.JSON: json_text,
}

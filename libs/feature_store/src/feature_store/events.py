"""Events as columns, decoded and checked from the wire or read back from the lake.

Everything downstream sees only these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeVar

import numpy as np
import pyarrow as pa

from feature_store.expressions import AS_OF, NULL_FLAG, NULL_TIME_US, FieldType, nulls
from feature_store.rejects import Reason, Reject, Rejects
from feature_store.sensitivity import conceal, conceal_envelopes, withheld

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from feature_store.definitions.sources import Source
    from feature_store.formats import Columns
    from feature_store.sensitivity import Pseudonyms

Number = TypeVar("Number", np.float64, np.int64, np.int32, np.int8)

_TIMESTAMP: Final = pa.timestamp("us", tz="UTC")
_ARROW: Final[Mapping[FieldType, pa.DataType]] = {
    FieldType.NUMBER: pa.float64(),
    FieldType.TEXT: pa.string(),
    FieldType.TIME: _TIMESTAMP,
    FieldType.FLAG: pa.bool_(),
}
_ENVELOPE: Final = (
    pa.field("_partition", pa.int32()),
    pa.field("_offset", pa.int64()),
    pa.field("_id", pa.string()),
    pa.field("_event_time", _TIMESTAMP),
    pa.field("_recorded_time", _TIMESTAMP),
    pa.field("_key", pa.binary()),
)


class Envelope(Protocol):
    """An event as the bus has it, its payload not yet read."""

    @property
    def data(self) -> bytes:
        """The payload."""
        ...

    @property
    def id(self) -> str:
        """The `ce_id`."""
        ...

    @property
    def key(self) -> bytes:
        """The record's key."""
        ...

    @property
    def time_us(self) -> int:
        """The `ce_time`."""
        ...

    @property
    def recorded_time_us(self) -> int:
        """When it became known."""
        ...


class Record(Protocol):
    """An event and where it came from."""

    @property
    def event(self) -> Envelope:
        """The event."""
        ...

    @property
    def partition(self) -> int:
        """Its partition."""
        ...

    @property
    def offset(self) -> int:
        """Its place in the partition."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Incoming:
    """Records of one source as they came: parallel sequences, one entry a record.

    `event_time_us` is the envelope's `ce_time`: the event time only where the source declares no field for
    it.
    """

    values: Sequence[bytes]
    ids: Sequence[str]
    keys: Sequence[bytes]
    event_time_us: Sequence[int]
    recorded_time_us: Sequence[int]
    partitions: Sequence[int]
    offsets: Sequence[int]

    @classmethod
    def of(
        cls,
        events: Sequence[Envelope],
        partitions: Sequence[int] | None = None,
        offsets: Sequence[int] | None = None,
    ) -> Self:
        """Return events as they lie in a log; in one partition, from its beginning on, if nothing is said."""
        return cls(
            values=[event.data for event in events],
            ids=[event.id for event in events],
            keys=[event.key for event in events],
            event_time_us=[event.time_us for event in events],
            recorded_time_us=[event.recorded_time_us for event in events],
            partitions=[0] * len(events) if partitions is None else partitions,
            offsets=range(len(events)) if offsets is None else offsets,
        )

    @classmethod
    def of_records(cls, records: Sequence[Record]) -> Self:
        """Return records of one source, each an event with its place."""
        return cls.of(
            [record.event for record in records],
            [record.partition for record in records],
            [record.offset for record in records],
        )

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True, eq=False)
class EventBatch:
    """Events of one source, all of them valid, as columns of the same length.

    Attributes:
        source: Where they come from.
        columns: Field name to column, laid out as its `FieldType` says.
        event_time_us: When each was true.
        recorded_time_us: When each became known.
        partition: Each record's partition of the source's topic.
        offset: Each record's offset in its partition.
        ids: Each event's `ce_id`.
        keys: Each record's Kafka key, bytes.
    """

    source: Source
    columns: Mapping[str, NDArray[Any]]
    event_time_us: NDArray[np.int64]
    recorded_time_us: NDArray[np.int64]
    partition: NDArray[np.int32]
    offset: NDArray[np.int64]
    ids: NDArray[Any]
    keys: NDArray[Any]

    def __len__(self) -> int:
        return len(self.event_time_us)

    @property
    def named(self) -> Mapping[str, NDArray[Any]]:
        """What expressions read of the events, by name: the fields and the event time."""
        return {**self.columns, AS_OF: self.event_time_us}

    def take(self, rows: NDArray[np.bool_] | NDArray[np.integer[Any]]) -> EventBatch:
        """Return the events at these rows: a mask, or indices in the order wanted."""
        return EventBatch(
            self.source,
            {name: column[rows] for name, column in self.columns.items()},
            self.event_time_us[rows],
            self.recorded_time_us[rows],
            self.partition[rows],
            self.offset[rows],
            self.ids[rows],
            self.keys[rows],
        )

    def to_arrow(self) -> pa.Table:
        """Return the events as a table with `arrow_schema`'s columns; nulls are nulls."""
        envelope = [
            pa.array(self.partition),
            pa.array(self.offset),
            pa.array(self.ids, pa.string()),
            pa.array(self.event_time_us).cast(_TIMESTAMP),
            pa.array(self.recorded_time_us).cast(_TIMESTAMP),
            pa.array(self.keys, pa.binary()),
        ]
        fields = [_to_arrow(kind, self.columns[name]) for name, kind in self.source.fields.items()]
        return pa.table([*envelope, *fields], schema=arrow_schema(self.source))


def arrow_schema(source: Source) -> pa.Schema:
    """Return the columns of a source's table in the lake: the envelope's, then the payload's fields."""
    return pa.schema([*_ENVELOPE, *(field_of(name, kind) for name, kind in source.fields.items())])


def field_of(name: str, kind: FieldType) -> pa.Field:
    """Return the column of a field, or of a request's input."""
    return pa.field(name, _ARROW[kind])


def from_arrow(source: Source, table: pa.Table) -> EventBatch:
    """Return the events of a table that has the columns of `arrow_schema`, in any order and beside others."""
    return EventBatch(
        source,
        {name: from_arrow_column(kind, table.column(name)) for name, kind in source.fields.items()},
        _times(table.column("_event_time")),
        _times(table.column("_recorded_time")),
        _fixed(table.column("_partition"), np.int32),
        _fixed(table.column("_offset"), np.int64),
        _objects(table.column("_id")),
        _objects(table.column("_key")),
    )


def empty(source: Source) -> EventBatch:
    """Return the batch of no events."""
    return from_arrow(source, arrow_schema(source).empty_table())


def concat(batches: Sequence[EventBatch]) -> EventBatch:
    """Return the events of several batches of one source, one after the other; at least one batch."""
    source = batches[0].source
    return EventBatch(
        source,
        {name: np.concatenate([batch.columns[name] for batch in batches]) for name in source.fields},
        np.concatenate([batch.event_time_us for batch in batches]),
        np.concatenate([batch.recorded_time_us for batch in batches]),
        np.concatenate([batch.partition for batch in batches]),
        np.concatenate([batch.offset for batch in batches]),
        np.concatenate([batch.ids for batch in batches]),
        np.concatenate([batch.keys for batch in batches]),
    )


def decode_events(
    source: Source, incoming: Incoming, pseudonyms: Pseudonyms | None = None
) -> tuple[EventBatch, list[Reject]]:
    """Return the valid events, in order, and one reject for each of the others, by index.

    Never raises for a record. The event time is the source's `event_time` field, whatever the envelope
    says; the recorded time is the envelope's. What is sensitive is dropped or hashed (`sensitivity`), after
    the source's checks.

    Raises:
        MissingKey: the source has sensitive fields, and there are no pseudonyms.
    """
    rejects = Rejects()
    values = [_within(source, index, value, rejects) for index, value in enumerate(incoming.values)]
    columns = source.format.decode(values, rejects)
    recorded_time_us = np.array(incoming.recorded_time_us, dtype=np.int64)
    event_time_us = _event_times(source, columns, incoming, rejects)
    for check in source.checks:
        check.refuse(columns, source.format.fields, rejects)
    _check_times(source, event_time_us, recorded_time_us, rejects)
    ids, keys = conceal_envelopes(source, incoming.ids, incoming.keys, pseudonyms)
    batch = EventBatch(
        source,
        conceal(source, columns, pseudonyms),
        event_time_us,
        recorded_time_us,
        np.array(incoming.partitions, dtype=np.int32),
        np.array(incoming.offsets, dtype=np.int64),
        _object_array(ids),
        _object_array(keys),
    )
    refused = withheld(source, rejects.in_order())
    if not refused:
        return batch, refused
    kept = np.ones(len(incoming), dtype=np.bool_)
    kept[[reject.index for reject in refused]] = False
    return batch.take(kept), refused


def _within(source: Source, index: int, value: bytes, rejects: Rejects) -> bytes:
    if len(value) <= source.max_bytes:
        return value
    detail = f"The payload has {len(value)} bytes; the source reads at most {source.max_bytes}."
    rejects.add(index, Reason.OVERSIZE, detail)
    return b""


def _event_times(source: Source, columns: Columns, incoming: Incoming, rejects: Rejects) -> NDArray[np.int64]:
    if source.event_time is None:
        return np.array(incoming.event_time_us, dtype=np.int64)
    times: NDArray[np.int64] = columns[source.event_time]
    for index in np.flatnonzero(times == NULL_TIME_US).tolist():
        rejects.add(index, Reason.MISSING_FIELD, f"{source.event_time} has no value; it is the event time.")
    return times


def _check_times(
    source: Source, event_time_us: NDArray[np.int64], recorded_time_us: NDArray[np.int64], rejects: Rejects
) -> None:
    late_us = np.where(event_time_us == NULL_TIME_US, 0, recorded_time_us - event_time_us)
    name = source.event_time or "ce_time"
    for index in np.flatnonzero(late_us < -source.max_clock_skew_us).tolist():
        detail = (
            f"{name} is {-late_us[index] / 1e6:.6f} s later than recorded; {source.max_clock_skew} may be."
        )
        rejects.add(index, Reason.FUTURE_EVENT, detail)
    for index in np.flatnonzero(late_us > source.max_lateness_us).tolist():
        detail = (
            f"{name} is {late_us[index] / 1e6:.6f} s earlier than recorded; {source.max_lateness} may be."
        )
        rejects.add(index, Reason.LATE_BEYOND_LIMIT, detail)


def _to_arrow(kind: FieldType, column: NDArray[Any]) -> pa.Array:
    if kind is FieldType.TEXT:
        return pa.array(column, pa.string())
    missing = nulls(kind, column)
    if kind is FieldType.TIME:
        return pa.array(column, pa.int64(), mask=missing).cast(_TIMESTAMP)
    return pa.array(column == 1 if kind is FieldType.FLAG else column, _ARROW[kind], mask=missing)


def from_arrow_column(kind: FieldType, column: pa.ChunkedArray) -> NDArray[Any]:
    """Return a column laid out as its `FieldType` says."""
    match kind:
        case FieldType.TEXT:
            return _objects(column)
        case FieldType.TIME:
            return _times(column)
        case FieldType.FLAG:
            return _fixed(column.cast(pa.int8()).fill_null(NULL_FLAG), np.int8)
        case _:
            return _fixed(column.cast(pa.float64()), np.float64)


def _times(column: pa.ChunkedArray) -> NDArray[np.int64]:
    return _fixed(column.cast(_TIMESTAMP).cast(pa.int64()).fill_null(NULL_TIME_US), np.int64)


def _fixed(column: pa.ChunkedArray, dtype: type[Number]) -> NDArray[Number]:
    array: NDArray[Number] = column.to_numpy().astype(dtype, copy=False)
    return array


def _objects(column: pa.ChunkedArray) -> NDArray[Any]:
    return _object_array(column.to_pylist())


def _object_array(values: Sequence[Any]) -> NDArray[Any]:
    array = np.empty(len(values), dtype=np.object_)
    array[:] = values
    return array

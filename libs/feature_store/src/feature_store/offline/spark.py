"""Training sets larger than a machine: `point_in_time` over Spark DataFrames, the same bits.

Rows are shuffled so that all events of an entity, and all requests about it, are in one bucket; in each
bucket the native engine reads them, as it does on one machine. What it read, exact integers, is brought
together by request, and becomes a vector in the place where all vectors are made. So no formula is written
twice, and which bucket a row was in, or in which order rows came, can be seen in no bit.

It needs pyspark 4 (the extra `spark`), which nothing else imports. Workers load the definitions themselves:
the project must be importable there, as `spark.submit.pyFiles` or an image makes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial, reduce
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
from xxhash import xxh64_intdigest

from feature_store.events import arrow_schema, field_of, from_arrow, from_arrow_column
from feature_store.offline.known import AsOf
from feature_store.offline.point_in_time import past_of, readings_of, reads_of
from feature_store.online.claims import repeats
from feature_store.project import load_project
from feature_store.requests import Requests
from feature_store.vectors import VectorPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    from feature_store.contract import Contract
    from feature_store.vectors import Read

REQUEST: Final = "_request"
TIME: Final = "_time"
STATUSES: Final = "_statuses"
_UTC: Final = pa.timestamp("us", tz="UTC")
_BUCKET: Final = pa.field("_bucket", pa.int64())
_HELD: Final = pa.schema(
    [pa.field(REQUEST, pa.int64()), pa.field("_view", pa.int64()), pa.field("_held", pa.binary())]
)


@dataclass(frozen=True, slots=True)
class ContractOf:
    """A project's model, by name: what a worker loads the contract by."""

    project: str
    model: str

    def __call__(self) -> Contract:
        """Load it.

        Raises:
            DefinitionError: the project cannot be loaded.
        """
        return load_project(self.project).contract(self.model)


class RequestsNotUnique(Exception):
    """Several requests have one `_request`: number them, for instance by `monotonically_increasing_id`."""


def request_schema(contract: Contract) -> pa.Schema:
    """Return the columns of requests: their number and time, the entities' keys, the inputs."""
    return pa.schema(
        [
            pa.field(REQUEST, pa.int64()),
            pa.field(TIME, _UTC),
            *(pa.field(name, pa.string()) for name in contract.entities),
            *(field_of(name, kind) for name, kind in contract.inputs.items()),
        ]
    )


def vector_schema(contract: Contract) -> pa.Schema:
    """Return the columns of vectors: the request's number, the features by name, their statuses as bytes."""
    features = (pa.field(name, pa.float32()) for name in contract.feature_names)
    return pa.schema([pa.field(REQUEST, pa.int64()), *features, pa.field(STATUSES, pa.binary())])


def point_in_time(
    contract: Callable[[], Contract], events: Mapping[str, DataFrame], requests: DataFrame, buckets: int = 200
) -> DataFrame:
    """Return the vectors of requests of the past, as `feature_store.offline.point_in_time` with `AsOf`.

    Args:
        contract: Loads the model's contract, here and in the workers: a `ContractOf`, or any function that
            can be imported there.
        events: By topic, the source's table as it is in the lake, in any order, reaching as far back as
            `point_in_time` asks for.
        requests: The columns of `request_schema`; `_request` is a number of each, unique.
        buckets: How many parts entities, and then requests, are shuffled into. One part has to fit into a
            worker's memory: about 1 kB an event, and 100 bytes a request and feature. An entity is never
            divided, so the largest one has to fit too.

    Returns:
        The columns of `vector_schema`, in no order.
    """
    plan = VectorPlan(contract())
    asked = requests.select(*request_schema(plan.contract).names)
    counted = {
        topic: _without_repeats(events[topic], buckets)
        for topic in dict.fromkeys(view.view.source.topic for view in plan.views)
    }
    held = [
        _read(contract, number, counted[view.view.source.topic], asked, buckets)
        for number, view in enumerate(plan.views)
    ]
    nothing = asked.sparkSession.createDataFrame(_HELD.empty_table())
    together = reduce(lambda some, more: some.unionAll(more), held, nothing)
    return (
        asked.withColumn(_BUCKET.name, asked[REQUEST] % buckets)
        .groupBy(_BUCKET.name)
        .cogroup(together.withColumn(_BUCKET.name, together[REQUEST] % buckets).groupBy(_BUCKET.name))
        .applyInArrow(partial(_finish, contract), _ddl(vector_schema(plan.contract)))
    )


def _without_repeats(events: DataFrame, buckets: int) -> DataFrame:
    """Return the events that count: a repeat has the id and the partition of what it repeats."""
    from pyspark.sql import functions as sql  # noqa: PLC0415 - only who asks for Spark needs it

    bucket = sql.pmod(sql.xxhash64("_partition", "_id"), sql.lit(buckets))
    return events.groupBy(bucket).applyInArrow(_counted, events.schema)


def _counted(events: pa.Table) -> pa.Table:
    events = _in_utc(events)
    ids, partition, offset = (events.column(name).to_numpy() for name in ("_id", "_partition", "_offset"))
    return events.filter(pa.array(~repeats(ids, partition, offset)))


def _read(
    contract: Callable[[], Contract], view: int, events: DataFrame, requests: DataFrame, buckets: int
) -> DataFrame:
    """Return what the rows of one view held for each request, the columns of `_HELD`."""
    source = contract().views[view].source
    kept = events.select(*arrow_schema(source).names)
    of_events = kept.mapInArrow(
        partial(_bucket_events, contract, view, buckets), _ddl(arrow_schema(source).append(_BUCKET))
    )
    of_requests = requests.mapInArrow(
        partial(_bucket_requests, contract, view, buckets), _ddl(request_schema(contract()).append(_BUCKET))
    )
    return (
        of_requests.groupBy(_BUCKET.name)
        .cogroup(of_events.groupBy(_BUCKET.name))
        .applyInArrow(partial(_held, contract, view), _ddl(_HELD))
    )


# What runs in the workers


@lru_cache(maxsize=8)
def _plan(contract: Callable[[], Contract]) -> VectorPlan:
    return VectorPlan(contract())


def _bucket_events(
    contract: Callable[[], Contract], view: int, buckets: int, parts: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Yield the events that have a key, each with its bucket."""
    plan = _plan(contract).views[view]
    for part in parts:
        table = _in_utc(pa.Table.from_batches([part]))
        keys = plan.view.keys_of(from_arrow(plan.view.source, table))
        bucket = _buckets(keys, buckets)
        numbered = table.append_column(_BUCKET, pa.array(bucket))
        yield from numbered.filter(pa.array(bucket >= 0)).to_batches()


def _bucket_requests(
    contract: Callable[[], Contract], view: int, buckets: int, parts: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Yield the requests, each with its bucket: those without a key in any."""
    plan = _plan(contract)
    for part in parts:
        table = _in_utc(pa.Table.from_batches([part]))
        keys = _requests(plan.contract, table).keys_of(plan.views[view].view.entity)
        bucket = _buckets(keys, buckets)
        spread = np.where(bucket >= 0, bucket, table.column(REQUEST).to_numpy() % buckets)
        yield from table.append_column(_BUCKET, pa.array(spread)).to_batches()


def _buckets(keys: NDArray[np.object_], buckets: int) -> NDArray[np.int64]:
    """Return each key's bucket; -1 for null and empty keys."""
    encoded = pa.array(keys, pa.string()).dictionary_encode()
    bucket = [
        xxh64_intdigest(key.encode()) % buckets if key else -1 for key in encoded.dictionary.to_pylist()
    ]
    of_keys: NDArray[np.int64] = np.array([*bucket, -1])[encoded.indices.fill_null(len(bucket)).to_numpy()]
    return of_keys


def _held(contract: Callable[[], Contract], view: int, requests: pa.Table, events: pa.Table) -> pa.Table:
    """Return what a bucket's requests read of one view: int64 words, the newest event time first."""
    plan = _plan(contract)
    if not len(requests):
        return _HELD.empty_table()
    batch = from_arrow(plan.views[view].view.source, events)
    every = np.ones(len(batch), np.bool_)
    past = past_of(plan.views[view], batch, every, _requests(plan.contract, requests), AsOf())
    n = len(requests)
    columns = [past.newest_us(), *past.read(reads_of(plan, view))]
    words = np.concatenate([column.reshape(n, -1) for column in columns], axis=1).astype("<i8")
    numbers = requests.column(REQUEST).combine_chunks()
    packed = pa.array([line.tobytes() for line in words], pa.binary())
    return pa.table([numbers, pa.array(np.full(n, view)), packed], schema=_HELD)


def _finish(contract: Callable[[], Contract], requests: pa.Table, held: pa.Table) -> pa.Table:
    """Return the vectors of a bucket's requests."""
    plan = _plan(contract)
    requests = requests.sort_by(REQUEST)
    numbers = requests.column(REQUEST).to_numpy()
    if np.any(numbers[1:] == numbers[:-1]):
        twice = int(numbers[1:][numbers[1:] == numbers[:-1]][0])
        raise RequestsNotUnique(f"several requests have the {REQUEST} {twice}; give each a number of its own")
    newest_us = np.empty((len(numbers), len(plan.views)), np.int64)
    found: dict[Read, NDArray[np.int64]] = {}
    for view in range(len(plan.views)):
        words = _words(held, view, len(numbers))
        newest_us[:, view] = words[:, 0]
        found.update(_unpacked(reads_of(plan, view), words[:, 1:]))
    values, statuses = plan.finish(readings_of(plan, newest_us, found), _requests(plan.contract, requests))
    columns = [pa.array(numbers), *(pa.array(column) for column in np.ascontiguousarray(values.T))]
    packed = pa.array([line.tobytes() for line in statuses], pa.binary())
    return pa.table([*columns, packed], schema=vector_schema(plan.contract))


def _words(held: pa.Table, view: int, count: int) -> NDArray[np.int64]:
    """Return the words of one view, by the requests' numbers: int64[n, words]."""
    of_view = held.filter(pa.array(held.column("_view").to_numpy() == view)).sort_by(REQUEST)
    return np.frombuffer(b"".join(of_view.column("_held").to_pylist()), "<i8").reshape(count, -1)


def _unpacked(reads: list[Read], words: NDArray[np.int64]) -> Iterator[tuple[Read, NDArray[np.int64]]]:
    """Yield what each accumulator held, int64[n] or int64[n, words or tiles]."""
    start = 0
    for read in reads:
        width = _width(read)
        part = words[:, start : start + (width or 1)]
        yield read, np.ascontiguousarray(part) if width else part[:, 0]
        start += width or 1


def _width(read: Read) -> int:
    """Return how many words or tiles `Readings` has of an accumulator; 0 where it has one number."""
    if read.by_tile:
        return read.window.ring.count
    return len(read.placed.accumulator.initial) if read.placed.accumulator.sketch is not None else 0


def _requests(contract: Contract, table: pa.Table) -> Requests:
    """Return requests of a table with the columns of `request_schema`."""
    return Requests(
        table.column(TIME).cast(_UTC).cast(pa.int64()).to_numpy(),
        {name: table.column(name).to_numpy(zero_copy_only=False) for name in contract.entities},
        {name: from_arrow_column(kind, table.column(name)) for name, kind in contract.inputs.items()},
    )


def _in_utc(table: pa.Table) -> pa.Table:
    """Return the table with its times in UTC: Spark hands them over in the session's zone, and refuses it."""
    columns = [
        field.with_type(_UTC) if pa.types.is_timestamp(field.type) else field for field in table.schema
    ]
    return table.cast(pa.schema(columns))


_SQL_TYPES: Final[Mapping[pa.DataType, str]] = {
    pa.int32(): "int",
    pa.int64(): "bigint",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.string(): "string",
    pa.binary(): "binary",
    pa.bool_(): "boolean",
    _UTC: "timestamp",
}


def _ddl(schema: pa.Schema) -> str:
    """Return columns as Spark SQL declares them."""
    return ", ".join(f"`{field.name}` {_SQL_TYPES[field.type]}" for field in schema)

"""A training set made by Spark is, bit for bit, the one made by numpy."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from feature_store import EventBatch, Incoming, Requests, decode_events, load_project
from feature_store.offline import AsOf
from feature_store.offline import point_in_time as on_one_machine
from feature_store.offline import spark as spark_sets

from examples.flights.model import flight_delay
from examples.flights.streams import load_streams

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from feature_store import Contract, Source

# No pandas frame takes part: what Spark hands over is Arrow.
pytestmark = pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning")

MINUTE_US = 60_000_000
EVENTS, REQUESTS = 1_500, 300
SPENT = (np.nan, 0.1, -0.0, 0.0, 1.0, 9.0, 9.5, 20.0, 49.9, 50.0, 1e9 / 3, -7.25, 2.0**32, 2.0**33)


def assert_same(
    spark: Any,
    contract: Callable[[], Contract],
    events: Mapping[str, EventBatch],
    requests: Requests,
    buckets: int,
) -> None:
    frames = {topic: frame(spark, batch.to_arrow()) for topic, batch in events.items()}
    made = spark_sets.point_in_time(contract, frames, frame(spark, table_of(contract(), requests)), buckets)
    found = made.toArrow().sort_by("_request")
    assert found.column("_request").to_pylist() == list(range(len(requests)))
    wanted = on_one_machine(contract(), events, requests, AsOf())
    assert b"".join(found.column("_statuses").to_pylist()) == wanted.statuses.tobytes()
    for number, name in enumerate(contract().feature_names):
        assert found.column(name).to_numpy().tobytes() == wanted.values[:, number].tobytes(), name


def frame(spark: Any, table: pa.Table) -> Any:
    """Rows in another order than they are in, in several partitions."""
    order = np.random.default_rng(1).permutation(len(table))
    return spark.createDataFrame(table.take(pa.array(order))).repartition(3)


def table_of(contract: Contract, requests: Requests) -> pa.Table:
    schema = spark_sets.request_schema(contract)
    columns = {"_request": np.arange(len(requests)), "_time": requests.time_us, **requests.entities}
    columns |= requests.context
    return pa.table([pa.array(columns[field.name]).cast(field.type) for field in schema], schema=schema)


def objects(values: list[Any]) -> np.ndarray[Any, Any]:
    array = np.empty(len(values), np.object_)
    array[:] = values
    return array


def drawn_log(source: Source, seed: int) -> EventBatch:
    """Events out of order, late, repeated, with null and empty keys, some of them unknown for long."""
    random = np.random.default_rng(seed)
    at_us = random.integers(-300, 300, EVENTS) * MINUTE_US // 2
    partition = random.integers(0, 3, EVENTS).astype(np.int32)
    offset = np.array([int(np.sum(partition[:row] == one)) for row, one in enumerate(partition)], np.int64)
    columns = {
        "card": objects(random.choice(["a", "a", "b", "c", "d", "", None], EVENTS).tolist()),
        "shop": objects(random.choice([None, "", "x", "y", "zürich", "z", "q", "r"], EVENTS).tolist()),
        "spent": random.choice(SPENT, EVENTS),
        "back": random.integers(0, 2, EVENTS).astype(np.int8),
        "at": at_us,
    }
    recorded_us = at_us + random.choice([-1, 0, 0, 1, 9, 70], EVENTS) * MINUTE_US
    ids = objects([f"e{one}" for one in random.integers(0, EVENTS, EVENTS)])
    keys = objects([b""] * EVENTS)
    return EventBatch(source, columns, at_us, recorded_us, partition, offset, ids, keys)


@pytest.mark.parametrize(("seed", "buckets"), [(1, 1), (2, 5)])
def test_every_aggregation_is_the_same_bits(spark: Any, seed: int, buckets: int) -> None:
    import spark_project  # noqa: PLC0415 - on the path of the workers, and by the fixture on this one's

    random = np.random.default_rng(seed)
    events = {one.topic: drawn_log(one, seed + 7) for one in (spark_project.payments, spark_project.refunds)}
    asked_us = random.integers(-400, 700, REQUESTS) * MINUTE_US // 3
    requests = Requests(
        asked_us,
        {
            "card": objects(random.choice(["a", "b", "c", "nobody", "", None], REQUESTS).tolist()),
            "shop": objects(random.choice(["x", "zürich", None], REQUESTS).tolist()),
        },
        {"asked_at": asked_us},
    )
    assert_same(spark, spark_project.contract, events, requests, buckets)


def test_flights_are_the_same_bits(spark: Any) -> None:
    project = load_project("examples.flights")
    streams = load_streams(datetime(2013, 3, 1, tzinfo=UTC), datetime(2013, 3, 5, tzinfo=UTC))
    events = {stream.topic: decoded(project.sources[stream.topic], stream) for stream in streams.sources}
    requests = flight_delay.examples.of(events["flights.arrived.v1"], flight_delay.request_key).requests
    some = np.random.default_rng(3).choice(len(requests), 1_000, replace=False)
    assert_same(
        spark, spark_sets.ContractOf("examples.flights", "flight-delay"), events, requests.take(some), 4
    )


def decoded(source: Source, stream: Any) -> EventBatch:
    events = stream.events(slice(0, len(stream)))
    incoming = Incoming.of(events)
    return decode_events(source, incoming)[0]


def test_requests_that_share_a_number_are_refused(spark: Any) -> None:
    import spark_project  # noqa: PLC0415

    contract = spark_project.contract()
    sources = {one.topic: drawn_log(one, 1) for one in (spark_project.payments, spark_project.refunds)}
    asked = Requests(
        np.zeros(2, np.int64),
        {"card": objects(["a", "a"]), "shop": objects(["x", "x"])},
        {"asked_at": np.zeros(2, np.int64)},
    )
    table = table_of(contract, asked)
    twice = spark.createDataFrame(table.set_column(0, table.schema.field(0), pa.array([7, 7])))
    frames = {topic: frame(spark, batch.to_arrow()) for topic, batch in sources.items()}
    with pytest.raises(Exception, match="several requests have the _request 7"):
        spark_sets.point_in_time(spark_project.contract, frames, twice, 2).collect()

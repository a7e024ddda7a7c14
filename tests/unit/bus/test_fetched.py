"""What consumers of this process are handed: records that tell all that the client's own do."""

from itertools import islice
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.record import MemoryRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import ConsumerRecord
from bus.kafka.fetched import Fetched
from bus.kafka.header_names import ForgivingRecords

WHERE = TopicPartition("orders", 3)
ROWS = [(b"k", b"value", [("ce_id", b"1")]), (None, b"v", []), (b"k", None, [])]


def fetched(*, since: int = 0, deserializer: Any = None) -> Any:
    builder = DefaultRecordBatchBuilder(2, 3, 0, -1, -1, -1, 10_000)
    for offset, (key, value, headers) in enumerate(ROWS):
        builder.append(offset, 1_000 + offset, key, value, headers)
    data = bytes(builder.build())
    records = ForgivingRecords(data)
    return fetcher.PartitionRecords(WHERE, records, [], since, deserializer, None, True, 1)  # noqa: FBT003


def test_a_record_tells_what_the_clients_own_does() -> None:
    theirs = [
        ConsumerRecord(
            "orders",
            3,
            offset,
            1_000 + offset,
            0,
            key,
            value,
            None,
            -1 if key is None else len(key),
            -1 if value is None else len(value),
            headers,
        )
        for offset, (key, value, headers) in enumerate(ROWS)
    ]
    for ours, own in zip(fetched(), theirs, strict=True):
        assert isinstance(ours, Fetched)
        for name in vars(own):
            told = getattr(ours, name)
            assert (list(told) if name == "headers" else told) == getattr(own, name), name


def test_reading_goes_on_where_it_was_left_and_ends() -> None:
    records = fetched(since=1)
    assert [one.offset for one in islice(records, 1)] == [1]
    assert records.next_fetch_offset == 2
    assert [one.offset for one in records] == [2]
    assert records.next_fetch_offset == 3
    assert list(records) == []


def test_a_consumer_with_deserializers_keeps_the_clients_records() -> None:
    one = next(iter(fetched(deserializer=lambda key: key.decode())))
    assert isinstance(one, ConsumerRecord)
    assert one.key == "k"


def test_what_is_compressed_here_any_client_reads() -> None:
    builder = DefaultRecordBatchBuilder(2, 3, 0, -1, -1, -1, 10_000)
    builder.append(0, 1_000, b"k", b"v" * 5_000, [])
    data = bytes(builder.build())
    assert len(data) < 500
    records = MemoryRecords(data)
    assert [one.value for one in records.next_batch()] == [b"v" * 5_000]


@pytest.mark.parametrize("size", [0, 1])
def test_sizes_of_what_is_not_there_are_as_the_client_says(size: int) -> None:
    one = Fetched("t", 0, 0, 0, 0, None, b"v" * size, ())
    assert (one.serialized_key_size, one.serialized_value_size, one.checksum) == (-1, size, None)

"""Fetched batches are read whatever their header names are; what the client reads well it goes on reading."""

from typing import Any

import pytest
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from aiokafka.record.memory_records import MemoryRecords
from bus.kafka.header_names import ForgivingRecords

NONE, GZIP, LZ4 = 0, 1, 3


class Latin(str):
    """A name that encodes as no careful client would encode it."""

    __slots__ = ()

    def encode(self, *_: Any) -> bytes:
        return super().encode("latin-1")


def batch(*headers: list[tuple[str, bytes | None]], codec: int = NONE, first: int = 0) -> bytes:
    builder = _DefaultRecordBatchBuilderPy(2, codec, 0, -1, -1, -1, 1_000_000)
    for offset, named in enumerate(headers, start=first):
        builder.append(offset, 1_000 + offset, b"k%d" % offset, b"v%d" % offset, named)
    return bytes(builder.build())


def read(records: Any) -> list[tuple[Any, ...]]:
    found: list[Any] = []
    while records.has_next():
        found += records.next_batch()
    return [(one.offset, one.timestamp, one.key, one.value, list(one.headers)) for one in found]


@pytest.mark.parametrize("codec", [NONE, GZIP, LZ4])
def test_a_name_that_is_not_utf8_is_escaped_and_its_neighbours_are_read(codec: int) -> None:
    plain: list[tuple[str, bytes | None]] = [("größe", b"\xff"), ("ce_id", None)]
    data = batch(plain, [(Latin("größe"), b"1"), *plain], plain, codec=codec)
    with pytest.raises(UnicodeDecodeError):
        read(MemoryRecords(data))
    assert read(ForgivingRecords(data)) == [
        (0, 1_000, b"k0", b"v0", plain),
        (1, 1_001, b"k1", b"v1", [("gr\\xf6\\xdfe", b"1"), *plain]),
        (2, 1_002, b"k2", b"v2", plain),
    ]


def test_whole_batches_are_read_as_the_client_reads_them() -> None:
    data = batch([("a", b"1")], []) + batch([("b", None)], first=2, codec=LZ4)
    assert read(ForgivingRecords(data)) == read(MemoryRecords(data))
    assert ForgivingRecords(data).size_in_bytes() == MemoryRecords(data).size_in_bytes()


def test_a_batch_says_of_itself_what_the_clients_does() -> None:
    data = batch([("a", b"1")], codec=LZ4)
    ours, theirs = ForgivingRecords(data).next_batch(), MemoryRecords(data).next_batch()
    for name in ("base_offset", "next_offset", "producer_id", "is_transactional", "is_control_batch"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ours.validate_crc()
    assert next(ours).key == next(theirs).key

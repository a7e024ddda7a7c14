"""Keys to partitions."""

import pytest
from aiokafka.partitioner import murmur2 as murmur2_of_the_client
from bus.kafka.partitioning import murmur2, partition_of_key
from hypothesis import given
from hypothesis import strategies as st


@given(st.binary(max_size=64))
def test_it_hashes_as_the_client_does(data: bytes) -> None:
    assert murmur2(data) == murmur2_of_the_client(data)


@pytest.mark.parametrize(
    ("data", "hashed"),
    # From Kafka's own UtilsTest.testMurmur2.
    [(b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536)],
)
def test_it_hashes_as_java_does(data: bytes, hashed: int) -> None:
    assert murmur2(data) == hashed & 0xFFFFFFFF


def test_a_record_without_a_key_goes_where_somebody_leads() -> None:
    assert {partition_of_key(None, [0, 1, 2], [2]) for _ in range(9)} == {2}
    assert partition_of_key(None, [1], []) == 1

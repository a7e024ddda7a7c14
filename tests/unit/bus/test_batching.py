"""Fetched records into batches."""

import math
from collections import Counter

import pytest
from bus.batching import Backlog, Batching, Bites, Gathering
from bus.memory import MemoryRecord
from bus.positions import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

fetches = st.lists(st.dictionaries(st.integers(0, 3), st.integers(1, 7), max_size=3), max_size=6)


def record(partition: int, offset: int) -> MemoryRecord:
    return MemoryRecord("t", partition, offset, 0, None, b"", [])


@given(fetches, st.integers(1, 5))
def test_every_record_is_taken_once_and_in_the_order_of_its_partition(
    counts: list[dict[int, int]], max_records: int
) -> None:
    backlog, ends = Backlog(), dict.fromkeys(range(4), 0)
    for fetch in counts:
        fetched = {}
        for partition, count in fetch.items():
            fetched[TopicPartition("t", partition)] = [
                record(partition, ends[partition] + i) for i in range(count)
            ]
            ends[partition] += count
        backlog.add(fetched)
    total, seen = len(backlog), dict.fromkeys(range(4), 0)
    taken = 0
    while batch := backlog.take(max_records):
        assert len(batch) <= max_records
        for one in batch:
            assert one.offset == seen[one.partition]
            seen[one.partition] += 1
        taken += len(batch)
        assert len(backlog) == total - taken
    assert seen == ends


def test_a_cleared_backlog_holds_nothing() -> None:
    backlog = Backlog()
    backlog.add({TopicPartition("t", 0): [record(0, 0)]})
    backlog.clear()
    assert len(backlog) == 0
    assert backlog.take(10) == []


@pytest.mark.parametrize("wrong", [{"max_records": 0}, {"max_wait_ms": -1}])
def test_nonsense_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Batching(**wrong)


def test_a_batch_waits_from_its_first_record_on_and_not_long_for_the_next() -> None:
    gathering = Gathering(Batching(max_wait_ms=100))
    assert gathering.left_ms(0, 1_000) == math.inf
    assert gathering.left_ms(1, 1_000) == 25
    assert gathering.left_ms(1, 1_020) == 5
    assert gathering.left_ms(4, 1_024) == 25
    # Records that keep coming are gathered until the longest wait is over.
    assert [gathering.left_ms(count, 1_000 + count) for count in (50, 80, 99, 100)] == [25, 20, 1, 0]


def fetched(topic: str, count: int, first: int = 0) -> dict[TopicPartition, list[MemoryRecord]]:
    records = [MemoryRecord(topic, 0, first + i, 0, None, b"", []) for i in range(count)]
    return {TopicPartition(topic, 0): records}


def test_topics_share_a_batch_however_much_waits_of_one() -> None:
    backlog = Backlog()
    backlog.add(fetched("flood", 1_000))
    backlog.add(fetched("calm", 30))
    assert Counter(one.topic for one in backlog.take(100)) == {"flood": 70, "calm": 30}
    backlog.add(fetched("calm", 80, first=30))
    assert Counter(one.topic for one in backlog.take(100)) == {"flood": 50, "calm": 50}


def test_where_batches_are_smaller_than_topics_are_many_every_topic_has_its_turn() -> None:
    backlog = Backlog()
    for topic in "abc":
        backlog.add(fetched(topic, 2))
    assert [one.topic for _ in range(6) for one in backlog.take(1)] == [*"abcabc"]


def test_a_topic_that_is_mostly_refused_is_taken_in_bites_until_it_is_better() -> None:
    bites, backlog = Bites(100, topics=2), Backlog()
    backlog.add(fetched("bad", 500))
    assert len(backlog.take(100, bites.most_of)) == 100
    bites.swallowed({"bad": 100}, {"bad": 51})
    assert len(backlog.take(100, bites.most_of)) == 5
    bites.swallowed({"bad": 5}, {"bad": 2})
    assert len(backlog.take(100, bites.most_of)) == 100


def test_the_only_topic_keeps_nobody_waiting() -> None:
    bites = Bites(100, topics=1)
    bites.swallowed({"bad": 100}, {"bad": 100})
    assert bites.most_of("bad") == 100

"""Records that were passed over are noticed before anything is made of the next."""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
from bus.positions import TopicPartition
from faust.transport.consumer import Consumer
from faust.types import TP
from intervaltree import IntervalTree  # type: ignore[import-untyped]
from retrain_trigger.adapters.faust import CarefulConsumer, Record
from retrain_trigger.adapters.unbroken import Holes, RecordsPassedOver, Unbroken

MEASURED, ROUTES = TopicPartition("measured", 0), TopicPartition("routes", 0)


def record(where: TopicPartition, offset: int) -> Record:
    return Record(where.topic, where.partition, offset, 0, None, None, [])


def test_records_in_a_row_and_repeats_are_as_they_should_be() -> None:
    unbroken = Unbroken({MEASURED: 38}, Holes())
    for offset in (38, 39, 40, 38, 39, 40, 41):
        unbroken.check(record(MEASURED, offset))


def test_a_record_that_does_not_follow_is_refused() -> None:
    unbroken = Unbroken({MEASURED: 38}, Holes())
    unbroken.check(record(MEASURED, 38))
    with pytest.raises(RecordsPassedOver, match=r"measured\[0\]: 163 was handed over after 38"):
        unbroken.check(record(MEASURED, 163))


def test_the_first_record_has_to_be_the_next_one_of_the_group() -> None:
    with pytest.raises(RecordsPassedOver):
        Unbroken({MEASURED: 39}, Holes()).check(record(MEASURED, 40))


def test_a_compacted_topic_has_holes() -> None:
    unbroken = Unbroken({MEASURED: 0}, Holes())
    for offset in (3, 17):
        unbroken.check(record(ROUTES, offset))


def test_a_hole_that_is_always_there_is_the_logs_own() -> None:
    holes = Holes()
    for _ in range(3):
        with pytest.raises(RecordsPassedOver):
            Unbroken({MEASURED: 5}, holes).check(record(MEASURED, 7))
    unbroken = Unbroken({MEASURED: 5}, holes)
    unbroken.check(record(MEASURED, 7))
    unbroken.check(record(MEASURED, 8))


@pytest.mark.parametrize(("kind", "committed"), [(Consumer, 163), (CarefulConsumer, 41)])
async def test_what_is_queued_is_not_committed_over(kind: type[Consumer], committed: int) -> None:
    """Faust's own bookkeeping, and what becomes of it without the gap that it sees after its seek."""
    where = TP("measured", 0)
    books: Any = SimpleNamespace(
        _acked=defaultdict(list),
        _acked_index=defaultdict(set),
        _gap=defaultdict(IntervalTree),
        _committed_offset={where: 38},
    )
    # 38 to 161 are queued, the seek set the fetching back to 38, and 162 is what is fetched next.
    await kind._add_gap(books, where, 39, 162)
    for processed in (38, 39, 40):
        books._acked[where].append(processed)
    for _ in range(4):
        books._committed_offset[where] = kind._new_offset(books, where) or books._committed_offset[where]
    assert books._committed_offset[where] == committed

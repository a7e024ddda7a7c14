"""Records that were passed over are noticed before anything is made of the next."""

from __future__ import annotations

import pytest
from bus.positions import TopicPartition
from retrain_trigger.adapters.faust import Record
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

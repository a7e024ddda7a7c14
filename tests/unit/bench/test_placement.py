"""Which cores a measurement's processes have."""

import os

from bench.figures import Row
from bench.placement import APART, measured_from, placements


def test_the_server_has_the_first_core_and_the_rest_the_others() -> None:
    apart, unpinned = placements(frozenset({2, 3, 5}))
    assert (apart.server, apart.others) == ({2}, {3, 5})
    assert unpinned.server == unpinned.others == {2, 3, 5}
    assert apart.words() == "server on core 2; load, Valkey and Kafka on 3, 5"
    assert unpinned.words() == "unpinned: every process on cores 2, 3, 5"


def test_on_one_core_all_are_together() -> None:
    apart, _ = placements(frozenset({0}))
    assert apart.server == apart.others == {0}


def test_rows_say_where_they_were_measured_and_the_process_goes_back() -> None:
    before = os.sched_getaffinity(0)

    async def measure() -> list[Row]:
        return [{"name": "f", "cores": os.sched_getaffinity(0)}]

    (row,) = measured_from(APART, measure)
    assert row["cores"] == APART.others
    assert row["placement"] == APART.words()
    assert os.sched_getaffinity(0) == before

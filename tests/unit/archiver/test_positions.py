"""What of a range is new to a table."""

import pyarrow as pa
from archiver.domain.positions import advanced, fallen_back, new_rows
from hypothesis import given, settings
from hypothesis import strategies as st

PARTITIONS = st.integers(0, 2)
OFFSETS = st.integers(0, 9)
POSITIONS = st.dictionaries(PARTITIONS, OFFSETS)


def rows(records: list[tuple[int, int]]) -> pa.Table:
    partitions, offsets = [p for p, _ in records], [o for _, o in records]
    return pa.table(
        {"_partition": pa.array(partitions, pa.int32()), "_offset": pa.array(offsets, pa.int64())}
    )


@settings(deadline=None)  # pyarrow's first use imports
@given(st.lists(st.tuples(PARTITIONS, OFFSETS)), POSITIONS)
def test_new_is_what_is_at_or_above_the_position(
    records: list[tuple[int, int]], positions: dict[int, int]
) -> None:
    found = [(row["_partition"], row["_offset"]) for row in new_rows(rows(records), positions).to_pylist()]
    assert found == [(p, o) for p, o in records if o >= positions.get(p, 0)]


@given(POSITIONS, POSITIONS)
def test_positions_only_advance(positions: dict[int, int], reached: dict[int, int]) -> None:
    moves = advanced(positions, reached)
    merged = {**positions, **moves}
    assert all(merged[p] == max(positions.get(p, 0), reached.get(p, 0)) for p in merged)
    assert advanced(merged, reached) == {}


def test_a_table_that_lost_rows_is_seen() -> None:
    assert fallen_back({0: 10, 1: 5, 2: 7}, {0: 10, 1: 6}) == {2: (7, 0)}

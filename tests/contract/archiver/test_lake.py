"""What every lake must do: keep each record once, whoever offers it and however often."""

from pathlib import Path

import pyarrow as pa
import pytest
from archiver.adapters.delta import DeltaLake
from archiver.adapters.memory import MemoryLake
from archiver.domain.tables import LakeTable, SchemaError
from archiver.ports import Lake
from deltalake import DeltaTable

SCHEMA = pa.schema([("_partition", pa.int32()), ("_offset", pa.int64()), ("what", pa.string())])
TABLE = LakeTable("sources/t.v1", "t.v1", SCHEMA)


@pytest.fixture(params=["delta", "memory"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    made: Lake = MemoryLake() if request.param == "memory" else DeltaLake(str(tmp_path))
    made.prepare(TABLE)
    return made


def rows(partition: int, *offsets: int) -> pa.Table:
    return pa.table(
        [
            pa.array([partition] * len(offsets), pa.int32()),
            pa.array(offsets, pa.int64()),
            pa.array([f"{partition}-{offset}" for offset in offsets]),
        ],
        schema=SCHEMA,
    )


def kept(lake: Lake) -> pa.Table:
    if isinstance(lake, MemoryLake):
        return lake.tables[TABLE.path]
    assert isinstance(lake, DeltaLake)
    return DeltaTable(lake.location(TABLE)).to_pyarrow_table()


def positions(lake: Lake) -> list[tuple[int, int]]:
    return sorted((row["_partition"], row["_offset"]) for row in kept(lake).to_pylist())


def test_an_empty_table_is_read_from_the_beginning(lake: Lake) -> None:
    assert lake.resume_from(TABLE, [0, 1]) == {0: 0, 1: 0}


def test_what_was_appended_is_there(lake: Lake) -> None:
    assert lake.append(TABLE, rows(1, 0, 1, 2), {1: 3}) == 3
    assert kept(lake).column("what").to_pylist() == ["1-0", "1-1", "1-2"]


def test_the_same_batch_again_changes_nothing(lake: Lake) -> None:
    lake.append(TABLE, rows(0, 0, 1), {0: 2})
    assert lake.append(TABLE, rows(0, 0, 1), {0: 2}) == 0
    assert positions(lake) == [(0, 0), (0, 1)]


def test_of_an_overlapping_batch_only_the_rest_is_new(lake: Lake) -> None:
    lake.append(TABLE, rows(0, 0, 1, 2), {0: 3})
    assert lake.append(TABLE, rows(0, 1, 2, 3, 4), {0: 5}) == 2
    assert positions(lake) == [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4)]


def test_partitions_do_not_hide_each_other(lake: Lake) -> None:
    lake.append(TABLE, rows(0, 7, 8), {0: 9})
    both = pa.concat_tables([rows(0, 8, 9), rows(1, 2)])
    assert lake.append(TABLE, both, {0: 10, 1: 3}) == 2
    assert positions(lake) == [(0, 7), (0, 8), (0, 9), (1, 2)]


def test_records_that_are_no_rows_move_the_position_too(lake: Lake) -> None:
    lake.append(TABLE, rows(0), {0: 4})
    assert lake.append(TABLE, rows(0, 2, 3), {0: 4}) == 0
    assert positions(lake) == []


def test_the_last_batch_is_read_once_more(lake: Lake) -> None:
    lake.append(TABLE, rows(0, 0, 1), {0: 2})
    lake.append(TABLE, rows(0, 2, 3), {0: 4})
    assert lake.resume_from(TABLE, [0, 5]) == {0: 2, 5: 0}


def test_a_new_column_is_null_in_the_rows_of_before(lake: Lake) -> None:
    lake.append(TABLE, rows(0, 0), {0: 1})
    wider = LakeTable(TABLE.path, TABLE.topic, SCHEMA.append(pa.field("since", pa.float64())))
    lake.prepare(wider)
    lake.append(wider, rows(0, 1).append_column("since", pa.array([2.5])), {0: 2})
    assert sorted(row["since"] or 0 for row in kept(lake).to_pylist()) == [0, 2.5]


def test_a_writer_that_knows_fewer_columns_still_appends(lake: Lake) -> None:
    lake.prepare(LakeTable(TABLE.path, TABLE.topic, SCHEMA.append(pa.field("since", pa.float64()))))
    assert lake.append(TABLE, rows(0, 0), {0: 1}) == 1


def test_a_column_of_another_type_is_refused(lake: Lake) -> None:
    changed = LakeTable(TABLE.path, TABLE.topic, pa.schema([("what", pa.int64())]))
    with pytest.raises(SchemaError, match="'what' holds string"):
        lake.prepare(changed)

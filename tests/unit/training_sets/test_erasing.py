"""Rows taken out of a table are in no version of it, in no file and in no entry of its log."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from archiver.adapters.compaction import join_files, small_files
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError
from training_sets.erasing import Rows, count_rows, erase_rows, sweep

NAME = "anna-who-leaves"
OF_ANNA = Rows(("name",), lambda held: pc.equal(held["name"], NAME), NAME)
DAYS = [date(2024, 1, 1), date(2024, 1, 2), date(2024, 1, 2)]
ROWS = pa.table({"name": [NAME, "ben", NAME], "number": [1, 2, 3], "day": DAYS})

Make = Callable[..., DeltaTable]


@pytest.fixture(params=[None, ["day"]], ids=["whole", "partitioned"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> DeltaTable:
    append_only = {"delta.appendOnly": "true"}
    write_deltalake(tmp_path / "t", ROWS, configuration=append_only, partition_by=request.param)
    position = CommitProperties(app_transactions=[Transaction("orders.v1:0", 7)])
    write_deltalake(tmp_path / "t", ROWS, mode="append", commit_properties=position)
    return DeltaTable(tmp_path / "t")


def files_with(table: DeltaTable, text: str) -> list[Path]:
    folder = Path(table.table_uri.removeprefix("file://"))
    return [one for one in folder.rglob("*") if one.is_file() and text.encode() in one.read_bytes()]


def test_they_are_nowhere_and_the_others_and_the_positions_are_there(table: DeltaTable) -> None:
    assert count_rows(table, OF_ANNA) == 4
    assert files_with(table, NAME)
    erased = erase_rows(table, OF_ANNA, why="e-1", now_ms=1)
    assert erased.rows == 4
    assert erased.files_deleted
    assert files_with(table, NAME) == []
    opened = DeltaTable(table.table_uri)
    assert (
        sorted(opened.to_pyarrow_table().to_pylist(), key=str)
        == [{"name": "ben", "number": 2, "day": DAYS[1]}] * 2
    )
    assert opened.transaction_version("orders.v1:0") == 7
    with pytest.raises(Exception, match="log segment"):
        DeltaTable(table.table_uri, version=erased.version_before)


def test_doing_it_again_finds_nothing_to_do(table: DeltaTable) -> None:
    erase_rows(table, OF_ANNA, why="e-1", now_ms=1)
    assert erase_rows(DeltaTable(table.table_uri), OF_ANNA, why="e-1", now_ms=2).nothing


def test_begun_again_after_any_step_it_ends_the_same(table: DeltaTable) -> None:
    from training_sets import erasing  # noqa: PLC0415 - its steps, one by one

    assert erasing._take_out(table, OF_ANNA, "e-1", 1) == 4  # killed here
    again = DeltaTable(table.table_uri)
    assert erasing._delete_left_files(again, OF_ANNA, 0)  # and here
    assert files_with(table, NAME), "the log still tells"
    erase_rows(DeltaTable(table.table_uri), OF_ANNA, why="e-1", now_ms=2)
    assert files_with(table, NAME) == []


def test_a_compaction_that_read_the_old_files_brings_nothing_back(tmp_path: Path) -> None:
    for _ in range(4):
        write_deltalake(tmp_path / "t", ROWS, mode="append")
    table, compacting = DeltaTable(tmp_path / "t"), DeltaTable(tmp_path / "t")
    [files] = small_files(compacting, 1 << 30)
    erase_rows_of_newest(table)
    with pytest.raises(CommitFailedError):
        join_files(compacting, files, now_ms=2)
    table.update_incremental()
    assert count_rows(table, OF_ANNA) == 0
    assert table.to_pyarrow_table().num_rows == 4
    # What it had written is in no version, and goes with the sweep.
    assert [one for one in files_with(table, NAME) if one.name.startswith("joined")]
    assert sweep(table, OF_ANNA, table.version(), 0).files_deleted
    assert files_with(table, NAME) == []


def erase_rows_of_newest(table: DeltaTable) -> None:
    """Take the rows out of the newest version only, so that the compaction can still read the old files."""
    from training_sets import erasing  # noqa: PLC0415 - one of its steps

    assert erasing._take_out(table, OF_ANNA, "e-1", 1) == 8


def test_an_erasure_that_was_overtaken_by_a_compaction_is_done_again(tmp_path: Path) -> None:
    for _ in range(4):
        write_deltalake(tmp_path / "t", ROWS, mode="append")
    erasing, compacting = DeltaTable(tmp_path / "t"), DeltaTable(tmp_path / "t")
    [files] = small_files(compacting, 1 << 30)
    join_files(compacting, files, now_ms=1)
    assert erase_rows(erasing, OF_ANNA, why="e-1", now_ms=2).rows == 8
    assert DeltaTable(tmp_path / "t").to_pyarrow_table()["name"].to_pylist() == ["ben"] * 4
    assert files_with(erasing, NAME) == []


def test_a_file_that_somebody_is_about_to_commit_is_spared_if_asked_for(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "t", ROWS)
    table = DeltaTable(tmp_path / "t")
    pending = tmp_path / "t" / "part-of-nobody.parquet"
    pending.write_bytes(next((tmp_path / "t").glob("part-*.parquet")).read_bytes())
    spared = erase_rows(table, OF_ANNA, why="retention", now_ms=1, spare_ns=3_600_000_000_000)
    assert (spared.rows, pending.exists()) == (2, True)
    assert erase_rows(table, OF_ANNA, why="erasure", now_ms=2).files_deleted
    assert not pending.exists()

"""Rows are the same rows in the same order, however they lie in files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from batch_scoring import EmptyInput, UnknownColumn, UnreadableInput, WrongType, open_input
from deltalake import DeltaTable, write_deltalake

if TYPE_CHECKING:
    from pathlib import Path


def numbered(first: int, count: int) -> pa.Table:
    return pa.table({"n": pa.array(range(first, first + count), pa.int64())})


def read(location: Path, *, start: int = 0, batch_rows: int = 7) -> list[list[int]]:
    return [table["n"].to_pylist() for table in open_input(str(location)).read(["n"], start, batch_rows)]


@pytest.mark.parametrize("group", [1, 3, 100])
@pytest.mark.parametrize("start", [0, 7, 21, 35])
def test_batches_are_cut_alike_whatever_files_and_row_groups_hold_the_rows(
    tmp_path: Path, group: int, start: int
) -> None:
    for name, first, count in (("b", 5, 20), ("a", 0, 5), ("c", 25, 15)):
        pq.write_table(numbered(first, count), tmp_path / f"{name}.parquet", row_group_size=group)
    assert read(tmp_path, start=start) == [
        list(range(first, min(first + 7, 40))) for first in range(start, 40, 7)
    ]


def test_a_row_is_named_by_its_file_and_its_place_there(tmp_path: Path) -> None:
    for name, first, count in (("a", 0, 5), ("b", 5, 20)):
        pq.write_table(numbered(first, count), tmp_path / f"{name}.parquet")
    found = open_input(str(tmp_path))
    assert [found.where(row) for row in (0, 4, 5, 24)] == [
        "row 0 of a.parquet",
        "row 4 of a.parquet",
        "row 0 of b.parquet",
        "row 19 of b.parquet",
    ]


def test_the_same_files_elsewhere_are_the_same_input_and_any_other_bytes_are_not(tmp_path: Path) -> None:
    for folder in ("one", "two", "other"):
        (tmp_path / folder).mkdir()
        pq.write_table(numbered(folder == "other", 5), tmp_path / folder / "a.parquet")
    one, two, other = (open_input(str(tmp_path / name)).identity for name in ("one", "two", "other"))
    assert one == two
    assert one != other


def test_a_pattern_names_files_and_stays_within_a_folder(tmp_path: Path) -> None:
    for at, name in enumerate(("2013-01", "2013-02", "2014-01")):
        (tmp_path / name / "deep").mkdir(parents=True)
        pq.write_table(numbered(at, 1), tmp_path / name / "x.parquet")
        pq.write_table(numbered(90, 1), tmp_path / name / "deep" / "x.parquet")
    assert read(tmp_path / "2013-*" / "*.parquet") == [[0, 1]]


def test_folders_that_name_a_value_are_a_column(tmp_path: Path) -> None:
    table = pa.table({"n": [1, 2, 3], "day": [5, 6, 6]})
    ds.write_dataset(table, tmp_path, format="parquet", partitioning=["day"], partitioning_flavor="hive")
    found = open_input(str(tmp_path))
    found.check(["n", "day"])
    (rows,) = found.read(["day", "n"], 0, 10)
    assert rows.to_pylist() == [{"day": 5, "n": 1}, {"day": 6, "n": 2}, {"day": 6, "n": 3}]


def test_a_delta_table_is_read_at_a_version_with_its_partitions_and_later_columns(tmp_path: Path) -> None:
    location = str(tmp_path)
    write_deltalake(location, pa.table({"n": [1, 2], "day": ["a", "b"]}), partition_by=["day"])
    write_deltalake(
        location, pa.table({"n": [3], "day": ["a"], "late": [0.5]}), mode="append", schema_mode="merge"
    )
    newest = open_input(location)
    newest.check(["late"])
    (rows,) = newest.read(["n", "day", "late"], 0, 10)
    assert sorted(rows.to_pylist(), key=lambda row: row["n"]) == [
        {"n": 1, "day": "a", "late": None},
        {"n": 2, "day": "b", "late": None},
        {"n": 3, "day": "a", "late": 0.5},
    ]
    before = open_input(location, 0)
    assert before.rows == 2
    assert before.source == {"kind": "delta", "table": str(DeltaTable(location).metadata().id), "version": 0}


def test_what_cannot_be_read_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInput, match=r"no \*\.parquet file and no Delta table"):
        open_input(str(tmp_path / "nowhere"))
    pq.write_table(numbered(0, 0), tmp_path / "a.parquet")
    with pytest.raises(EmptyInput, match="holds no row"):
        open_input(str(tmp_path))
    with pytest.raises(UnreadableInput, match="leave --input-version out"):
        open_input(str(tmp_path), 3)
    (tmp_path / "b.parquet").write_bytes(b"nothing that anybody wrote")
    with pytest.raises(UnreadableInput, match="cannot be read"):
        open_input(str(tmp_path))
    write_deltalake(str(tmp_path / "delta"), numbered(0, 1))
    with pytest.raises(UnreadableInput, match="9"):
        open_input(str(tmp_path / "delta"), 9)


def test_a_delta_table_whose_files_call_columns_otherwise_is_refused_and_not_read_as_nulls(
    tmp_path: Path,
) -> None:
    location = str(tmp_path)
    write_deltalake(location, numbered(0, 2))
    told = json.loads(DeltaTable(location).schema().to_json())
    for number, field in enumerate(told["fields"]):
        field["metadata"] = {
            "delta.columnMapping.id": number + 1,
            "delta.columnMapping.physicalName": field["name"],
        }
        field["name"] = field["name"].upper()
    # As Spark writes it; delta-rs cannot.
    log = tmp_path / "_delta_log"
    actions = map(json.loads, (log / f"{0:020d}.json").read_text().splitlines())
    metadata = next(action["metaData"] for action in actions if "metaData" in action)
    changed = {
        **metadata,
        "configuration": {"delta.columnMapping.mode": "name"},
        "schemaString": json.dumps(told),
    }
    protocol = {"minReaderVersion": 2, "minWriterVersion": 5}
    (log / f"{1:020d}.json").write_text(
        "\n".join(map(json.dumps, ({"protocol": protocol}, {"metaData": changed})))
    )
    with pytest.raises(UnreadableInput, match="columnMapping"):
        open_input(location)
    assert open_input(location, 0).rows == 2


def test_files_of_two_shapes_are_refused_by_name(tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": [1], "x": [1.0]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"n": [1]}), tmp_path / "b.parquet")
    with pytest.raises(UnknownColumn, match=r"b.parquet has no column 'x'"):
        open_input(str(tmp_path)).check(["n", "x"])
    pq.write_table(pa.table({"n": [1], "x": ["text"]}), tmp_path / "b.parquet")
    with pytest.raises(WrongType, match=r"column 'x' is string in b.parquet and double"):
        open_input(str(tmp_path)).check(["x"])
    open_input(str(tmp_path)).check(["n"])


def test_a_file_that_was_cut_short_after_it_was_looked_at_is_an_error_and_no_shorter_input(
    tmp_path: Path,
) -> None:
    file = tmp_path / "a.parquet"
    pq.write_table(numbered(0, 10_000), file)
    found = open_input(str(file))
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(UnreadableInput, match=r"a\.parquet"):
        list(found.read(["n"], 0, 100))

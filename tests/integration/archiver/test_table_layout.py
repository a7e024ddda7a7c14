"""Tables by month of their events: what goes where, what is joined and deleted, and tables of before."""

from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from archiver.adapters.delta import DeltaLake
from archiver.adapters.upkeep import Upkeep
from archiver.domain.tables import ENVELOPE, LakeTable
from deltalake import CommitProperties, DeltaTable, Schema, Transaction, write_deltalake

SCHEMA = pa.schema([*ENVELOPE, pa.field("delay", pa.float64())])
TABLE = LakeTable("sources/t.v1", "t.v1", SCHEMA)
DAY_US = 86_400_000_000
JANUARY_US = 1_356_998_400_000_000


def rows(offsets: range, days: int = 0, step_us: int = 1) -> pa.Table:
    """Events of partition 0, so many days into 2013, `step_us` apart."""
    times = [JANUARY_US + days * DAY_US + offset * step_us for offset in offsets]
    columns = [
        [0] * len(offsets),
        offsets,
        [f"e{offset}" for offset in offsets],
        times,
        times,
        [b"k"] * len(offsets),
        [offset / 2 for offset in offsets],
    ]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)


def lake(folder: Path, upkeep: Upkeep | None = None) -> DeltaLake:
    made = DeltaLake(str(folder), upkeep)
    made.prepare(TABLE)
    return made


def opened(writer: DeltaLake) -> DeltaTable:
    return DeltaTable(writer.location(TABLE))


def offsets(table: DeltaTable) -> Counter[int]:
    return Counter(table.to_pyarrow_table().column("_offset").to_pylist())


def test_a_row_lies_in_the_month_of_its_event(tmp_path: Path) -> None:
    writer = lake(tmp_path)
    writer.append(TABLE, rows(range(60), step_us=DAY_US), {0: 60})
    assert opened(writer).metadata().partition_columns == ["_event_month"]
    february = (
        opened(writer).to_pyarrow_dataset().to_table(filter=ds.field("_event_month") == date(2013, 2, 1))
    )
    assert february.column("_offset").to_pylist() == list(range(31, 59))
    assert len(opened(writer).file_uris()) == 3


def test_the_last_microsecond_of_a_month_is_in_it(tmp_path: Path) -> None:
    writer = lake(tmp_path)
    edge = rows(range(2), days=31)
    last = pa.array([datetime(2013, 1, 31, 23, 59, 59, 999_999, UTC), datetime(2013, 2, 1, tzinfo=UTC)])
    writer.append(TABLE, edge.set_column(3, SCHEMA.field(3), last.cast(SCHEMA.field(3).type)), {0: 2})
    months = opened(writer).to_pyarrow_table().sort_by("_offset").column("_event_month").to_pylist()
    assert months == [date(2013, 1, 1), date(2013, 2, 1)]


def test_months_are_joined_each_for_itself_and_keep_every_row(tmp_path: Path) -> None:
    upkeep = Upkeep(compact_after_files=12, compact_older_after_files=4)
    writer = lake(tmp_path, upkeep)
    for batch in range(60):
        writer.append(TABLE, rows(range(batch * 5, batch * 5 + 5), days=31 * (batch % 3)), {0: batch * 5 + 5})
    table = opened(writer)
    assert len(table.file_uris()) <= 12 + 2 * 4
    assert offsets(table) == Counter(range(300))
    for month in (tmp_path / TABLE.path).glob("_event_month=*"):
        assert list(month.glob("joined-*")), month


def test_a_joined_file_still_says_what_is_in_it(tmp_path: Path) -> None:
    """Readers skip files by what was recorded by then; a file without bounds is read for nothing."""
    writer = lake(tmp_path, Upkeep(compact_after_files=2))
    for batch in range(4):
        writer.append(TABLE, rows(range(batch * 10, batch * 10 + 10), days=batch), {0: batch * 10 + 10})
    actions = pa.table(opened(writer).get_add_actions(flatten=True)).to_pylist()
    joined = [action for action in actions if "joined-" in action["path"]]
    assert joined
    for action in joined:
        held = pq.read_table(tmp_path / TABLE.path / action["path"], partitioning=None)
        assert action["num_records"] == held.num_rows
        for name in ("_partition", "_offset", "_event_time", "_recorded_time"):
            bounds = pc.min_max(held.column(name)).as_py()
            told = [action[f"{bound}.{name}"] for bound in ("min", "max")]
            assert [one if isinstance(one, int) else one.replace(tzinfo=UTC) for one in told] == [
                bounds["min"],
                bounds["max"],
            ]


def test_files_that_no_version_needs_are_deleted_and_the_others_stay(tmp_path: Path) -> None:
    long_ago_us = JANUARY_US
    upkeep = Upkeep(
        compact_after_files=4, vacuum_every_compactions=1, history_days=1, clock_us=lambda: long_ago_us
    )
    writer = lake(tmp_path, upkeep)
    for batch in range(12):
        writer.append(TABLE, rows(range(batch * 5, batch * 5 + 5)), {0: batch * 5 + 5})
    on_disk = {path.name for path in (tmp_path / TABLE.path).rglob("*.parquet")} - {
        path.name for path in (tmp_path / TABLE.path / "_delta_log").glob("*.parquet")
    }
    needed = {uri.rsplit("/", 1)[-1] for uri in opened(writer).file_uris()}
    assert needed <= on_disk
    assert len(on_disk) < 12
    assert offsets(opened(writer)) == Counter(range(60))


def test_a_reader_of_the_version_before_a_join_still_reads_it(tmp_path: Path) -> None:
    writer = lake(tmp_path, Upkeep(compact_after_files=4, vacuum_every_compactions=1, history_days=1))
    for batch in range(3):
        writer.append(TABLE, rows(range(batch * 5, batch * 5 + 5)), {0: batch * 5 + 5})
    reader = opened(writer)
    for batch in range(3, 9):
        writer.append(TABLE, rows(range(batch * 5, batch * 5 + 5)), {0: batch * 5 + 5})
    assert offsets(reader) == Counter(range(15))


def test_a_table_gets_the_retention_that_is_set_now(tmp_path: Path) -> None:
    lake(tmp_path, Upkeep(history_days=30))
    writer = lake(tmp_path, Upkeep(history_days=3))
    version = opened(writer).version()
    found = opened(lake(tmp_path, Upkeep(history_days=3)))
    assert found.metadata().configuration["delta.deletedFileRetentionDuration"] == "interval 3 days"
    assert found.version() == version, "the same settings again are no commit"


@pytest.fixture
def made_before(tmp_path: Path) -> Path:
    """A table without months, as it was made before there were any, with ten rows and its position."""
    location = str(tmp_path / TABLE.path)
    table = DeltaTable.create(location, Schema.from_arrow(SCHEMA), configuration={"delta.appendOnly": "true"})
    position = [Transaction("t.v1:0", 10), Transaction("t.v1:0:before", 5)]
    properties = CommitProperties(app_transactions=position)
    write_deltalake(table, rows(range(10)), mode="append", commit_properties=properties)
    return tmp_path


def test_a_table_of_before_goes_on_as_it_is(made_before: Path) -> None:
    writer = lake(made_before, Upkeep(compact_after_files=4))
    assert writer.resume_from(TABLE, [0]) == {0: 5}
    assert writer.append(TABLE, rows(range(5, 40)), {0: 40}) == 30
    for batch in range(4, 20):
        writer.append(TABLE, rows(range(batch * 10, batch * 10 + 10), days=40), {0: batch * 10 + 10})
    table = opened(writer)
    assert table.metadata().partition_columns == []
    assert "_event_month" not in table.to_pyarrow_dataset().schema.names
    assert offsets(table) == Counter(range(200))
    assert len(table.file_uris()) <= 4

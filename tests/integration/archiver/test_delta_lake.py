"""Several writers, one table: the proofs behind docs/adr/0007-lake-offsets.md, on real Delta tables."""

import shutil
import threading
from collections import Counter
from collections.abc import ItemsView
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from archiver.adapters.compaction import join_files, small_files
from archiver.adapters.delta import DeltaLake
from archiver.adapters.platform import PlatformKeeper
from archiver.adapters.upkeep import Upkeep
from archiver.domain.tables import LakeTable
from archiver.ports import LakeUnavailable, TableRewound
from bus.events import Event
from bus.received import Received
from bus.topics import ROUTES_CHANGED
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError
from tidemark.registry.v1.route_pb2 import Arm, RouteChanged, VersionRef

SCHEMA = pa.schema([("_partition", pa.int32()), ("_offset", pa.int64()), ("delay", pa.float64())])
TABLE = LakeTable("sources/t.v1", "t.v1", SCHEMA)


def rows(partition: int, offsets: range) -> pa.Table:
    return pa.table(
        [
            pa.array([partition] * len(offsets), pa.int32()),
            pa.array(offsets, pa.int64()),
            pa.array([offset / 2 for offset in offsets]),
        ],
        schema=SCHEMA,
    )


def lake(folder: Path, upkeep: Upkeep | None = None) -> DeltaLake:
    made = DeltaLake(str(folder), upkeep)
    made.prepare(TABLE)
    return made


def kept(folder: Path) -> Counter[tuple[int, int]]:
    table = DeltaTable(folder / TABLE.path).to_pyarrow_table()
    return Counter(
        zip(table.column("_partition").to_pylist(), table.column("_offset").to_pylist(), strict=True)
    )


def once(partition: int, offsets: range) -> Counter[tuple[int, int]]:
    return Counter((partition, offset) for offset in offsets)


def test_delta_refuses_a_commit_whose_transaction_another_moved(tmp_path: Path) -> None:
    """What exactly-once rests on; an upgrade of delta-rs that stops refusing must fail here."""
    lake(tmp_path)
    uri = str(tmp_path / TABLE.path)
    first, second = DeltaTable(uri), DeltaTable(uri)
    properties = CommitProperties(app_transactions=[Transaction("t.v1:0", 5)])
    write_deltalake(first, rows(0, range(5)), mode="append", commit_properties=properties)
    with pytest.raises(CommitFailedError):
        write_deltalake(second, rows(0, range(5)), mode="append", commit_properties=properties)
    assert kept(tmp_path) == once(0, range(5))


def test_a_zombie_writes_only_what_nobody_wrote(tmp_path: Path) -> None:
    zombie = lake(tmp_path)
    zombie.append(TABLE, rows(0, range(10)), {0: 10})
    owner = lake(tmp_path)
    for start in range(10, 100, 10):
        owner.append(TABLE, rows(0, range(start, start + 10)), {0: start + 10})
    assert zombie.append(TABLE, rows(0, range(10, 20)), {0: 20}) == 0
    assert zombie.append(TABLE, rows(0, range(95, 105)), {0: 105}) == 5
    assert owner.append(TABLE, rows(0, range(100, 110)), {0: 110}) == 5
    assert kept(tmp_path) == once(0, range(110))


def test_writers_that_race_for_the_same_records_keep_each_once(tmp_path: Path) -> None:
    appended: list[int] = []
    upkeep = Upkeep(checkpoint_every_commits=5, compact_after_files=3)
    lake(tmp_path, upkeep)

    def write(batch: int) -> None:
        mine = lake(tmp_path, upkeep)
        for start in range(0, 120, batch):
            end = min(120, start + batch)
            appended.append(mine.append(TABLE, rows(0, range(start, end)), {0: end}))

    writers = [threading.Thread(target=write, args=[batch]) for batch in (7, 10, 13)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert kept(tmp_path) == once(0, range(120))
    assert sum(appended) == 120


def test_writers_of_different_partitions_do_not_wait_for_each_other(tmp_path: Path) -> None:
    first, second = lake(tmp_path), lake(tmp_path)
    for start in range(0, 30, 10):
        batch = range(start, start + 10)
        assert first.append(TABLE, rows(0, batch), {0: start + 10}) == 10
        assert second.append(TABLE, rows(1, batch), {1: start + 10}) == 10
    assert kept(tmp_path) == once(0, range(30)) + once(1, range(30))


def test_two_processes_may_create_and_widen_a_table_at_once(tmp_path: Path) -> None:
    wider = LakeTable(TABLE.path, TABLE.topic, SCHEMA.append(pa.field("since", pa.float64())))
    at_once = threading.Barrier(4)
    errors: list[Exception] = []

    def prepare(attempt: int) -> None:
        mine = DeltaLake(str(tmp_path / str(attempt)))
        for table in (TABLE, wider):
            at_once.wait()
            try:
                mine.prepare(table)
            except Exception as error:  # noqa: BLE001 - what it was is asserted below
                errors.append(error)

    for attempt in range(10):
        threads = [threading.Thread(target=prepare, args=[attempt]) for _ in range(at_once.parties)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = DeltaTable(tmp_path / str(attempt) / TABLE.path).schema().to_arrow().names
        assert (errors, found) == ([], wider.schema.names)


def test_many_small_commits_stay_few_files_and_keep_every_position(tmp_path: Path) -> None:
    upkeep = Upkeep(checkpoint_every_commits=5, compact_after_files=8, vacuum_every_compactions=2)
    writer = lake(tmp_path, upkeep)
    for start in range(0, 400, 10):
        partition = start // 10 % 2
        writer.append(TABLE, rows(partition, range(start, start + 10)), {partition: start + 10})
    table = DeltaTable(writer.location(TABLE))
    assert len(table.file_uris()) < 8
    assert table.to_pyarrow_table().num_rows == 400
    # The log before the last checkpoint may expire: the positions do not go with it.
    log = tmp_path / TABLE.path / "_delta_log"
    last = max(int(path.name[:20]) for path in log.glob("*.checkpoint.parquet"))
    for path in log.glob("*.json"):
        if int(path.name[:20]) < last:
            path.unlink()
    assert lake(tmp_path).resume_from(TABLE, [0, 1]) == {0: 370, 1: 380}


def test_of_two_compactions_of_the_same_files_one_is_refused(tmp_path: Path) -> None:
    """`optimize.compact` of delta-rs 1.6 lets both in, and every row is there twice."""
    writer = lake(tmp_path)
    for start in range(0, 50, 10):
        writer.append(TABLE, rows(0, range(start, start + 10)), {0: start + 10})
    uri = writer.location(TABLE)
    first, second = DeltaTable(uri), DeltaTable(uri)
    writer.append(TABLE, rows(0, range(50, 60)), {0: 60})
    join_files(first, small_files(first, 1_000_000)[0], now_ms=1)
    with pytest.raises(CommitFailedError):
        join_files(second, small_files(second, 1_000_000)[0], now_ms=1)
    assert len(DeltaTable(uri).file_uris()) == 2
    assert kept(tmp_path) == once(0, range(60))


def test_joined_files_hold_the_same_rows_whatever_their_types(tmp_path: Path) -> None:
    keeper = PlatformKeeper(ROUTES_CHANGED)
    writer = DeltaLake(str(tmp_path), Upkeep(compact_after_files=4))
    writer.prepare(keeper.table)
    message = RouteChanged(model="m", arms=[Arm(variant="champion", version=VersionRef(version="v1"))])
    rows_kept = []
    for offset in range(6):
        event = Event(str(offset), "T", "s", "", 1, 2, b"k", message.SerializeToString())
        kept_rows = keeper.keep([Received(ROUTES_CHANGED.name, 0, offset, event)]).rows
        writer.append(keeper.table, kept_rows, {0: offset + 1})
        rows_kept += kept_rows.to_pylist()
    found = DeltaTable(writer.location(keeper.table)).to_pyarrow_table().sort_by("_offset")
    assert len(list((tmp_path / keeper.table.path).glob("_event_month=1970-01-01/joined-*"))) > 0
    assert found.drop_columns("_event_month").to_pylist() == rows_kept
    assert pl.read_delta(writer.location(keeper.table)).sort("_offset").to_arrow().num_rows == 6


def test_a_zombie_that_slept_through_the_logs_expiry_writes_nothing_twice(tmp_path: Path) -> None:
    zombie = lake(tmp_path)
    zombie.append(TABLE, rows(0, range(10)), {0: 10})
    owner = lake(tmp_path)
    for start in range(10, 50, 10):
        owner.append(TABLE, rows(0, range(start, start + 10)), {0: start + 10})
    table = DeltaTable(owner.location(TABLE))
    table.create_checkpoint()
    for path in (tmp_path / TABLE.path / "_delta_log").glob("*.json"):
        if int(path.name[:20]) < table.version():
            path.unlink()
    assert zombie.append(TABLE, rows(0, range(10, 20)), {0: 20}) == 0
    assert kept(tmp_path) == once(0, range(50))


def test_any_version_can_be_read_again(tmp_path: Path) -> None:
    writer = lake(tmp_path, Upkeep(compact_after_files=3))
    seen = {}
    for start in range(0, 60, 10):
        writer.append(TABLE, rows(0, range(start, start + 10)), {0: start + 10})
        seen[DeltaTable(writer.location(TABLE)).version()] = start + 10
    for version, count in seen.items():
        assert DeltaTable(writer.location(TABLE), version=version).to_pyarrow_table().num_rows == count


def test_polars_reads_the_table(tmp_path: Path) -> None:
    writer = lake(tmp_path)
    writer.append(TABLE, rows(2, range(3)), {2: 3})
    frame = pl.read_delta(writer.location(TABLE))
    assert frame.to_dicts()[2] == {"_partition": 2, "_offset": 2, "delay": 1.0}


def test_a_table_replaced_by_an_older_copy_is_not_written_on(tmp_path: Path) -> None:
    writer = lake(tmp_path)
    writer.append(TABLE, rows(0, range(10)), {0: 10})
    shutil.copytree(tmp_path / TABLE.path, tmp_path / "copy")
    writer.append(TABLE, rows(0, range(10, 20)), {0: 20})
    shutil.rmtree(tmp_path / TABLE.path)
    shutil.copytree(tmp_path / "copy", tmp_path / TABLE.path)
    with pytest.raises((LakeUnavailable, TableRewound)):
        writer.append(TABLE, rows(0, range(20, 30)), {0: 30})
    with pytest.raises(TableRewound, match=r"was at \{0: \(20, 10\)\}"):
        writer.append(TABLE, rows(0, range(20, 30)), {0: 30})
    assert lake(tmp_path).resume_from(TABLE, [0]) == {0: 0}


def test_a_deleted_table_is_not_written_on(tmp_path: Path) -> None:
    writer = lake(tmp_path)
    writer.append(TABLE, rows(0, range(10)), {0: 10})
    shutil.rmtree(tmp_path / TABLE.path)
    with pytest.raises((LakeUnavailable, TableRewound)):
        writer.append(TABLE, rows(0, range(10, 20)), {0: 20})
    with pytest.raises(TableRewound, match="is not at"):
        writer.append(TABLE, rows(0, range(10, 20)), {0: 20})


class Meanwhile(dict[int, int]):
    """What was reached, of which every look lets another writer commit first: a rival that always wins."""

    def __init__(self, rival: DeltaLake, reached: dict[int, int], commits: int) -> None:
        super().__init__(reached)
        self._rival, self._left, self.next = rival, commits, 0

    def items(self) -> ItemsView[int, int]:
        if self._left:
            self._left -= 1
            self._rival.append(TABLE, rows(0, range(self.next, self.next + 1)), {0: self.next + 1})
            self.next += 1
        return super().items()


def test_a_commit_that_meets_others_looks_again_and_writes_only_the_rest(tmp_path: Path) -> None:
    writer = lake(tmp_path)
    reached = Meanwhile(lake(tmp_path), {0: 10}, commits=3)
    assert writer.append(TABLE, rows(0, range(10)), reached) == 7
    assert kept(tmp_path) == once(0, range(10))


def test_commits_that_always_meet_others_are_named_and_lose_nothing(tmp_path: Path) -> None:
    writer = lake(tmp_path)
    reached = Meanwhile(lake(tmp_path), {0: 100}, commits=1_000)
    with pytest.raises(LakeUnavailable, match=r"lake table sources/t\.v1: 20 commits in a row met"):
        writer.append(TABLE, rows(0, range(100)), reached)
    assert writer.append(TABLE, rows(0, range(100)), {0: 100}) == 100 - reached.next
    assert kept(tmp_path) == once(0, range(100))


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "sources").write_text("a file where a folder should be")
    with pytest.raises(LakeUnavailable, match=r"lake table sources/t\.v1"):
        lake(tmp_path)

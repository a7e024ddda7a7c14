"""A prediction is found in the lake without reading the others: what need not be read is made unreadable."""

import uuid
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archiver.adapters import compaction
from archiver.adapters.delta import DeltaLake
from archiver.adapters.upkeep import Upkeep
from archiver.domain.tables import ENVELOPE, LakeTable
from deltalake import DeltaTable, write_deltalake
from inference.domain.ids import uuid7
from inference.explain.errors import NotReadable
from inference.explain.lake import PREDICTIONS, LakePredictions

TIME = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [
        *ENVELOPE,
        pa.field("prediction_id", pa.string()),
        *(pa.field(name, pa.string()) for name in ("request_key", "model", "version", "variant")),
        pa.field("score", pa.float64()),
        pa.field("request_time", TIME),
        pa.field("entities", pa.map_(pa.string(), pa.string())),
        pa.field("features__values", pa.binary()),
        pa.field("features__statuses", pa.binary()),
    ]
)
TABLE = LakeTable(PREDICTIONS, "tidemark.predictions.made.v1", SCHEMA)
MADE_US = 1_357_000_000_000_000
EVERY_ROW = 200


def random_id(number: int) -> str:
    """An id of a caller's own: says nothing of its time."""
    return uuid.uuid5(uuid.NAMESPACE_OID, str(number)).hex


def timed_id(number: int) -> str:
    """An id as server and client make them, an hour after the one before."""
    return uuid7(MADE_US + number * 3_600_000_000, bytes(10))


def rows(ids: list[str], start: int) -> pa.Table:
    """Predictions of partition 0, from an offset on."""
    when = datetime.fromtimestamp(MADE_US / 1e6, UTC)
    same = {
        "_partition": 0,
        "_event_time": when,
        "_recorded_time": when,
        "request_time": when,
        "request_key": "it's",
        "model": "m",
        "version": "v",
        "variant": "champion",
        "entities": [("user", "ann")],
        "features__values": bytes(8),
        "features__statuses": b"\1\1",
    }
    told = [
        {**same, "_offset": at, "_id": one, "_key": b"k", "prediction_id": one, "score": float(at)}
        for at, one in enumerate(ids, start)
    ]
    return pa.Table.from_pylist(told, SCHEMA)


def lake_of(folder: Path, ids: list[str], *, commits: int, upkeep: Upkeep | None = None) -> LakePredictions:
    """A lake as the archiver writes it, in so many commits."""
    writer = DeltaLake(str(folder), upkeep)
    writer.prepare(TABLE)
    each = len(ids) // commits
    for start in range(0, len(ids), each):
        writer.append(TABLE, rows(ids[start : start + each], start), {0: start + each})
    return LakePredictions(str(folder))


def files_of(folder: Path) -> list[Path]:
    """The table's live files."""
    table = DeltaTable(str(folder / PREDICTIONS))
    return [Path(uri.removeprefix("file://")) for uri in table.file_uris()]


def ids_in(file: Path) -> list[str]:
    """Those of one file."""
    found: list[str] = pq.ParquetFile(file).read(["prediction_id"]).column(0).to_pylist()
    return found


def spoil_pages(file: Path, but: str | None = None) -> int:
    """Overwrite what row groups hold, but not what is said of them; spare the one that holds an id."""
    parquet = pq.ParquetFile(file)
    spoilt = 0
    with file.open("r+b") as opened:
        for group in range(parquet.num_row_groups):
            if but in parquet.read_row_group(group, ["prediction_id"]).column(0).to_pylist():
                continue
            described = parquet.metadata.row_group(group)
            for column in map(described.column, range(described.num_columns)):
                opened.seek(column.dictionary_page_offset or column.data_page_offset)
                opened.write(b"\xff" * column.total_compressed_size)
            spoilt += 1
    return spoilt


def test_files_of_other_ids_are_not_read(tmp_path: Path) -> None:
    ids = [random_id(number) for number in range(8 * EVERY_ROW)]
    older = lake_of(tmp_path, ids, commits=8)
    assert sum(spoil_pages(file, but=ids[777]) for file in files_of(tmp_path)) == 7
    found = older.find(ids[777])
    assert found is not None
    assert (found.score, found.request_key, found.entities) == (777.0, "it's", {"user": "ann"})
    with pytest.raises(NotReadable, match="cannot be read"):
        older.find(ids[0])


def test_row_groups_of_a_joined_file_are_passed_over_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "MOST_GROUP_ROWS", 2 * EVERY_ROW)
    ids = [random_id(number) for number in range(8 * EVERY_ROW)]
    older = lake_of(tmp_path, ids, commits=8, upkeep=Upkeep(compact_after_files=8))
    joined = max(files_of(tmp_path), key=lambda file: len(ids_in(file)))
    assert joined.name.startswith("joined-")
    wanted = ids_in(joined)[EVERY_ROW]
    groups = pq.ParquetFile(joined).num_row_groups
    assert groups == len(ids_in(joined)) // (2 * EVERY_ROW)
    assert spoil_pages(joined, but=wanted) == groups - 1
    found = older.find(wanted)
    assert found is not None
    assert found.prediction_id == wanted


def test_files_of_other_times_are_not_even_opened(tmp_path: Path) -> None:
    ids = [timed_id(number) for number in range(6 * EVERY_ROW)]
    older = lake_of(tmp_path, ids[: 4 * EVERY_ROW], commits=4)
    [alike] = compaction.small_files(DeltaTable(str(tmp_path / PREDICTIONS)), 1 << 30)
    compaction.join_files(DeltaTable(str(tmp_path / PREDICTIONS)), alike, now_ms=0)
    [joined] = files_of(tmp_path)
    lake_of(tmp_path, ids, commits=6)  # the first four are there
    wanted = ids[-1]
    for file in files_of(tmp_path):
        if wanted not in ids_in(file):
            file.unlink()
    assert not joined.exists()
    found = older.find(wanted)
    assert found is not None
    assert found.score == 6 * EVERY_ROW - 1


def test_files_from_before_are_read_all_the_same(tmp_path: Path) -> None:
    ids = [random_id(number) for number in range(EVERY_ROW)]
    write_deltalake(str(tmp_path / PREDICTIONS), rows(ids, 0))
    older = LakePredictions(str(tmp_path))
    found = older.find(ids[5])
    assert found is not None
    assert found.score == 5.0
    assert older.find("it's'; none") is None


def test_of_one_id_the_first_recorded_counts(tmp_path: Path) -> None:
    older = lake_of(tmp_path, ["twice", "once", "twice"], commits=3)
    found = older.find("twice")
    assert found is not None
    assert found.score == 0.0

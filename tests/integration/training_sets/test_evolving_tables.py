"""A source's table read through a definition that is newer, or older, than the table."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from archiver.adapters.delta import DeltaLake
from archiver.adapters.sources import SourceKeeper
from archiver.domain.tables import SchemaError
from bus.events import Event
from bus.received import Received
from feature_store import Json, Source
from training_sets.errors import ChangedColumn
from training_sets.lake import DeltaEvents

AT_US = 1_356_998_400_000_000
OLD = Source("visits.v1", format=Json({"who": "text", "at": "time"}), event_time="at")
NEW = replace(OLD, format=Json({"who": "text", "at": "time", "spent": "number", "by": "text", "ok": "flag"}))
CHANGED = replace(OLD, format=Json({"who": "number", "at": "time"}))


def archive(folder: Path, source: Source, offset: int, **fields: Any) -> None:
    lake, keeper = DeltaLake(str(folder)), SourceKeeper(source)
    lake.prepare(keeper.table)
    document = json.dumps({"who": "ann", "at": "2013-01-01T00:00:00Z", **fields}).encode()
    event = Event(f"e{offset}", "T", "s", "", AT_US, AT_US, b"k", document)
    lake.append(keeper.table, keeper.keep([Received(source.topic, 0, offset, event)]).rows, {0: offset + 1})


def read(folder: Path, source: Source) -> dict[int, dict[str, Any]]:
    batch = DeltaEvents(str(folder)).read(source, AT_US).batch
    rows = batch.to_arrow().to_pylist()
    return {row["_offset"]: {name: row[name] for name in source.fields if name != "at"} for row in rows}


def test_a_field_that_the_table_does_not_have_yet_is_null(tmp_path: Path) -> None:
    archive(tmp_path, OLD, 0)
    assert read(tmp_path, NEW) == {0: {"who": "ann", "spent": None, "by": None, "ok": None}}


def test_a_field_added_by_the_archiver_is_null_in_the_rows_of_before(tmp_path: Path) -> None:
    archive(tmp_path, OLD, 0)
    archive(tmp_path, NEW, 1, spent=2.5, by="car", ok=True)
    assert read(tmp_path, NEW) == {
        0: {"who": "ann", "spent": None, "by": None, "ok": None},
        1: {"who": "ann", "spent": 2.5, "by": "car", "ok": True},
    }


def test_a_field_that_is_declared_no_more_stays_in_the_table_and_is_not_read(tmp_path: Path) -> None:
    archive(tmp_path, NEW, 0, spent=2.5)
    archive(tmp_path, OLD, 1, spent=3.5)
    assert read(tmp_path, OLD) == {0: {"who": "ann"}, 1: {"who": "ann"}}
    assert {offset: row["spent"] for offset, row in read(tmp_path, NEW).items()} == {0: 2.5, 1: None}


def test_a_field_of_another_type_is_refused_by_both_sides(tmp_path: Path) -> None:
    archive(tmp_path, OLD, 0)
    with pytest.raises(ChangedColumn, match="column who holds string, the project's source says double"):
        read(tmp_path, CHANGED)
    with pytest.raises(SchemaError, match="'who' holds string"):
        archive(tmp_path, CHANGED, 1)
    assert read(tmp_path, OLD) == {0: {"who": "ann"}}

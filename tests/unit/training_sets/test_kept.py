"""A training set is kept under a name that its contents make, can be had again, and compared."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from feature_store import Project
from training_sets import (
    Dataset,
    DatasetShelf,
    EventLake,
    Manifest,
    Period,
    build,
    build_again,
    compare,
)
from training_sets.errors import NotReproduced, UnknownDataset, UnreadableTable
from training_sets.memory import MemoryEvents

HOUR_US = 3_600_000_000
START_US = 1_356_998_400_000_000
MODEL = "shop-purchase"
PERIOD = Period(None, START_US + 20 * HOUR_US)

MakeLake = Callable[..., MemoryEvents]


def made(project: Project, lake: EventLake, period: Period = PERIOD) -> tuple[Dataset, Manifest]:
    spec = project.models[MODEL]
    dataset = build(project, spec, period, lake)
    return dataset, Manifest.of(dataset, project, spec, period, created_us=7)


def test_what_is_kept_is_found_by_its_name_or_its_beginning(
    project: Project, make_lake: MakeLake, tmp_path: Path
) -> None:
    dataset, manifest = made(project, make_lake())
    shelf = DatasetShelf(str(tmp_path))
    assert shelf.keep(dataset, manifest) == manifest
    assert shelf.names() == [manifest.name] == [f"{MODEL}-{dataset.snapshot()[:12]}"]
    assert DatasetShelf(tmp_path.as_uri()).open(manifest.name[:-3]) == manifest
    rows = shelf.rows(manifest)
    assert rows.column("label").to_numpy().tolist() == dataset.labelled.labels.tolist()
    for at, name in enumerate(manifest.features):
        assert np.array_equal(rows.column(name).to_numpy(), dataset.vectors.values[:, at])
    assert b"".join(rows.column("statuses").to_pylist()) == dataset.vectors.statuses.tobytes()


def test_the_same_inputs_are_the_same_set_and_its_first_description_stands(
    project: Project, make_lake: MakeLake, tmp_path: Path
) -> None:
    shelf = DatasetShelf(str(tmp_path))
    first = shelf.keep(*made(project, make_lake()))
    dataset, again = made(project, make_lake())
    assert shelf.keep(dataset, replace(again, created_us=8)) == first
    assert len(shelf.names()) == 1


def test_what_the_lake_learned_later_is_left_out_when_it_is_built_again(
    project: Project, make_lake: MakeLake
) -> None:
    # Twice the visits in the lake, all of them within the period: only the offsets tell them apart.
    period = Period(None, START_US + 10_000 * HOUR_US)
    dataset, manifest = made(project, make_lake(50), period)
    later, grown = made(project, make_lake(100), period)
    assert len(later) > len(dataset)
    assert grown.name != manifest.name
    again = build_again(project, manifest, make_lake(100))
    assert again.snapshot() == dataset.snapshot() == manifest.snapshot


def test_a_lake_that_lost_events_is_told_from_definitions_that_changed(
    project: Project, make_lake: MakeLake
) -> None:
    period = Period(None, START_US + 10_000 * HOUR_US)
    _, manifest = made(project, make_lake(100), period)
    with pytest.raises(NotReproduced, match="the lake no longer holds what it held"):
        build_again(project, manifest, make_lake(50))
    with pytest.raises(NotReproduced, match="was built by other definitions"):
        build_again(project, replace(manifest, definition="0" * 64), make_lake(100))


def test_two_sets_are_compared_row_by_row(project: Project, make_lake: MakeLake, tmp_path: Path) -> None:
    shelf = DatasetShelf(str(tmp_path))
    shorter = shelf.keep(*made(project, make_lake()))
    longer = shelf.keep(*made(project, make_lake(), Period(None, START_US + 30 * HOUR_US)))
    rows = shelf.rows(shorter), shelf.rows(longer)
    found = compare(shorter, longer, rows)
    assert (found.rows_kept, found.rows_removed) == (shorter.rows, 0)
    assert found.rows_added == longer.rows - shorter.rows > 0
    assert found.definitions == ("label, examples or period",)
    assert not found.features_changed
    assert compare(shorter, shorter, (rows[0], rows[0])).is_none

    name = shorter.features[0]
    changed = rows[0].column(name).to_numpy().copy()
    changed[3] += 2
    other = rows[0].set_column(rows[0].column_names.index(name), name, [changed])
    (change,) = compare(shorter, shorter, (rows[0], other)).features_changed
    assert (change.feature, change.rows, change.largest) == (name, 1, 2.0)


def test_what_is_not_there_or_damaged_is_named(project: Project, make_lake: MakeLake, tmp_path: Path) -> None:
    shelf = DatasetShelf(str(tmp_path))
    with pytest.raises(UnknownDataset, match="no training set is called 'x'"):
        shelf.open("x")
    assert shelf.names() == []
    kept = shelf.keep(*made(project, make_lake()))
    shelf.keep(*made(project, make_lake(), Period(None, START_US + 30 * HOUR_US)))
    with pytest.raises(UnknownDataset, match="several begin so"):
        shelf.open(MODEL)
    with pytest.raises(UnknownDataset):
        shelf.open("../" + kept.name)
    folder = tmp_path / "datasets" / kept.name
    (folder / "rows.parquet").write_bytes(b"")
    with pytest.raises(UnreadableTable, match=r"rows\.parquet cannot be read"):
        shelf.rows(kept)
    told = json.loads((folder / "dataset.json").read_text())
    for damage in ({**told, "format_version": 9}, {**told, "sources": []}):
        (folder / "dataset.json").write_text(json.dumps(damage))
        with pytest.raises(UnreadableTable):
            shelf.open(kept.name)


def test_a_set_whose_writing_was_interrupted_is_not_there(
    project: Project, make_lake: MakeLake, tmp_path: Path
) -> None:
    shelf = DatasetShelf(str(tmp_path))
    dataset, manifest = made(project, make_lake())
    shelf.keep(dataset, manifest)
    (tmp_path / "datasets" / manifest.name / "dataset.json").unlink()
    assert shelf.names() == []
    assert shelf.keep(dataset, manifest) == manifest


def test_rows_of_the_erased_leave_a_set_which_can_then_not_be_verified(
    project: Project, make_lake: MakeLake, tmp_path: Path
) -> None:
    shelf = DatasetShelf(str(tmp_path))
    manifest = shelf.keep(*made(project, make_lake()))
    before = shelf.rows(manifest)
    [column] = [name for name in before.column_names if name.startswith("entity.")]
    key = before[column][0].as_py()
    of_subject = before[column].to_pylist().count(key)
    assert shelf.count(manifest, {column: key}) == of_subject > 0

    until_us = int(before["request_time"].cast("int64")[0].as_py())
    first = shelf.erase(manifest, {column: key}, until_us, "e-1")
    rest = shelf.erase(shelf.open(manifest.name), {column: key}, PERIOD.until_us, "e-2")
    assert (first, first + rest) == (1, of_subject)
    assert key not in shelf.rows(manifest)[column].to_pylist()
    assert shelf.rows(manifest).num_rows == before.num_rows - of_subject
    marked = shelf.open(manifest.name)
    assert marked.erased == ("e-1", "e-2")
    assert replace(marked, erased=()) == manifest
    assert shelf.erase(marked, {column: key}, PERIOD.until_us, "e-3") == 0
    with pytest.raises(NotReproduced, match="erased subjects were taken out of it"):
        build_again(project, shelf.open(manifest.name), make_lake())

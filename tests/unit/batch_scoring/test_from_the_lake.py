"""Features as of each row's time: the bits of a training set's, however the rows are cut and ordered."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from batch_scoring import (
    BadValue,
    BatchError,
    Choices,
    ContractMismatch,
    Lake,
    MemoryOutput,
    Plan,
    UnknownColumn,
    WrongType,
    open_input,
    run,
)
from batch_scoring.columns import bind, requests_of
from batch_scoring.lake import PinnedEvents, pin
from deltalake import write_deltalake
from feature_store import AsOf, EventBatch, Project, Requests, Status, Vectors, point_in_time
from model_package import Package, Scorer

from tests.unit.batch_scoring.conftest import MODEL, START_US, TOPIC, requests, sales

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 700


def plan_of(
    folder: Path, rows: pa.Table, package: Package, lake: Lake, output: MemoryOutput, choices: Choices
) -> Plan:
    pq.write_table(rows, folder / "rows.parquet", row_group_size=150)
    return Plan.of_lake(open_input(str(folder / "rows.parquet")), package, output, choices, lake)


def expected(project: Project, events: EventBatch, rows: pa.Table) -> Vectors:
    """All events and all requests at once."""
    contract = project.contract(MODEL)
    columns = bind(contract, rows.schema, {}, kept=None, timed=True)
    asked = requests_of(rows, columns, nulls="missing", at_us=None, where=str)
    return point_in_time(contract, {TOPIC: events}, asked, AsOf())


def scored(*arguments: Any) -> pa.Table:
    output = MemoryOutput()
    run(plan_of(*arguments[:-1], output, arguments[-1]), output)
    return pa.concat_tables(output.tables)


@pytest.mark.parametrize("batch_rows", [64, COUNT])
@pytest.mark.parametrize("ordered", [True, False])
def test_vectors_statuses_and_scores_are_those_of_everything_at_once(
    tmp_path: Path,
    project: Project,
    events: EventBatch,
    lake: str,
    package: Package,
    batch_rows: int,
    ordered: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    rows = requests(COUNT)
    rows = rows.sort_by("request_time") if ordered else rows
    wanted = expected(project, events, rows)
    found = scored(tmp_path, rows, package, Lake(lake, project), Choices(vectors=True, batch_rows=batch_rows))
    assert np.array_equal(np.array(found["features"].to_pylist(), np.float32), wanted.values)
    assert b"".join(found["feature_statuses"].to_pylist()) == wanted.statuses.tobytes()
    assert np.array_equal(found["score"].to_numpy(), Scorer(package).score(wanted.values))
    assert found["customer"].to_pylist() == rows["customer"].to_pylist()
    assert found["request_time"].to_pylist() == rows["request_time"].to_pylist()
    # A test of nothing but one status would prove little.
    assert {*wanted.statuses.ravel().tolist()} >= {Status.PRESENT, Status.MISSING, Status.STALE}


def test_requests_are_divided_by_time_until_few_events_are_held(
    tmp_path: Path, project: Project, events: EventBatch
) -> None:
    lake = str(tmp_path / "lake")
    for day in range(3):
        within = (events.event_time_us - START_US) // 36_000_000_000 == day
        write_deltalake(f"{lake}/sources/{TOPIC}", events.take(within).to_arrow(), mode="append")
    contract, rows = project.contract(MODEL), requests(COUNT)
    columns = bind(contract, rows.schema, {}, kept=None, timed=True)
    asked = requests_of(rows, columns, nulls="refuse", at_us=None, where=str)
    whole = expected(project, events, rows)
    pinned = PinnedEvents(lake, contract, pin(lake, contract), most_events=600)
    parts = list(pinned.stretches(asked))
    assert len(parts) > 2
    assert sorted(np.concatenate(parts).tolist()) == list(range(COUNT))
    for part in parts:
        some = asked.take(part)
        again = point_in_time(contract, pinned.about(some), some, AsOf())
        assert np.array_equal(again.values, whole.values[part])


def test_a_resumed_job_sees_what_it_saw_whatever_was_archived_meanwhile(
    tmp_path: Path, project: Project, lake: str, package: Package
) -> None:
    rows, choices = requests(COUNT), Choices(batch_rows=100)
    undisturbed = scored(tmp_path, rows, package, Lake(lake, project), choices)
    output = MemoryOutput()
    plan = plan_of(tmp_path, rows, package, Lake(lake, project), output, choices)
    output.begin(plan.job, plan.schema)
    later = sales(project, 3_000, seed=9)
    later = replace(later, offset=later.offset + 10_000, ids=np.array([f"x{i}" for i in later.ids], object))
    write_deltalake(f"{lake}/sources/{TOPIC}", later.to_arrow(), mode="append")
    resumed = plan_of(tmp_path, rows, package, Lake(lake, project), output, choices)
    assert resumed.job == plan.job
    run(resumed, output)
    assert pa.concat_tables(output.tables) == undisturbed
    anew = scored(tmp_path, rows, package, Lake(lake, project), choices)
    assert anew["score"].to_pylist() != undisturbed["score"].to_pylist()


def test_columns_of_other_names_and_one_time_for_all(
    tmp_path: Path, project: Project, lake: str, package: Package
) -> None:
    rows = requests(40)
    at_us = START_US + 20 * 3_600_000_000
    rows = rows.set_column(
        rows.schema.get_field_index("request_time"),
        "request_time",
        pa.array([at_us] * 40, pa.timestamp("us", tz="UTC")),
    )
    wanted = scored(tmp_path, rows, package, Lake(lake, project), Choices())
    other = rows.drop_columns(["request_time"]).rename_columns(
        ["WHO", "entity.shop", "input.opened_at", "request_key", "note"]
    )
    other = other.set_column(0, "WHO", other["WHO"].dictionary_encode())
    choices = Choices({"entity.customer": "WHO"}, keep=("note", "WHO"), at_us=at_us)
    found = scored(tmp_path, other, package, Lake(lake, project), choices)
    for name in ("score", "request_time", "request_key", "feature_statuses"):
        assert found[name].to_pylist() == wanted[name].to_pylist()
    assert found["WHO"].to_pylist() == rows["customer"].to_pylist()
    assert found["note"].to_pylist() == rows["note"].to_pylist()
    assert "entity.shop" not in found.column_names


def test_unknown_keys_are_missing_where_nulls_may_be(
    tmp_path: Path, project: Project, lake: str, package: Package
) -> None:
    rows = requests(3)
    nobody = rows.set_column(0, "customer", pa.array([None, "", "c1"], pa.string()))
    found = scored(tmp_path, nobody, package, Lake(lake, project), Choices(nulls="missing"))
    assert [told[0] for told in found["feature_statuses"].to_pylist()][:2] == [Status.MISSING] * 2
    with pytest.raises(BadValue, match=r"column 'customer', row 0 of rows.parquet: is null; --nulls missing"):
        scored(tmp_path, nobody, package, Lake(lake, project), Choices())


LATER = pa.array([0, 0, 7_258_118_400_000_000], pa.timestamp("us", tz="UTC"))


@pytest.mark.parametrize(
    ("name", "values", "error", "says"),
    [
        ("customer", None, UnknownColumn, r"entity.customer: the input has no column 'entity.customer' or"),
        ("opened_at", None, UnknownColumn, r"input.opened_at: .*Write --column input.opened_at=COLUMN"),
        ("request_time", None, UnknownColumn, r"request_time: the input has no column 'request_time'"),
        ("customer", [1, 2, 3], WrongType, r"column 'customer' is int64, and a text is read"),
        ("request_time", ["a", "b", "c"], WrongType, r"column 'request_time' is string, and a time is read"),
        ("request_time", LATER, BadValue, r"'request_time', row 2 of rows.parquet: must be from 1970 to"),
        ("opened_at", LATER, BadValue, r"column 'opened_at', row 2 of rows.parquet: must be from 1970"),
        ("customer", ["", "é" * 200, "x"], BadValue, r"'customer', row 1 of .*: is longer than 256 bytes"),
    ],
)
def test_what_no_request_may_hold_is_named_with_its_place(
    tmp_path: Path,
    project: Project,
    lake: str,
    package: Package,
    name: str,
    values: Any,
    error: type[BatchError],
    says: str,
) -> None:
    rows = requests(3).drop_columns([name])
    if values is not None:
        rows = rows.append_column(name, pa.array(values))
    with pytest.raises(error, match=says):
        scored(tmp_path, rows, package, Lake(lake, project), Choices())


def test_a_version_of_another_contract_is_refused(
    tmp_path: Path, project: Project, lake: str, make_package: Any
) -> None:
    with pytest.raises(ContractMismatch, match="name a version of this one"):
        scored(tmp_path, requests(3), make_package(), Lake(lake, project), Choices())


def test_times_of_any_unit_are_read(tmp_path: Path, project: Project, lake: str, package: Package) -> None:
    rows = requests(20)
    for name in ("request_time", "opened_at"):
        seconds = rows[name].cast(pa.timestamp("s", tz="UTC"), safe=False)
        rows = rows.set_column(rows.schema.get_field_index(name), name, seconds)
    wanted = scored(tmp_path, rows, package, Lake(lake, project), Choices())
    for kind in (pa.timestamp("ns", tz="UTC"), pa.timestamp("ms"), pa.timestamp("us", tz="America/New_York")):
        other = rows
        for name in ("request_time", "opened_at"):
            other = other.set_column(other.schema.get_field_index(name), name, other[name].cast(kind))
        found = scored(tmp_path, other, package, Lake(lake, project), Choices())
        assert found["score"].to_pylist() == wanted["score"].to_pylist()


def test_requests_without_views_rows_are_asked_for_their_past_only(project: Project, lake: str) -> None:
    contract = project.contract(MODEL)
    pinned = PinnedEvents(lake, contract, pin(lake, contract))
    late_us = START_US + 59 * 3_600_000_000
    asked = Requests(
        np.array([late_us, late_us]),
        {"customer": np.array(["c1", None], object), "shop": np.array(["p1", ""], object)},
        {"opened_at": np.array([late_us, late_us])},
    )
    vectors = point_in_time(contract, pinned.about(asked), asked, AsOf())
    lost = pinned.lost(asked, vectors.positions)
    assert {view: rows.tolist() for view, rows in lost.items()} == {
        "customer_sales": [True, False],
        "shop_sales": [True, False],
    }

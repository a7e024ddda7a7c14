"""Columns of odd types: kept by value, or refused by name before anything is written."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from batch_scoring import BadValue, Choices, DeltaOutput, Plan, WrongType, open_input, run
from deltalake import DeltaTable

from tests.unit.batch_scoring.conftest import FEATURES, MakePackage

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 2
MOMENT = datetime(2013, 1, 1, 5, 0, 0, 123_456, UTC)
MOMENT_NS = 1_357_016_400_123_456_789


def scored(folder: Path, make_package: MakePackage, columns: dict[str, Any], *keep: str) -> pa.Table:
    rows = {f"f{at}": np.ones(ROWS, np.float32) for at in range(FEATURES)} | columns
    pq.write_table(pa.table(rows), folder / "rows.parquet")
    output = DeltaOutput(str(folder / "scores"))
    plan = Plan.of_given(
        open_input(str(folder / "rows.parquet")), make_package(), output, Choices(keep=keep, vectors=True)
    )
    assert run(plan, output) == ROWS
    return DeltaTable(folder / "scores").to_pyarrow_table()


@pytest.mark.parametrize(
    ("kept", "found"),
    [
        (pa.array([200] * ROWS, pa.uint8()), 200),
        (pa.array([2**64 - 1] * ROWS, pa.uint64()), Decimal(2**64 - 1)),
        (pa.array(np.full(ROWS, 0.5, np.float16)), 0.5),
        (pa.array([Decimal("1.25")] * ROWS), Decimal("1.25")),
        (pa.array(["a"] * ROWS).dictionary_encode(), "a"),
        (pa.array(["a"] * ROWS, pa.string_view()), "a"),
        (pa.array([MOMENT_NS] * ROWS, pa.timestamp("ns", tz="America/New_York")), MOMENT),
        (pa.array([{"at": MOMENT_NS}] * ROWS, pa.struct([("at", pa.timestamp("ns"))])), {"at": MOMENT}),
        (pa.array([["a"]] * ROWS, pa.list_(pa.dictionary(pa.int8(), pa.string()))), ["a"]),
        (pa.nulls(ROWS), None),
    ],
    ids=lambda one: str(one.type) if isinstance(one, pa.Array) else "",
)
def test_a_kept_column_has_its_values_whatever_its_type(
    tmp_path: Path, make_package: MakePackage, kept: pa.Array, found: Any
) -> None:
    assert scored(tmp_path, make_package, {"kept": kept}, "kept")["kept"].to_pylist() == [found] * ROWS


@pytest.mark.parametrize("kind", [pa.time64("us"), pa.duration("us"), pa.decimal256(50, 2)], ids=str)
def test_what_delta_cannot_hold_is_refused_before_a_table_is_made(
    tmp_path: Path, make_package: MakePackage, kind: pa.DataType
) -> None:
    nested = pa.nulls(ROWS, pa.struct([("inner", kind)]))
    for kept in (pa.nulls(ROWS, kind), nested):
        with pytest.raises(WrongType, match=r"column 'kept' is .*, and a Delta table holds no"):
            scored(tmp_path, make_package, {"kept": kept}, "kept")
    assert not (tmp_path / "scores").exists()


def test_a_request_time_is_cut_to_microseconds_as_it_is_when_served(
    tmp_path: Path, make_package: MakePackage
) -> None:
    times = pa.array([MOMENT_NS] * ROWS, pa.timestamp("ns"))
    assert (
        scored(tmp_path, make_package, {"request_time": times})["request_time"].to_pylist() == [MOMENT] * ROWS
    )


def test_a_decimal_is_a_number(tmp_path: Path, make_package: MakePackage) -> None:
    found = scored(tmp_path, make_package, {"f0": pa.array([Decimal("0.10"), Decimal(7)])})
    assert [row[0] for row in found["features"].to_pylist()] == [float(np.float32(0.1)), 7.0]


def test_a_column_of_nothing_but_nulls_is_refused_by_its_first(
    tmp_path: Path, make_package: MakePackage
) -> None:
    with pytest.raises(BadValue, match=r"column 'f0', row 0 of rows\.parquet: is null"):
        scored(tmp_path, make_package, {"f0": pa.nulls(ROWS)})

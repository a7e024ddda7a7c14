"""Vectors that the input holds are scored as serving scores them; what is wrong is named."""

from __future__ import annotations

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
    MemoryOutput,
    NoScore,
    Plan,
    UnknownColumn,
    WrongType,
    open_input,
    run,
)
from feature_store import Project, Status
from model_package import Golden, Package, Scorer, write_package
from model_package.store import read_folder
from model_package.testing import facts
from onnx import TensorProto, helper, numpy_helper

from tests.unit.batch_scoring.conftest import FEATURES, MODEL, MakePackage, vectors

if TYPE_CHECKING:
    from pathlib import Path

CHOICES = Choices(batch_rows=100)


def scored(
    folder: Path, rows: pa.Table, package: Package, choices: Choices = CHOICES, **more: Any
) -> pa.Table:
    pq.write_table(rows, folder / "rows.parquet", row_group_size=64)
    output = MemoryOutput()
    plan = Plan.of_given(open_input(str(folder / "rows.parquet")), package, output, choices, **more)
    assert run(plan, output) == len(rows)
    return pa.concat_tables(output.tables)


def test_scores_are_the_scorers_own_and_every_row_says_what_made_it(
    tmp_path: Path, make_package: MakePackage
) -> None:
    rows, package = vectors(1_050), make_package()
    found = scored(tmp_path, rows, package, Choices(vectors=True, batch_rows=100))
    values = np.stack([rows[f"f{at}"].to_numpy() for at in range(FEATURES)], axis=1)
    assert np.array_equal(found["score"].to_numpy(), Scorer(package).score(values))
    assert np.array_equal(np.array(found["features"].to_pylist(), np.float32), values)
    assert found["request_key"].to_pylist() == rows["request_key"].to_pylist()
    assert set(found["feature_statuses"].to_pylist()) == {bytes([Status.PRESENT] * FEATURES)}
    for name, told in (("model", MODEL), ("version", package.version), ("digest", package.digest)):
        assert set(found[name].to_pylist()) == {told}
    ids = found["prediction_id"].to_pylist()
    assert len(set(ids)) == len(ids)
    assert ids == sorted(ids)


def test_wider_types_and_other_names_are_read_and_columns_kept(
    tmp_path: Path, make_package: MakePackage
) -> None:
    package, rows = make_package(), vectors(10)
    plain = scored(tmp_path, rows, package)
    other = rows.rename_columns(["a", "feature.f1", "f2", "who"])
    other = other.set_column(0, "a", other["a"].cast(pa.float64()))
    choices = Choices({"feature.f0": "a", "request_key": "who"}, keep=("a",))
    found = scored(tmp_path, other, package, choices)
    assert found["score"].to_pylist() == plain["score"].to_pylist()
    assert found["request_key"].to_pylist() == plain["request_key"].to_pylist()
    assert found["a"].to_pylist() == other["a"].to_pylist()


def test_a_null_takes_the_declared_default_if_it_may(
    tmp_path: Path, project: Project, package: Package
) -> None:
    contract = project.contract(MODEL)
    names = contract.feature_names
    rows = pa.table({name: pa.array([1.0, None, 3.0]) for name in names})
    found = scored(
        tmp_path, rows, package, Choices(nulls="missing", vectors=True), contract=project.contract(MODEL)
    )
    assert found["features"].to_pylist()[1] == contract.defaults.tolist()
    assert found["feature_statuses"].to_pylist() == [
        bytes([Status.PRESENT] * len(names)),
        bytes([Status.MISSING] * len(names)),
        bytes([Status.PRESENT] * len(names)),
    ]


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"f1": None}, UnknownColumn, r"no column 'feature.f1' or 'f1'.*Write --column feature.f1=COLUMN"),
        ({"f1": ["a", "b", "c"]}, WrongType, r"column 'f1' is string, and a number is read"),
        ({"f1": [1.0, None, 2.0]}, BadValue, r"column 'f1', row 1 of rows.parquet: is null; --nulls missing"),
        ({"f1": [1.0, 2.0, float("nan")]}, BadValue, r"column 'f1', row 2 of rows.parquet: nan"),
        ({"f1": [float("-inf"), 2.0, 1.0]}, BadValue, r"column 'f1', row 0 of rows.parquet: -inf"),
        ({"f1": [1.0, 1e300, 1.0]}, BadValue, r"column 'f1', row 1 of rows.parquet: inf"),
        ({"score": [1.0, 2.0, 3.0]}, UnknownColumn, r"--keep score: the output has a column of this name"),
    ],
)
def test_what_no_vector_may_hold_is_named_with_its_place(
    tmp_path: Path, make_package: MakePackage, change: dict[str, Any], error: type[BatchError], says: str
) -> None:
    rows = vectors(3)
    for name, values in change.items():
        if name in rows.column_names:
            rows = rows.drop_columns([name])
        if values is not None:
            rows = rows.append_column(name, pa.array(values))
    keep = ("score",) if "score" in change else None
    with pytest.raises(error, match=says):
        scored(tmp_path, rows, make_package(), Choices(keep=keep))


def test_numbers_whose_sum_overflows_are_numbers_all_the_same(
    tmp_path: Path, make_package: MakePackage
) -> None:
    rows = vectors(3).set_column(0, "f0", pa.array([3e38, 3e38, -3e38], pa.float32()))
    assert len(scored(tmp_path, rows, make_package())) == 3


def logarithm() -> bytes:
    """A graph whose score is the logarithm of the sum of three features."""
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["features", "ones"], ["sum"]),
            helper.make_node("Log", ["sum"], ["score"]),
        ],
        "logarithm",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, FEATURES])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, [None, 1])],
        [numpy_helper.from_array(np.ones((FEATURES, 1), np.float32), "ones")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString(deterministic=True))


def test_a_score_that_is_no_number_names_its_row(tmp_path: Path) -> None:
    known = facts(MODEL, ["f0", "f1", "f2"], contract_hash="0" * 64)
    write_package(
        tmp_path / "logarithm",
        facts=known,
        model=logarithm(),
        golden=Golden(np.ones((1, 3), np.float32), np.log([3.0])),
        reference_profile={},
    )
    rows = pa.table({"f0": [1.0, 2.0, -1.0], "f1": [0.0, 0.0, 0.0], "f2": [0.0, 0.0, 0.0]})
    with pytest.raises(NoScore, match=r"row 2 of rows.parquet no finite score"):
        scored(tmp_path, rows, read_folder(tmp_path / "logarithm"))


def test_defaults_need_the_project_and_the_version_its_contract(
    tmp_path: Path, make_package: MakePackage, project: Project
) -> None:
    with pytest.raises(ContractMismatch, match="--project"):
        scored(tmp_path, vectors(3), make_package(), Choices(nulls="missing"))
    with pytest.raises(ContractMismatch, match="reads features by contract 000000000000"):
        scored(tmp_path, vectors(3), make_package(), CHOICES, contract=project.contract(MODEL))


def test_what_is_given_for_nothing_the_model_reads_is_refused(
    tmp_path: Path, make_package: MakePackage
) -> None:
    with pytest.raises(
        UnknownColumn, match=r"--column feature.f9=...: till-return reads no such thing. Did you"
    ):
        scored(tmp_path, vectors(3), make_package(), Choices({"feature.f9": "f0"}))
    with pytest.raises(UnknownColumn, match=r"--keep ff: the input has no such column. Known: f0, f1"):
        scored(tmp_path, vectors(3), make_package(), Choices(keep=("ff",)))

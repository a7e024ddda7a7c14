"""A package's second graph is whole, proven on its own golden rows, or refused by name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from model_package import (
    Golden,
    GoldenMismatch,
    MalformedPackage,
    Package,
    Served,
    ServedGolden,
    UnusableModel,
    prove_served,
    write_package,
)
from model_package.served import parse_served
from model_package.store import read_folder
from model_package.testing import facts, logistic_model, logistic_scores
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

WEIGHTS = [0.5, -2.0]
READINGS = np.array([[3, 4], [0, -1], [7, 7]], np.int64)


def graph_of(*, drift: float = 0.0) -> bytes:
    """A served graph: its two features are the readings as they are, plus an error."""
    model = onnx.load_from_string(logistic_model(WEIGHTS, 0.0))
    nodes = [
        helper.make_node("Cast", ["totals"], ["exact"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["exact", "drift"], ["values"]),
        helper.make_node("Cast", ["present"], ["ones"], to=TensorProto.UINT8),
        helper.make_node("Identity", ["ones"], ["statuses"]),
        helper.make_node("Identity", ["values"], ["features"]),
        *model.graph.node,
    ]
    graph = helper.make_graph(
        nodes,
        "served",
        [
            helper.make_tensor_value_info("totals", TensorProto.INT64, ["n", 2]),
            helper.make_tensor_value_info("present", TensorProto.BOOL, ["n", 2]),
        ],
        [
            helper.make_tensor_value_info("values", TensorProto.FLOAT, ["n", 2]),
            helper.make_tensor_value_info("statuses", TensorProto.UINT8, ["n", 2]),
            *model.graph.output,
        ],
        [*model.graph.initializer, numpy_helper.from_array(np.array([drift], np.float32), "drift")],
    )
    opset = helper.make_opsetid("", 17)
    return bytes(helper.make_model(graph, opset_imports=[opset], ir_version=9).SerializeToString())


def golden_of(**changed: Any) -> ServedGolden:
    values = READINGS.astype(np.float32)
    fields: Mapping[str, Any] = {
        "inputs": {"totals": READINGS, "present": np.ones(READINGS.shape, np.bool_)},
        "values": values,
        "statuses": np.ones(values.shape, np.uint8),
        "scores": logistic_scores(values, WEIGHTS, 0.0),
        **changed,
    }
    return ServedGolden(**fields)


def packaged(folder: Path, served: Served | None) -> Package:
    vectors = READINGS.astype(np.float32)
    write_package(
        folder,
        facts=facts("shop", ["a", "b"], contract_hash="c" * 64),
        model=logistic_model(WEIGHTS, 0.0),
        golden=Golden(vectors, logistic_scores(vectors, WEIGHTS, 0.0)),
        reference_profile={},
        served=served,
    )
    return read_folder(folder)


def test_a_package_without_a_served_graph_is_whole(tmp_path: Path) -> None:
    package = packaged(tmp_path, None)
    assert package.served is None
    assert prove_served(package) is None


def test_a_served_graph_is_verified_kept_and_proven(tmp_path: Path) -> None:
    package = packaged(tmp_path, Served(graph_of(), golden_of()))
    assert {"served.onnx", "served_golden.json"} < package.manifest.files.keys()
    scores = prove_served(package)
    assert scores is not None
    np.testing.assert_allclose(scores, logistic_scores(READINGS.astype(np.float32), WEIGHTS, 0.0), atol=1e-6)


def test_a_graph_that_assembles_other_vectors_is_refused(tmp_path: Path) -> None:
    package = packaged(tmp_path, Served(graph_of(drift=1e-6), golden_of()))
    with pytest.raises(UnusableModel, match="assembles other vectors"):
        prove_served(package)


def test_vectors_that_libraries_round_differently_may_differ_a_little(tmp_path: Path) -> None:
    lenient = golden_of(is_exact=False)
    assert prove_served(packaged(tmp_path / "a", Served(graph_of(drift=1e-6), lenient))) is not None
    with pytest.raises(UnusableModel, match="assembles other vectors"):
        prove_served(packaged(tmp_path / "b", Served(graph_of(drift=1e-3), lenient)))


def test_a_graph_that_scores_otherwise_is_refused_with_its_row(tmp_path: Path) -> None:
    scores = logistic_scores(READINGS.astype(np.float32), WEIGHTS, 0.0)
    scores[1] += 0.1
    package = packaged(tmp_path, Served(graph_of(), golden_of(scores=scores)))
    with pytest.raises(GoldenMismatch) as caught:
        prove_served(package)
    assert caught.value.row == 1


def test_a_graph_that_is_none_or_lacks_an_output_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableModel, match=r"served\.onnx.*cannot be loaded"):
        prove_served(packaged(tmp_path / "a", Served(b"no graph", golden_of())))
    with pytest.raises(UnusableModel, match="must have values, statuses and a score"):
        prove_served(packaged(tmp_path / "b", Served(logistic_model(WEIGHTS, 0.0), golden_of())))


def test_golden_inputs_survive_json_with_their_types_and_nulls() -> None:
    inputs = {
        "a": np.array([1.5, np.nan, -0.1]),
        "b": np.array(["é", "\uffff", ""], np.object_),
        "c": np.array([-1, 0, 1], np.int8),
        "d": np.array([[-(2**63)], [2**63 - 1], [0]], np.int64),
        "e": np.array([[True], [False], [True]]),
    }
    served = Served(b"graph", golden_of(inputs=inputs, is_exact=False))
    found = parse_served(served.files(), uri="p", width=2)
    assert found is not None
    assert not found.golden.is_exact
    for name, column in inputs.items():
        np.testing.assert_array_equal(found.golden.inputs[name], column, strict=True)


@pytest.mark.parametrize("missing", ["served.onnx", "served_golden.json"])
def test_one_of_the_two_files_alone_is_refused(missing: str) -> None:
    files = Served(b"graph", golden_of()).files()
    del files[missing]
    with pytest.raises(MalformedPackage, match="go together"):
        parse_served(files, uri="p", width=2)


@pytest.mark.parametrize(
    "change",
    [
        {"values": [[1.0]]},
        {"scores": []},
        {"tolerance": 2.0},
        {"inputs": {"totals": {"dtype": "complex", "values": [1, 2, 3]}}},
        {"inputs": {"totals": {"dtype": "int64", "values": [1, 2]}}},
        {"inputs": {"totals": {"dtype": "int8", "values": [1000, 1, 2]}}},
    ],
    ids=str,
)
def test_golden_rows_that_make_no_sense_are_refused(change: dict[str, Any]) -> None:
    files = Served(b"graph", golden_of()).files()
    files["served_golden.json"] = json.dumps({**json.loads(files["served_golden.json"]), **change}).encode()
    with pytest.raises(MalformedPackage, match=r"served_golden\.json"):
        parse_served(files, uri="p", width=2)
    with pytest.raises(MalformedPackage, match="2 values for 3 features"):
        parse_served(Served(b"graph", golden_of()).files(), uri="p", width=3)

"""A scorer gives the recorded scores, or says why it cannot."""

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from model_package import (
    Golden,
    GoldenMismatch,
    MemoryPackageStore,
    NonFiniteScore,
    Package,
    Scorer,
    UnusableModel,
    VectorMismatch,
    write_package,
)
from model_package.testing import facts, graph_of, logistic_model, logistic_scores
from onnx import TensorProto, helper

NAMES = ("a", "b", "c")
WEIGHTS = (0.5, -1.0, 2.0)
VECTORS = np.array([[1, 2, 3], [0, 0, 0], [-4, 0.5, 1]], dtype=np.float32)


def _package(folder: Path, *, model: bytes, golden: Golden) -> Package:
    write_package(
        folder,
        facts=facts("m", NAMES, contract_hash=hashlib.sha256(b"c").hexdigest()),
        model=model,
        golden=golden,
        reference_profile={},
    )
    return MemoryPackageStore().put(folder)


def _true_golden() -> Golden:
    return Golden(VECTORS, logistic_scores(VECTORS, WEIGHTS, 0.25))


def test_scores_are_the_positive_class_probability_in_row_order(tmp_path: Path) -> None:
    scorer = Scorer(_package(tmp_path, model=logistic_model(WEIGHTS, 0.25), golden=_true_golden()))
    scorer.warm()

    scores = scorer.score(VECTORS)

    assert scores.dtype == np.float64
    assert scores.shape == (3,)
    np.testing.assert_allclose(scores, logistic_scores(VECTORS, WEIGHTS, 0.25), atol=1e-6)


def test_a_classifiers_second_probability_is_the_score(tmp_path: Path) -> None:
    scorer = Scorer(_package(tmp_path, model=_two_columns(2), golden=_true_golden()))
    np.testing.assert_allclose(scorer.score(VECTORS), VECTORS[:, 1])


def test_golden_rows_that_score_differently_are_refused(tmp_path: Path) -> None:
    expected = logistic_scores(VECTORS, WEIGHTS, 0.25)
    expected[2] += 0.01
    scorer = Scorer(_package(tmp_path, model=logistic_model(WEIGHTS, 0.25), golden=Golden(VECTORS, expected)))

    with pytest.raises(GoldenMismatch, match="golden row 2") as caught:
        scorer.warm()
    assert caught.value.expected - caught.value.found == pytest.approx(0.01, abs=1e-5)


@pytest.mark.parametrize(
    "vectors",
    [
        np.zeros((1, 4), dtype=np.float32),
        np.zeros((1, 2), dtype=np.float32),
        np.zeros(3, dtype=np.float32),
        np.zeros((1, 3), dtype=np.float64),
    ],
)
def test_vectors_of_another_shape_or_type_are_refused(tmp_path: Path, vectors: np.ndarray) -> None:
    scorer = Scorer(_package(tmp_path, model=logistic_model(WEIGHTS, 0.25), golden=_true_golden()))
    with pytest.raises(VectorMismatch, match=r"float32 \[n, 3\]"):
        scorer.score(vectors)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_score_that_is_not_finite_names_its_row(tmp_path: Path, bad: float) -> None:
    scorer = Scorer(_package(tmp_path, model=_two_columns(2), golden=_true_golden()))
    vectors = VECTORS.copy()
    vectors[1, 1] = bad
    with pytest.raises(NonFiniteScore, match="row 1") as caught:
        scorer.score(vectors)
    assert caught.value.row == 1


def test_bytes_that_are_no_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableModel, match="cannot be loaded"):
        Scorer(_package(tmp_path, model=b"not an onnx graph", golden=_true_golden()))


def test_weights_in_another_file_are_refused_though_it_lies_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = tmp_path / "exported"
    beside.mkdir()
    whole = onnx.load_from_string(logistic_model(WEIGHTS, 0.25))
    onnx.save_model(whole, beside / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    assert (beside / "m.data").exists()
    monkeypatch.chdir(beside)
    model = (beside / "m.onnx").read_bytes()
    with pytest.raises(UnusableModel, match=r"another file.*save it whole"):
        Scorer(_package(tmp_path / "package", model=model, golden=_true_golden()))


def test_a_model_of_another_width_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableModel, match="names 3 features, its model reads 4"):
        Scorer(_package(tmp_path, model=logistic_model((1, 2, 3, 4), 0), golden=_true_golden()))


def test_a_model_of_a_fixed_number_of_rows_is_refused(tmp_path: Path) -> None:
    first = helper.make_node("ReduceMax", ["features"], ["score"], axes=[1])
    graph = graph_of(
        [first], [("features", TensorProto.FLOAT, [1, 3])], [("score", TensorProto.FLOAT, [1, 1])]
    )
    with pytest.raises(UnusableModel, match="a first dimension that is free"):
        Scorer(_package(tmp_path, model=graph, golden=_true_golden()))


def test_a_model_of_three_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableModel, match=r"probabilities \[n, 2\]"):
        Scorer(_package(tmp_path, model=_two_columns(3), golden=_true_golden()))


def _two_columns(width: int) -> bytes:
    """A graph whose probabilities are the vector's first columns."""
    indices = helper.make_tensor("indices", TensorProto.INT64, [width], list(range(width)))
    graph = helper.make_graph(
        [helper.make_node("Gather", ["features", "indices"], ["probabilities"], axis=1)],
        "columns",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, width])],
        [indices],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()

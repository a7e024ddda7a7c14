"""Models of every task, with several inputs and outputs, answer as their signature says."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_package import (
    FailedRun,
    GraphInput,
    NonFiniteScore,
    Scorer,
    TensorSpec,
    VectorMismatch,
    Vocabulary,
)
from model_package.feeding import Numbers, Texts
from model_package.testing import graph_of
from onnx import TensorProto, helper
from signature_kit import VECTORS, dealt, dealt_facts, every_type, packaged, passes, signed_facts


@pytest.mark.parametrize(
    ("task", "declared", "expected"),
    [
        ("multiclass", {"classes": ("x", "y", "z")}, [0.5, 0.75, 3.0]),
        ("embedding", {}, np.linalg.norm(VECTORS.astype(np.float64), axis=1).tolist()),
        ("regression", {"column": 1}, [0.25, 0.75, -4.0]),
        ("ranking", {"column": 2}, [0.25, 0.125, 0.0]),
        ("binary", {"column": 0}, [0.5, 0.125, 3.0]),
    ],
)
def test_the_score_of_each_task(tmp_path: Path, task: str, declared: Any, expected: list[float]) -> None:
    scorer = Scorer(packaged(tmp_path, passes("out"), signed_facts(task, "out", **declared)))
    scorer.warm()

    answered = scorer.run(VECTORS)

    assert answered.scores == pytest.approx(expected, abs=1e-12)
    assert scorer.score_list(VECTORS) == answered.scores
    np.testing.assert_array_equal(answered.named["out"], VECTORS)
    assert scorer.signature.task == task
    assert scorer.signature.outputs == (TensorSpec("out", "FP32", (3,)),)
    assert scorer.signature.inputs == (TensorSpec("features", "FP32", (3,)),)
    assert scorer.has_more


def test_one_number_a_row_is_the_score_and_nothing_more(tmp_path: Path) -> None:
    scorer = Scorer(packaged(tmp_path, passes("out", 1, 2), signed_facts("regression", "out")))
    assert not scorer.has_more
    alone = [scorer.score_list(row[np.newaxis])[0] for row in VECTORS]
    assert scorer.score_list(VECTORS) == alone == VECTORS[:, 1].tolist() == scorer.run(VECTORS).scores


def test_a_length_is_added_from_the_first_square_to_the_last(tmp_path: Path) -> None:
    vectors = np.array([[1e8, 1.0, 1.0], [1.0, 1.0, 1e8]], dtype=np.float32)
    scorer = Scorer(packaged(tmp_path, passes("out"), signed_facts("embedding", "out"), vectors))
    one_by_one = [
        float(np.sqrt((row[0] * row[0] + row[1] * row[1]) + row[2] * row[2]))
        for row in vectors.astype(np.float64)
    ]
    assert scorer.run(vectors).scores == one_by_one


def test_outputs_of_every_type_and_shape_are_answered_and_kept_as_golden_rows(tmp_path: Path) -> None:
    scorer = Scorer(packaged(tmp_path, every_type(), signed_facts("regression", "value")))
    scorer.warm()

    named = scorer.run(VECTORS).named

    assert [(spec.datatype, spec.shape) for spec in scorer.signature.outputs] == [
        ("FP32", ()), ("FP64", (3,)), ("FP32", (3, 1)), ("INT64", ()), ("INT32", (3,)), ("BOOL", (3,)),
        ("BYTES", ()),
    ]  # fmt: skip
    assert list(named) == [spec.name for spec in scorer.signature.outputs]
    assert named["text"].tolist() == ["0", "0", "3"]
    assert named["flags"].tolist() == (VECTORS > 0).tolist()
    assert named["counts"].tolist() == [[0, 0, 0], [0, 0, 0], [3, -4, 0]]
    kept = scorer.package.golden.outputs
    assert {name: (kept[name].dtype, kept[name].tolist()) for name in kept} == {
        name: (answer.dtype, answer.tolist()) for name, answer in named.items()
    }


def test_only_the_outputs_that_are_named_are_answered(tmp_path: Path) -> None:
    facts = signed_facts("regression", "value", outputs=("text", "value"))
    assert list(Scorer(packaged(tmp_path, every_type(), facts)).run(VECTORS).named) == ["text", "value"]


@given(st.lists(st.floats(width=32), min_size=1))
def test_a_number_stands_for_the_member_in_its_place_and_any_other_for_unknown(numbers: list[float]) -> None:
    members = ("UA", "", "DL")
    texts = Texts(Vocabulary(members=members, unknown="?"))(np.array(numbers, np.float32))
    assert texts.tolist() == [members[int(x)] if x in (0.0, 1.0, 2.0) else "?" for x in numbers]


@given(st.lists(st.floats(-(2.0**30), 2.0**30, width=32), min_size=1))
def test_a_whole_number_is_cut_towards_zero(numbers: list[float]) -> None:
    found = Numbers("a", "INT32")(np.array(numbers, np.float32))
    assert found.dtype == np.int32
    assert found.tolist() == [int(x) for x in numbers]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("rows", [1, 3])
def test_an_output_that_is_not_finite_names_its_row_and_its_name(
    tmp_path: Path, bad: float, rows: int
) -> None:
    scorer = Scorer(packaged(tmp_path, passes("out"), signed_facts("regression", "out", column=0)))
    vectors = VECTORS[:rows].copy()
    vectors[rows - 1, 2] = bad
    with pytest.raises(NonFiniteScore, match=rf"row {rows - 1} with out = {bad}") as caught:
        scorer.run(vectors)
    assert (caught.value.row, caught.value.output) == (rows - 1, "out")


def test_a_length_beyond_float64_is_not_finite(tmp_path: Path) -> None:
    squares = [helper.make_node("Mul", [x, x], [y]) for x, y in ("wa", "ab", "bc", "cd")]
    model = graph_of(
        [helper.make_node("Cast", ["features"], ["w"], to=TensorProto.DOUBLE), *squares],
        [("features", TensorProto.FLOAT, [None, 3])],
        [("d", TensorProto.DOUBLE, [None, 3])],
    )
    scorer = Scorer(packaged(tmp_path, model, signed_facts("embedding", "d")))
    with pytest.raises(NonFiniteScore, match="scored row 0 as inf"):
        scorer.run(np.full((1, 3), 1e15, dtype=np.float32))


def test_features_are_dealt_to_inputs_of_every_type(tmp_path: Path) -> None:
    vectors = np.array([[0.1, 2.75, 0], [0.2, -2.75, 2], [0.3, 0, -1], [0.4, 7, 3], [0.5, 1, np.nan],
                        [0.6, 1, 1.5]], dtype=np.float32)  # fmt: skip
    scorer = Scorer(packaged(tmp_path, dealt(), dealt_facts(), vectors))
    scorer.warm()

    named = scorer.run(vectors).named

    assert named["floats_out"].tolist() == vectors[:, [1, 0]].tolist()
    assert named["wide_out"][:, 0].tolist() == vectors[:, 0].astype(np.float64).tolist()
    assert named["long_out"][:, 0].tolist() == [2, -2, 0, 7, 1, 1]
    assert named["short_out"].tolist() == [2, -2, 0, 7, 1, 1]
    assert named["flag_out"][:, 0].tolist() == [True, True, False, True, True, True]
    assert named["carrier_out"][:, 0].tolist() == ["UA", "DL", "?", "?", "?", "?"]
    assert scorer.signature.inputs[0] == TensorSpec("floats", "FP32", (2,))
    assert scorer.signature.inputs[3] == TensorSpec("short", "INT32", ())
    assert scorer.signature.inputs[5] == TensorSpec("carrier", "BYTES", (1,))


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 2.0**31])
def test_a_number_that_its_input_cannot_hold_names_feature_and_row(tmp_path: Path, number: float) -> None:
    scorer = Scorer(packaged(tmp_path, dealt(), dealt_facts()))
    vectors = VECTORS.copy()
    vectors[1, 1] = number
    with pytest.raises(VectorMismatch, match="feature 'b' of row 1 is"):
        scorer.run(vectors)


@pytest.mark.parametrize(
    "vectors", [np.zeros((1, 4), np.float32), np.zeros(3, np.float32), np.zeros((1, 3), np.float64)]
)
def test_vectors_of_another_shape_or_type_are_refused(tmp_path: Path, vectors: np.ndarray) -> None:
    scorer = Scorer(packaged(tmp_path, dealt(), dealt_facts()))
    with pytest.raises(VectorMismatch, match=r"float32 \[n, 3\]"):
        scorer.run(vectors)


def test_no_rows_have_no_answers(tmp_path: Path) -> None:
    scorer = Scorer(packaged(tmp_path, dealt(), dealt_facts()))
    answered = scorer.run(VECTORS[:0])
    assert answered.scores == []
    assert answered.named["carrier_out"].shape == (0, 1)


def test_a_graph_that_raises_is_a_failed_run(tmp_path: Path) -> None:
    # A text that is no number cannot be cast to one.
    model = graph_of(
        [helper.make_node("Cast", ["carrier"], ["score"], to=TensorProto.FLOAT)],
        [("carrier", TensorProto.STRING, [None, 1])],
        [("score", TensorProto.FLOAT, [None, 1])],
    )
    facts = signed_facts(
        "regression", "score", inputs=(GraphInput(name="carrier", features=("c",)),),
        vocabularies={"c": Vocabulary(members=("1", "2", "3"), unknown="none")},
    )  # fmt: skip
    vectors = np.array([[0, 0, 0], [0, 0, 1], [0, 0, 2]], dtype=np.float32)
    scorer = Scorer(packaged(tmp_path, model, facts, vectors))
    assert scorer.run(vectors).scores == [1.0, 2.0, 3.0]
    with pytest.raises(FailedRun, match="failed on 1 rows"):
        scorer.run(np.array([[0, 0, 9]], dtype=np.float32))

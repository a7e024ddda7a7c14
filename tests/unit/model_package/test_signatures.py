"""Models of every task, with several inputs and outputs, answer as their signature says or are refused."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_package import (
    DeclaredSignature,
    Facts,
    FailedRun,
    Golden,
    GoldenMismatch,
    GraphInput,
    MalformedPackage,
    MemoryPackageStore,
    NonFiniteScore,
    Package,
    Scorer,
    ScoreSource,
    TensorSpec,
    UnusableModel,
    VectorMismatch,
    Vocabulary,
    record_golden,
    write_package,
)
from model_package.feeding import Numbers, Texts
from model_package.testing import facts as plausible_facts
from model_package.testing import graph_of
from onnx import TensorProto, helper
from pydantic import ValidationError

NAMES = ("a", "b", "c")
VECTORS = np.array([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125], [3.0, -4.0, 0.0]], dtype=np.float32)
CARRIERS = {"c": Vocabulary(members=("UA", "AA", "DL"), unknown="?")}


def _facts(task: str, output: str, **declared: Any) -> Facts:
    column = declared.pop("column", None)
    score = ScoreSource(output=output, column=column)
    known = plausible_facts("m", NAMES, contract_hash=hashlib.sha256(b"c").hexdigest())
    fields = {**known.model_dump(), "signature": DeclaredSignature(task=task, score=score, **declared)}
    return Facts.model_validate(fields)


def _package(folder: Path, model: bytes, facts: Facts, vectors: np.ndarray = VECTORS) -> Package:
    golden = record_golden(model, facts, vectors)
    write_package(folder, facts=facts, model=model, golden=golden, reference_profile={})
    return MemoryPackageStore().put(folder)


def _columns(name: str, first: int, end: int) -> list[onnx.NodeProto]:
    indices = helper.make_tensor("", TensorProto.INT64, [end - first], list(range(first, end)))
    return [
        helper.make_node("Constant", [], [f"{name}_indices"], value=indices),
        helper.make_node("Gather", ["features", f"{name}_indices"], [name], axis=1),
    ]


def _passes(name: str, first: int = 0, end: int = 3) -> bytes:
    """A graph whose one output is some columns of the vector."""
    return graph_of(
        _columns(name, first, end),
        [("features", TensorProto.FLOAT, [None, 3])],
        [(name, TensorProto.FLOAT, [None, end - first])],
    )


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
    scorer = Scorer(_package(tmp_path, _passes("out"), _facts(task, "out", **declared)))
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
    scorer = Scorer(_package(tmp_path, _passes("out", 1, 2), _facts("regression", "out")))
    assert not scorer.has_more
    alone = [scorer.score_list(row[np.newaxis])[0] for row in VECTORS]
    assert scorer.score_list(VECTORS) == alone == VECTORS[:, 1].tolist() == scorer.run(VECTORS).scores


def test_a_length_is_added_from_the_first_square_to_the_last(tmp_path: Path) -> None:
    vectors = np.array([[1e8, 1.0, 1.0], [1.0, 1.0, 1e8]], dtype=np.float32)
    scorer = Scorer(_package(tmp_path, _passes("out"), _facts("embedding", "out"), vectors))
    one_by_one = [
        float(np.sqrt((row[0] * row[0] + row[1] * row[1]) + row[2] * row[2]))
        for row in vectors.astype(np.float64)
    ]
    assert scorer.run(vectors).scores == one_by_one


def _every_type() -> bytes:
    """Of the vector: floats of both widths, integers, flags and texts, with none, one and two dimensions."""
    square = helper.make_tensor("", TensorProto.INT64, [3], [-1, 3, 1])
    first = helper.make_tensor("", TensorProto.INT64, [], [0])
    none = helper.make_tensor("", TensorProto.FLOAT, [], [0.0])
    return graph_of(
        [
            helper.make_node("Constant", [], ["first"], value=first),
            helper.make_node("Constant", [], ["none"], value=none),
            helper.make_node("Constant", [], ["square_shape"], value=square),
            helper.make_node("Gather", ["features", "first"], ["value"], axis=1),
            helper.make_node("Cast", ["features"], ["wide"], to=TensorProto.DOUBLE),
            helper.make_node("Reshape", ["features", "square_shape"], ["square"]),
            helper.make_node("Cast", ["value"], ["count"], to=TensorProto.INT64),
            helper.make_node("Cast", ["features"], ["counts"], to=TensorProto.INT32),
            helper.make_node("Greater", ["features", "none"], ["flags"]),
            helper.make_node("Cast", ["count"], ["text"], to=TensorProto.STRING),
        ],
        [("features", TensorProto.FLOAT, [None, 3])],
        [
            ("value", TensorProto.FLOAT, [None]),
            ("wide", TensorProto.DOUBLE, [None, 3]),
            ("square", TensorProto.FLOAT, [None, 3, 1]),
            ("count", TensorProto.INT64, [None]),
            ("counts", TensorProto.INT32, [None, 3]),
            ("flags", TensorProto.BOOL, [None, 3]),
            ("text", TensorProto.STRING, [None]),
        ],
    )


def test_outputs_of_every_type_and_shape_are_answered_and_kept_as_golden_rows(tmp_path: Path) -> None:
    scorer = Scorer(_package(tmp_path, _every_type(), _facts("regression", "value")))
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
    facts = _facts("regression", "value", outputs=("text", "value"))
    assert list(Scorer(_package(tmp_path, _every_type(), facts)).run(VECTORS).named) == ["text", "value"]


@pytest.mark.parametrize(
    ("output", "place", "value"),
    [
        ("text", 1, "7"),
        ("count", 2, 4),
        ("flags", (0, 0), False),
        ("wide", (2, 1), -4.001),
        ("square", (0, 0, 0), 9),
    ],
)
def test_a_golden_output_that_differs_is_refused(
    tmp_path: Path, output: str, place: Any, value: object
) -> None:
    facts = _facts("regression", "value")
    true = record_golden(_every_type(), facts, VECTORS)
    answers = {name: answer.copy() for name, answer in true.outputs.items()}
    answers[output][place] = value
    golden = Golden(true.vectors, true.scores, true.tolerance, answers)

    with pytest.raises(GoldenMismatch, match=f"answers {output} =") as caught:
        write_package(tmp_path / "p", facts=facts, model=_every_type(), golden=golden, reference_profile={})

    assert caught.value.row == (place if isinstance(place, int) else place[0])
    assert caught.value.output == output
    assert not (tmp_path / "p").exists()


def test_beyond_one_the_tolerance_is_a_share(tmp_path: Path) -> None:
    facts, vectors = _facts("regression", "out"), np.full((1, 3), 1e6, dtype=np.float32)
    model = _passes("out", 0, 1)
    near, far = (
        Golden(vectors, np.array([1e6 + off]), 1e-5, {"out": np.array([[1e6 + off]], np.float32)})
        for off in (9.0, 11.0)
    )
    write_package(tmp_path, facts=facts, model=model, golden=near, reference_profile={})
    with pytest.raises(GoldenMismatch):
        write_package(tmp_path, facts=facts, model=model, golden=far, reference_profile={})


def test_golden_rows_hold_every_output(tmp_path: Path) -> None:
    facts = _facts("regression", "value")
    whole = record_golden(_every_type(), facts, VECTORS)
    answers = {name: answer for name, answer in whole.outputs.items() if name != "text"}
    golden = Golden(whole.vectors, whole.scores, whole.tolerance, answers)
    with pytest.raises(MalformedPackage, match=r"lack outputs \['text'\]: record_golden"):
        write_package(tmp_path, facts=facts, model=_every_type(), golden=golden, reference_profile={})


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
    scorer = Scorer(_package(tmp_path, _passes("out"), _facts("regression", "out", column=0)))
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
    scorer = Scorer(_package(tmp_path, model, _facts("embedding", "d")))
    with pytest.raises(NonFiniteScore, match="scored row 0 as inf"):
        scorer.run(np.full((1, 3), 1e15, dtype=np.float32))


def _dealt() -> bytes:
    """Inputs of every type, each answered as it came in."""
    inputs = [
        ("floats", TensorProto.FLOAT, [None, 2]),
        ("wide", TensorProto.DOUBLE, [None, 1]),
        ("long", TensorProto.INT64, [None, 1]),
        ("short", TensorProto.INT32, [None]),
        ("flag", TensorProto.BOOL, [None, 1]),
        ("carrier", TensorProto.STRING, [None, 1]),
    ]
    nodes = [helper.make_node("Identity", [name], [f"{name}_out"]) for name, _, _ in inputs]
    return graph_of(nodes, inputs, [(f"{name}_out", kind, shape) for name, kind, shape in inputs])


def _dealt_facts(score: str = "wide_out", **changes: Any) -> Facts:
    dealt = {
        "floats": ("b", "a"),
        "wide": ("a",),
        "long": ("b",),
        "short": ("b",),
        "flag": ("b",),
        "carrier": ("c",),
    }
    inputs = tuple(GraphInput(name=name, features=features) for name, features in dealt.items())
    declared = {"inputs": inputs, "vocabularies": CARRIERS, **changes}
    return _facts("regression", score, **declared)


def test_features_are_dealt_to_inputs_of_every_type(tmp_path: Path) -> None:
    vectors = np.array([[0.1, 2.75, 0], [0.2, -2.75, 2], [0.3, 0, -1], [0.4, 7, 3], [0.5, 1, np.nan],
                        [0.6, 1, 1.5]], dtype=np.float32)  # fmt: skip
    scorer = Scorer(_package(tmp_path, _dealt(), _dealt_facts(), vectors))
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
    scorer = Scorer(_package(tmp_path, _dealt(), _dealt_facts()))
    vectors = VECTORS.copy()
    vectors[1, 1] = number
    with pytest.raises(VectorMismatch, match="feature 'b' of row 1 is"):
        scorer.run(vectors)


@pytest.mark.parametrize(
    "vectors", [np.zeros((1, 4), np.float32), np.zeros(3, np.float32), np.zeros((1, 3), np.float64)]
)
def test_vectors_of_another_shape_or_type_are_refused(tmp_path: Path, vectors: np.ndarray) -> None:
    scorer = Scorer(_package(tmp_path, _dealt(), _dealt_facts()))
    with pytest.raises(VectorMismatch, match=r"float32 \[n, 3\]"):
        scorer.run(vectors)


def test_no_rows_have_no_answers(tmp_path: Path) -> None:
    scorer = Scorer(_package(tmp_path, _dealt(), _dealt_facts()))
    answered = scorer.run(VECTORS[:0])
    assert answered.scores == []
    assert answered.named["carrier_out"].shape == (0, 1)


def test_what_an_output_says_of_its_rows_is_not_believed_but_seen(tmp_path: Path) -> None:
    node = helper.make_node("Identity", ["features"], ["out"])
    many = graph_of(
        [node], [("features", TensorProto.FLOAT, [None, 3])], [("out", TensorProto.FLOAT, [1, 3])]
    )
    scorer = Scorer(_package(tmp_path, many, _facts("multiclass", "out")))
    assert len(scorer.run(VECTORS).scores) == len(VECTORS)
    sums = helper.make_node("ReduceMax", ["features"], ["out"], axes=[0])
    one = graph_of([sums], [("features", TensorProto.FLOAT, [None, 3])], [("out", TensorProto.FLOAT, [1, 3])])
    _refused(tmp_path, one, _facts("multiclass", "out"), "a row a vector")


def test_a_graph_that_raises_is_a_failed_run(tmp_path: Path) -> None:
    # A text that is no number cannot be cast to one.
    model = graph_of(
        [helper.make_node("Cast", ["carrier"], ["score"], to=TensorProto.FLOAT)],
        [("carrier", TensorProto.STRING, [None, 1])],
        [("score", TensorProto.FLOAT, [None, 1])],
    )
    facts = _facts(
        "regression", "score", inputs=(GraphInput(name="carrier", features=("c",)),),
        vocabularies={"c": Vocabulary(members=("1", "2", "3"), unknown="none")},
    )  # fmt: skip
    vectors = np.array([[0, 0, 0], [0, 0, 1], [0, 0, 2]], dtype=np.float32)
    scorer = Scorer(_package(tmp_path, model, facts, vectors))
    assert scorer.run(vectors).scores == [1.0, 2.0, 3.0]
    with pytest.raises(FailedRun, match="failed on 1 rows"):
        scorer.run(np.array([[0, 0, 9]], dtype=np.float32))


def _zipmapped() -> bytes:
    number = helper.make_tensor_type_proto(TensorProto.FLOAT, [None])
    maps = helper.make_sequence_type_proto(helper.make_map_type_proto(TensorProto.INT64, number))
    classes = {"domain": "ai.onnx.ml", "classlabels_int64s": [0, 1, 2]}
    return graph_of(
        [helper.make_node("ZipMap", ["features"], ["out"], **classes)],
        [("features", TensorProto.FLOAT, [None, 3])],
        [],
        [helper.make_value_info("out", maps)],
    )


def _refused(folder: Path, model: bytes, facts: Facts, says: str) -> None:
    any_outputs = {name: np.zeros(len(VECTORS)) for name in ("out", "d")}
    golden = Golden(VECTORS, np.zeros(len(VECTORS)), outputs=any_outputs)
    with pytest.raises(UnusableModel, match=says):
        write_package(folder / "p", facts=facts, model=model, golden=golden, reference_profile={})
    assert not (folder / "p").exists()


def test_a_zipmap_is_refused_with_what_to_do(tmp_path: Path) -> None:
    _refused(tmp_path, _zipmapped(), _facts("multiclass", "out"), "zipmap=False")
    undeclared = plausible_facts("m", NAMES, contract_hash="c" * 64)
    write_package(
        tmp_path,
        facts=undeclared,
        model=_zipmapped(),
        golden=Golden(VECTORS, np.zeros(3)),
        reference_profile={},
    )
    with pytest.raises(UnusableModel, match="zipmap=False"):
        Scorer(MemoryPackageStore().put(tmp_path))


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        (_facts("regression", "none"), "its signature names 'none'"),
        (_facts("regression", "out", outputs=("out", "more")), "its signature names 'more'"),
        (_facts("regression", "out"), "say in score.column which"),
        (_facts("binary", "out"), "is it task multiclass"),
        (_facts("regression", "out", column=3), "number 3, counted from 0"),
        (_facts("multiclass", "out", classes=("x", "y")), "3 numbers a row for 2 classes"),
        (_facts("regression", "out", inputs=(GraphInput(name="other", features=("a",)),)), "must be in both"),
        (
            _facts("regression", "out", inputs=(GraphInput(name="features", features=("a",)),)),
            "1 features cannot",
        ),
    ],
)
def test_a_signature_that_is_not_the_graphs_is_refused(tmp_path: Path, facts: Facts, says: str) -> None:
    _refused(tmp_path, _passes("out"), facts, says)


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        (_dealt_facts(vocabularies={}), "no vocabulary"),
        (_facts("regression", "flag_out"), "one input"),
        (_dealt_facts("flag_out"), "which is BOOL"),
        (_dealt_facts("carrier_out"), "which is BYTES"),
    ],
)
def test_inputs_and_scores_that_cannot_be_made_are_refused(tmp_path: Path, facts: Facts, says: str) -> None:
    _refused(tmp_path, _dealt(), facts, says)


@pytest.mark.parametrize(
    ("kind", "shape", "says"),
    [
        (TensorProto.FLOAT16, [None, 3], "outputs may be"),
        (TensorProto.FLOAT, [3, 3], "first dimension that is free"),
    ],
)
def test_outputs_of_other_types_and_inputs_of_fixed_rows_are_refused(
    tmp_path: Path, kind: int, shape: Sequence[int | None], says: str
) -> None:
    node = helper.make_node("Cast", ["features"], ["out"], to=kind)
    model = graph_of([node], [("features", TensorProto.FLOAT, shape)], [("out", kind, shape)])
    _refused(tmp_path, model, _facts("multiclass", "out"), says)


@pytest.mark.parametrize(
    "declared",
    [
        {"task": "guessing"},
        {"task": "regression", "classes": ("x",)},
        {"task": "multiclass", "classes": ("x", "x")},
        {"task": "embedding", "column": 1},
        {"task": "regression", "outputs": ("other",)},
        {"task": "regression", "inputs": (GraphInput(name="i", features=("unknown",)),)},
        {"task": "regression", "vocabularies": {"unknown": CARRIERS["c"]}},
        {"task": "regression", "column": -1},
    ],
)
def test_declarations_that_make_no_sense_are_refused(declared: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        _facts(declared.pop("task"), "out", **declared)


def test_a_vocabulary_names_each_text_once() -> None:
    with pytest.raises(ValidationError, match="repeated"):
        Vocabulary(members=("a", "a"))

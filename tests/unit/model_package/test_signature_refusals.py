"""A graph that is not as its signature says, or answers otherwise than was recorded, is refused."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_package import (
    Facts,
    Golden,
    GoldenMismatch,
    GraphInput,
    MalformedPackage,
    MemoryPackageStore,
    Scorer,
    UnusableModel,
    Vocabulary,
    record_golden,
    write_package,
)
from model_package.testing import facts as plausible_facts
from model_package.testing import graph_of
from onnx import TensorProto, helper
from pydantic import ValidationError
from signature_kit import (
    CARRIERS,
    NAMES,
    VECTORS,
    dealt,
    dealt_facts,
    every_type,
    packaged,
    passes,
    signed_facts,
)


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
    facts = signed_facts("regression", "value")
    true = record_golden(every_type(), facts, VECTORS)
    answers = {name: answer.copy() for name, answer in true.outputs.items()}
    answers[output][place] = value
    golden = Golden(true.vectors, true.scores, true.tolerance, answers)

    with pytest.raises(GoldenMismatch, match=f"answers {output} =") as caught:
        write_package(tmp_path / "p", facts=facts, model=every_type(), golden=golden, reference_profile={})

    assert caught.value.row == (place if isinstance(place, int) else place[0])
    assert caught.value.output == output
    assert not (tmp_path / "p").exists()


def test_beyond_one_the_tolerance_is_a_share(tmp_path: Path) -> None:
    facts, vectors = signed_facts("regression", "out"), np.full((1, 3), 1e6, dtype=np.float32)
    model = passes("out", 0, 1)
    near, far = (
        Golden(vectors, np.array([1e6 + off]), 1e-5, {"out": np.array([[1e6 + off]], np.float32)})
        for off in (9.0, 11.0)
    )
    write_package(tmp_path, facts=facts, model=model, golden=near, reference_profile={})
    with pytest.raises(GoldenMismatch):
        write_package(tmp_path, facts=facts, model=model, golden=far, reference_profile={})


def test_golden_rows_hold_every_output(tmp_path: Path) -> None:
    facts = signed_facts("regression", "value")
    whole = record_golden(every_type(), facts, VECTORS)
    answers = {name: answer for name, answer in whole.outputs.items() if name != "text"}
    golden = Golden(whole.vectors, whole.scores, whole.tolerance, answers)
    with pytest.raises(MalformedPackage, match=r"lack outputs \['text'\]: record_golden"):
        write_package(tmp_path, facts=facts, model=every_type(), golden=golden, reference_profile={})


def test_what_an_output_says_of_its_rows_is_not_believed_but_seen(tmp_path: Path) -> None:
    node = helper.make_node("Identity", ["features"], ["out"])
    many = graph_of(
        [node], [("features", TensorProto.FLOAT, [None, 3])], [("out", TensorProto.FLOAT, [1, 3])]
    )
    scorer = Scorer(packaged(tmp_path, many, signed_facts("multiclass", "out")))
    assert len(scorer.run(VECTORS).scores) == len(VECTORS)
    sums = helper.make_node("ReduceMax", ["features"], ["out"], axes=[0])
    one = graph_of([sums], [("features", TensorProto.FLOAT, [None, 3])], [("out", TensorProto.FLOAT, [1, 3])])
    _refused(tmp_path, one, signed_facts("multiclass", "out"), "a row a vector")


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
    _refused(tmp_path, _zipmapped(), signed_facts("multiclass", "out"), "zipmap=False")
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
        (signed_facts("regression", "none"), "its signature names 'none'"),
        (signed_facts("regression", "out", outputs=("out", "more")), "its signature names 'more'"),
        (signed_facts("regression", "out"), "say in score.column which"),
        (signed_facts("binary", "out"), "is it task multiclass"),
        (signed_facts("regression", "out", column=3), "number 3, counted from 0"),
        (signed_facts("multiclass", "out", classes=("x", "y")), "3 numbers a row for 2 classes"),
        (
            signed_facts("regression", "out", inputs=(GraphInput(name="other", features=("a",)),)),
            "must be in both",
        ),
        (
            signed_facts("regression", "out", inputs=(GraphInput(name="features", features=("a",)),)),
            "1 features cannot",
        ),
    ],
)
def test_a_signature_that_is_not_the_graphs_is_refused(tmp_path: Path, facts: Facts, says: str) -> None:
    _refused(tmp_path, passes("out"), facts, says)


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        (dealt_facts(vocabularies={}), "no vocabulary"),
        (signed_facts("regression", "flag_out"), "one input"),
        (dealt_facts("flag_out"), "which is BOOL"),
        (dealt_facts("carrier_out"), "which is BYTES"),
    ],
)
def test_inputs_and_scores_that_cannot_be_made_are_refused(tmp_path: Path, facts: Facts, says: str) -> None:
    _refused(tmp_path, dealt(), facts, says)


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
    _refused(tmp_path, model, signed_facts("multiclass", "out"), says)


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
        signed_facts(declared.pop("task"), "out", **declared)


def test_a_vocabulary_names_each_text_once() -> None:
    with pytest.raises(ValidationError, match="repeated"):
        Vocabulary(members=("a", "a"))

"""Graphs, facts and packages of three features for tests of signatures."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from model_package import (
    DeclaredSignature,
    Facts,
    GraphInput,
    MemoryPackageStore,
    Package,
    ScoreSource,
    Vocabulary,
    record_golden,
    write_package,
)
from model_package.testing import facts as plausible_facts
from model_package.testing import graph_of
from onnx import TensorProto, helper

NAMES = ("a", "b", "c")
VECTORS = np.array([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125], [3.0, -4.0, 0.0]], dtype=np.float32)
CARRIERS = {"c": Vocabulary(members=("UA", "AA", "DL"), unknown="?")}


def signed_facts(task: str, output: str, **declared: Any) -> Facts:
    column = declared.pop("column", None)
    score = ScoreSource(output=output, column=column)
    known = plausible_facts("m", NAMES, contract_hash=hashlib.sha256(b"c").hexdigest())
    fields = {**known.model_dump(), "signature": DeclaredSignature(task=task, score=score, **declared)}
    return Facts.model_validate(fields)


def packaged(folder: Path, model: bytes, facts: Facts, vectors: np.ndarray = VECTORS) -> Package:
    golden = record_golden(model, facts, vectors)
    write_package(folder, facts=facts, model=model, golden=golden, reference_profile={})
    return MemoryPackageStore().put(folder)


def columns(name: str, first: int, end: int) -> list[onnx.NodeProto]:
    indices = helper.make_tensor("", TensorProto.INT64, [end - first], list(range(first, end)))
    return [
        helper.make_node("Constant", [], [f"{name}_indices"], value=indices),
        helper.make_node("Gather", ["features", f"{name}_indices"], [name], axis=1),
    ]


def passes(name: str, first: int = 0, end: int = 3) -> bytes:
    """A graph whose one output is some columns of the vector."""
    return graph_of(
        columns(name, first, end),
        [("features", TensorProto.FLOAT, [None, 3])],
        [(name, TensorProto.FLOAT, [None, end - first])],
    )


def every_type() -> bytes:
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


def dealt() -> bytes:
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


def dealt_facts(score: str = "wide_out", **changes: Any) -> Facts:
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
    return signed_facts("regression", score, **declared)

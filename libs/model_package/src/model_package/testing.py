"""Tiny deterministic packages, for tests and benches of whatever keeps or serves packages.

Needs the `onnx` package, which serving does not: nothing here is imported by the library itself.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from model_package.background import Background
from model_package.golden import Golden
from model_package.manifest import Facts, Manifest, sha256_hex
from model_package.writing import write_package

Tensor = tuple[str, int, Sequence[int | None]]


def logistic_model(weights: Sequence[float], bias: float) -> bytes:
    """An ONNX graph whose `score` is sigmoid(features . weights + bias), in float32."""
    width = len(weights)
    graph = helper.make_graph(
        nodes=[
            helper.make_node("Gemm", ["features", "weights", "bias"], ["logit"]),
            helper.make_node("Sigmoid", ["logit"], ["score"]),
        ],
        name="logistic",
        inputs=[helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, width])],
        outputs=[helper.make_tensor_value_info("score", TensorProto.FLOAT, [None, 1])],
        initializer=[
            numpy_helper.from_array(np.array(weights, dtype=np.float32).reshape(width, 1), "weights"),
            numpy_helper.from_array(np.array([bias], dtype=np.float32), "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)


def graph_of(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    others: Sequence[onnx.ValueInfoProto] = (),
) -> bytes:
    """An ONNX graph of some nodes.

    Args:
        nodes: What it computes.
        inputs: Each a name, a type of `onnx.TensorProto` and a shape, None where a dimension is free.
        outputs: Likewise.
        others: Further outputs, which are no tensors.
    """
    graph = helper.make_graph(
        nodes,
        "made_up",
        [helper.make_tensor_value_info(*tensor) for tensor in inputs],
        [*(helper.make_tensor_value_info(*tensor) for tensor in outputs), *others],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)


def logistic_scores(
    vectors: NDArray[np.float32], weights: Sequence[float], bias: float
) -> NDArray[np.float64]:
    """What `logistic_model` must answer, computed without ONNX."""
    logits = vectors.astype(np.float64) @ np.array(weights, dtype=np.float64) + bias
    return np.asarray(1.0 / (1.0 + np.exp(-logits)), dtype=np.float64)


def facts(
    model: str, feature_names: Sequence[str], *, contract_hash: str, algorithm: str = "logistic"
) -> Facts:
    """Plausible facts of a version whose origin does not matter."""
    return Facts(
        model=model,
        algorithm=algorithm,
        feature_names=tuple(feature_names),
        contract_hash=contract_hash,
        label="happened",
        decision_threshold=0.5,
        parameters={"c": 1.0},
        seed=7,
        dataset_snapshot=sha256_hex(b"dataset"),
        dataset={"tables": {"things": 3}},
        code_commit="0" * 40,
        environment_lock=sha256_hex(b"lock"),
        metrics={"roc_auc": 0.75},
        trained_from_us=0,
        trained_until_us=1_000_000,
        training_rows=100,
        created_at_us=1_000_000,
    )


def write_logistic_package(
    folder: Path,
    *,
    facts: Facts,
    weights: Sequence[float],
    bias: float = 0.0,
    definitions: bytes | None = None,
    background: Background | None = None,
) -> Manifest:
    """Write a package of a logistic model whose golden rows are true."""
    rng = np.random.default_rng(facts.seed)
    vectors = rng.normal(size=(4, len(weights))).astype(np.float32)
    return write_package(
        folder,
        facts=facts,
        model=logistic_model(weights, bias),
        golden=Golden(vectors, logistic_scores(vectors, weights, bias)),
        reference_profile={"features": {}},
        definitions=definitions,
        background=background,
    )

"""Versions that go bad on what they are asked: their golden rows are well."""

from pathlib import Path

import numpy as np
from model_package import Golden, PackageStore, write_package
from model_package.testing import facts
from onnx import GraphProto, TensorProto, helper, numpy_helper
from tidemark.registry.v1.route_pb2 import VersionRef

from inference_kit.stock import MODEL, Stock

# The feature that decides how it goes.
BASKET = 5
WIDTH = 7
_SIDE = 128


def log_of_basket(folder: Path, stock: Stock, model: str = MODEL) -> VersionRef:
    """A version whose score is the logarithm of the basket: none for a negative one."""
    nodes = [
        helper.make_node("Gather", ["features", "index"], ["basket"], axis=1),
        helper.make_node("Log", ["basket"], ["score"]),
    ]
    return _put(folder, stock, model, _graph(nodes), golden_score=0.0)


def slow_as_basket(
    folder: Path, stock: Stock, model: str = MODEL, *, golden_basket: float = 1.0
) -> VersionRef:
    """A version that multiplies two matrices as often as the first basket says, and then scores 0.

    Its golden row has a basket too: a large one makes it slow to load.
    """
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["goes_on"]),
            helper.make_node("MatMul", ["matrix", "rotation"], ["product"]),
        ],
        "again",
        [
            helper.make_tensor_value_info("number", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("matrix", TensorProto.FLOAT, [_SIDE, _SIDE]),
        ],
        [
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("product", TensorProto.FLOAT, [_SIDE, _SIDE]),
        ],
        [numpy_helper.from_array(np.eye(_SIDE, dtype=np.float32), "rotation")],
    )
    nodes = [
        helper.make_node("Gather", ["features", "index"], ["basket"], axis=1),
        helper.make_node("ReduceMax", ["basket"], ["most"], keepdims=0),
        helper.make_node("Cast", ["most"], ["times"], to=TensorProto.INT64),
        helper.make_node("Loop", ["times", "", "start"], ["end"], body=body),
        helper.make_node("ReduceMean", ["end"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["basket", "nothing"], ["zeros"]),
        helper.make_node("Mul", ["zeros", "mean"], ["score"]),
    ]
    graph = _graph(
        nodes,
        numpy_helper.from_array(np.zeros((_SIDE, _SIDE), np.float32), "start"),
        numpy_helper.from_array(np.zeros(1, np.float32), "nothing"),
    )
    return _put(folder, stock, model, graph, golden_score=0.0, golden_basket=golden_basket)


def _graph(nodes: list[object], *constants: TensorProto) -> GraphProto:
    return helper.make_graph(
        nodes,
        "poison",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, WIDTH])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor("index", TensorProto.INT64, [1], [BASKET]), *constants],
    )


def _put(
    folder: Path,
    stock: Stock,
    model: str,
    graph: GraphProto,
    *,
    golden_score: float,
    golden_basket: float = 1.0,
) -> VersionRef:
    contract = stock.project.contract(model)
    onnx = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    vectors = np.ones((1, WIDTH), np.float32)
    vectors[0, BASKET] = golden_basket
    write_package(
        folder,
        facts=facts(model, contract.feature_names, contract_hash=contract.hash.hex()),
        model=onnx.SerializeToString(),
        golden=Golden(vectors, np.full(1, golden_score)),
        reference_profile={},
    )
    put = PackageStore(stock.packages).put(folder)
    return VersionRef(version=put.version, digest=put.digest, package_uri=put.uri)

"""Models that misbehave as a test needs."""

from pathlib import Path

import numpy as np
from model_package import Golden, PackageStore, write_package
from model_package.testing import facts
from onnx import TensorProto, helper
from tidemark.registry.v1.route_pb2 import VersionRef

from inference_kit.stock import Stock


def log_of_basket(folder: Path, stock: Stock) -> VersionRef:
    """A version whose score is the logarithm of the basket: none for a negative one."""
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["features", "index"], ["basket"], axis=1),
            helper.make_node("Log", ["basket"], ["score"]),
        ],
        "log",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, 7])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor("index", TensorProto.INT64, [1], [5])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    contract = stock.project.contract("returns")
    write_package(
        folder,
        facts=facts("returns", contract.feature_names, contract_hash=contract.hash.hex()),
        model=model.SerializeToString(),
        golden=Golden(np.ones((1, 7), np.float32), np.zeros(1)),
        reference_profile={},
    )
    put = PackageStore(stock.packages).put(folder)
    return VersionRef(version=put.version, digest=put.digest, package_uri=put.uri)

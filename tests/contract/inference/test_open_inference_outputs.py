"""Models of every kind in the Open Inference Protocol: which outputs there are, and what they are called."""

from typing import Any

import grpc
import numpy as np
from inference_kit.open_inference import infer, matrix, of_ann, refused, scores_of, wanted
from inference_kit.planes import DataPlane, follow
from inference_kit.stock import MODEL
from model_package import DeclaredSignature, GraphInput, ScoreSource
from model_package.testing import graph_of
from onnx import TensorProto, helper
from open_inference.v2 import open_inference_grpc_pb2 as pb
from open_inference.v2.open_inference_grpc_pb2_grpc import GRPCInferenceServiceStub
from tidemark.registry.v1.route_pb2 import VersionRef

WIDTH = 7
BASKET = 5
ROWS = np.arange(21, dtype=np.float32).reshape(3, WIDTH)
KINDS = {
    "FP64": (TensorProto.DOUBLE, "<f8"),
    "INT64": (TensorProto.INT64, "<i8"),
    "INT32": (TensorProto.INT32, "<i4"),
    "BOOL": (TensorProto.BOOL, "?"),
}


def version_of(plane: DataPlane, *outputs: tuple[str, str], width: int = 2) -> VersionRef:
    """A version with `score`, the basket, and outputs of some datatypes, each of the first features."""
    weights = np.eye(WIDTH, width, dtype=np.float32)
    basket = np.zeros((WIDTH, 1), np.float32)
    basket[BASKET] = 1
    nodes = [_constant("weights", weights), _constant("basket", basket)]
    nodes.append(helper.make_node("MatMul", ["features", "basket"], ["score"]))
    nodes.append(helper.make_node("MatMul", ["features", "weights"], ["first"]))
    infos = [("score", TensorProto.FLOAT, [None, 1])]
    for name, datatype in outputs:
        kind, _ = KINDS[datatype]
        nodes.append(helper.make_node("Cast", ["first"], [name], to=kind))
        infos.append((name, kind, [None, width]))
    graph = graph_of(nodes, [("features", TensorProto.FLOAT, [None, WIDTH])], infos)
    signature = DeclaredSignature(task="regression", score=ScoreSource(output="score"))
    return plane.stock.graph_version(graph, signature, ROWS)


def _constant(name: str, values: Any) -> Any:
    tensor = helper.make_tensor("", TensorProto.FLOAT, values.shape, values.ravel().tolist())
    return helper.make_node("Constant", [], [name], value=tensor)


async def metadata(plane: DataPlane, version: str = "") -> dict[str, tuple[str, list[int]]]:
    request = pb.ModelMetadataRequest(name=MODEL, version=version)
    model = await GRPCInferenceServiceStub(plane.channel).ModelMetadata(request)
    return {one.name: (one.datatype, list(one.shape)) for one in model.outputs}


def reads_backwards(plane: DataPlane) -> VersionRef:
    """A version whose one input takes the features from the last to the first, as whole numbers."""
    names = plane.stock.project.contract(MODEL).feature_names
    graph = graph_of(
        [helper.make_node("Cast", ["X"], ["first"], to=TensorProto.FLOAT)],
        [("X", TensorProto.INT64, [None, WIDTH])],
        [("first", TensorProto.FLOAT, [None, WIDTH])],
    )
    signature = DeclaredSignature(
        task="regression",
        score=ScoreSource(output="first", column=0),
        inputs=(GraphInput(name="X", features=tuple(reversed(names))),),
    )
    return plane.stock.graph_version(graph, signature, ROWS)


async def test_a_graphs_name_for_its_input_is_the_matrixs_only_where_it_has_its_order(
    plane: DataPlane,
) -> None:
    await follow(plane, plane.stock.route(reads_backwards(plane)))
    assert scores_of(await infer(plane, inputs=[matrix(ROWS)])) == ROWS[:, -1].tolist()
    no = grpc.StatusCode.INVALID_ARGUMENT
    await refused(plane, no, "inputs[X]: is nothing that", inputs=[matrix(ROWS, "X")])


async def test_a_number_that_does_not_fit_is_the_callers_fault_and_no_failure_of_the_version(
    plane: DataPlane,
) -> None:
    await follow(plane, plane.stock.route(reads_backwards(plane)))
    large = ROWS.copy()
    large[1, -1] = 1e30
    no = grpc.StatusCode.INVALID_ARGUMENT
    for _ in range(12):
        await refused(plane, no, "feature 'is_web' is 1.0000000150474662e+30", inputs=[matrix(large[1:2])])
    await refused(plane, no, "rows[1]: graph", inputs=[matrix(large)])
    assert scores_of(await infer(plane, inputs=[matrix(ROWS[:1])])) == [6.0]


async def test_every_output_is_given_unasked_in_its_own_type(plane: DataPlane) -> None:
    version = version_of(plane, *((name.lower(), name) for name in KINDS))
    await follow(plane, plane.stock.route(version))

    described = await metadata(plane)
    raw = pb.ModelInferRequest.InferInputTensor(name="features", datatype="FP32", shape=[3, WIDTH])
    answer = await infer(plane, inputs=[raw], raw_input_contents=[ROWS.tobytes()])

    assert {one.name: (one.datatype, [-1, *one.shape[1:]]) for one in answer.outputs} == described
    assert list(described) == ["score", "output.score", *map(str.lower, KINDS)]
    for output, contents in zip(answer.outputs[2:], answer.raw_output_contents[2:], strict=True):
        dtype = KINDS[output.datatype][1]
        assert np.frombuffer(contents, dtype).tolist() == ROWS[:, :2].astype(dtype).ravel().tolist()


async def test_a_graphs_own_score_does_not_take_the_place_of_every_models(plane: DataPlane) -> None:
    await follow(plane, plane.stock.route(version_of(plane, ("versions", "INT64"))))
    names = ("output.versions", "score", "output.score", "versions")
    own, score, own_score, versions = (
        await infer(plane, inputs=[matrix(ROWS)], outputs=map(wanted, names))
    ).outputs

    assert list(own.contents.int64_contents) == ROWS[:, :2].astype(int).ravel().tolist()
    assert (score.datatype, list(score.shape)) == ("FP64", [3])
    assert list(score.contents.fp64_contents) == ROWS[:, BASKET].tolist()
    assert (own_score.datatype, list(own_score.shape)) == ("FP32", [3, 1])
    assert versions.datatype == "BYTES"


async def test_of_arms_that_differ_what_they_have_alike_is_given(plane: DataPlane) -> None:
    plain, narrow = plane.stock.version(), version_of(plane, ("whole", "INT64"), ("flags", "BOOL"))
    wide = version_of(plane, ("whole", "INT64"), width=3)

    await follow(plane, plane.stock.route(narrow, plain))
    assert list(await metadata(plane)) == ["score"]
    assert list(await metadata(plane, narrow.version)) == ["score", "output.score", "whole", "flags"]
    for fields in ({"inputs": [matrix(np.tile(ROWS, (10, 1)))]}, {"parameters": of_ann()}):
        assert [output.name for output in (await infer(plane, **fields)).outputs] == ["score"]

    await follow(plane, plane.stock.route(narrow, wide))
    assert list(await metadata(plane)) == ["score", "output.score"]
    rows = [matrix(np.tile(ROWS, (10, 1)))]
    assert [output.name for output in (await infer(plane, inputs=rows)).outputs] == ["score", "output.score"]
    no = grpc.StatusCode.INVALID_ARGUMENT
    await refused(plane, no, "outputs[whole]: is unknown", inputs=rows, outputs=[wanted("whole")])
    pinned = await infer(plane, inputs=rows, outputs=[wanted("whole")], model_version=wide.version)
    assert list(pinned.outputs[0].shape) == [30, 3]

"""Models of every kind, over the wire: what the reply and the event say of each.

The graphs here are made by hand, so that what they must answer is plain; graphs of the libraries that train
are in `tests/integration/models`.
"""

from collections.abc import Sequence
from typing import Any

import grpc
import numpy as np
import pytest
from inference_kit.asking import prediction, refused, score, score_batch
from inference_kit.planes import DataPlane, follow
from inference_kit.stock import question
from model_package import DeclaredSignature, GraphInput, ScoreSource, Vocabulary
from model_package.testing import graph_of
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper
from tidemark.common.v1.value_pb2 import Value
from tidemark.registry.v1.route_pb2 import VersionRef
from tidemark.scoring.v1.output_pb2 import Output
from tidemark.scoring.v1.scoring_service_pb2 import ScoreRequest, ScoreResponse

pytestmark = pytest.mark.plane

BASKET = 5
"""Where the basket stands in the vector of seven features."""
GOLDEN = np.random.default_rng(3).random((4, 7)).astype(np.float32)
DTYPES = {"FP32": "<f4", "FP64": "<f8", "INT64": "<i8", "INT32": "<i4", "BOOL": "?"}


def constant(name: str, kind: int, values: NDArray[Any]) -> NodeProto:
    tensor = helper.make_tensor("", kind, values.shape, values.ravel().tolist())
    return helper.make_node("Constant", [], [name], value=tensor)


def times(factors: Sequence[float], output: str) -> list[NodeProto]:
    """Nodes that answer the basket times each of some factors."""
    weights = np.zeros((7, len(factors)), np.float32)
    weights[BASKET] = factors
    return [
        constant(f"{output}_weights", TensorProto.FLOAT, weights),
        helper.make_node("MatMul", ["features", f"{output}_weights"], [output]),
    ]


def vector_graph(nodes: Sequence[NodeProto], *outputs: tuple[str, int, Sequence[int | None]]) -> bytes:
    return graph_of(nodes, [("features", TensorProto.FLOAT, [None, 7])], outputs)


def declared(task: Any, output: str, column: int | None = None, **more: Any) -> DeclaredSignature:
    return DeclaredSignature(task=task, score=ScoreSource(output=output, column=column), **more)


def read(output: Output) -> tuple[str, Any]:
    if output.datatype == "BYTES":
        assert not output.values
        return output.datatype, np.array(output.texts, object).reshape(output.shape).tolist()
    assert not output.texts
    return output.datatype, np.frombuffer(output.values, DTYPES[output.datatype]).reshape(
        output.shape
    ).tolist()


async def answers(
    plane: DataPlane, version: VersionRef, request: ScoreRequest, **route: Any
) -> tuple[ScoreResponse, dict[str, Any]]:
    """Route a version, ask it, and demand that the event says what the reply says."""
    await follow(plane, plane.stock.route(version, **route))
    reply = await score(plane, request)
    assert reply.version == version.version
    _, made = await prediction(plane, reply.prediction_id)
    assert (made.score, list(made.outputs)) == (reply.score, list(reply.outputs))
    return reply, {output.name: read(output) for output in reply.outputs}


async def test_a_regression_answers_its_value_and_nothing_more(plane: DataPlane) -> None:
    graph = vector_graph(times([100.0], "variable"), ("variable", TensorProto.FLOAT, [None, 1]))
    version = plane.stock.graph_version(graph, declared("regression", "variable"), GOLDEN)
    reply, outputs = await answers(plane, version, question())
    assert reply.score == 350.0
    assert outputs == {}


async def test_a_ranking_answers_its_value(plane: DataPlane) -> None:
    graph = vector_graph(times([-2.0], "rank"), ("rank", TensorProto.FLOAT, [None, 1]))
    version = plane.stock.graph_version(graph, declared("ranking", "rank"), GOLDEN)
    reply, outputs = await answers(plane, version, question())
    assert reply.score == -7.0
    assert outputs == {}


async def test_of_many_classes_the_score_is_the_likeliest_ones_probability(plane: DataPlane) -> None:
    nodes = [*times([0.0, 1.0, -1.0], "logits"), helper.make_node("Softmax", ["logits"], ["probabilities"])]
    nodes.append(helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0))
    graph = vector_graph(
        nodes, ("label", TensorProto.INT64, [None]), ("probabilities", TensorProto.FLOAT, [None, 3])
    )
    signature = declared("multiclass", "probabilities", classes=("kept", "swapped", "returned"))
    reply, outputs = await answers(plane, plane.stock.graph_version(graph, signature, GOLDEN), question())

    expected = np.exp([0.0, 3.5, -3.5]) / np.exp([0.0, 3.5, -3.5]).sum()
    assert reply.score == pytest.approx(expected.max(), abs=1e-6)
    assert outputs["label"] == ("INT64", 1)
    assert outputs["probabilities"] == ("FP32", pytest.approx(expected.tolist(), abs=1e-6))
    assert [list(output.shape) for output in reply.outputs] == [[], [3]]


async def test_an_embedding_answers_its_numbers_and_its_length(plane: DataPlane) -> None:
    nodes = [
        *times([2.0, 0.0, 4.0, -4.0], "flat"),
        constant("shape", TensorProto.INT64, np.array([-1, 2, 2])),
    ]
    nodes.append(helper.make_node("Reshape", ["flat", "shape"], ["embedding"]))
    graph = vector_graph(nodes, ("embedding", TensorProto.FLOAT, [None, 2, 2]))
    version = plane.stock.graph_version(graph, declared("embedding", "embedding"), GOLDEN)
    reply, outputs = await answers(plane, version, question())
    assert reply.score == 21.0
    assert outputs == {"embedding": ("FP32", [[7.0, 0.0], [14.0, -14.0]])}


async def test_every_output_of_several_is_answered_in_its_own_type(plane: DataPlane) -> None:
    nodes = [
        *times([1.0, 10.0], "both"),
        helper.make_node("Cast", ["both"], ["wide"], to=TensorProto.DOUBLE),
        helper.make_node("Cast", ["both"], ["whole"], to=TensorProto.INT32),
        constant("limit", TensorProto.FLOAT, np.array(20.0, np.float32)),
        helper.make_node("Greater", ["both", "limit"], ["large"]),
        helper.make_node("Cast", ["whole"], ["text"], to=TensorProto.STRING),
    ]
    graph = vector_graph(
        nodes,
        ("wide", TensorProto.DOUBLE, [None, 2]),
        ("whole", TensorProto.INT32, [None, 2]),
        ("large", TensorProto.BOOL, [None, 2]),
        ("text", TensorProto.STRING, [None, 2]),
    )
    version = plane.stock.graph_version(graph, declared("regression", "wide", 1), GOLDEN)
    reply, outputs = await answers(plane, version, question())
    assert reply.score == 35.0
    assert outputs == {
        "wide": ("FP64", [3.5, 35.0]),
        "whole": ("INT32", [3, 35]),
        "large": ("BOOL", [False, True]),
        "text": ("BYTES", ["3", "35"]),
    }


def by_channel(**vocabulary: Any) -> tuple[bytes, DeclaredSignature]:
    """A graph that reads the channel as a text and the basket as a double, and answers both."""
    graph = graph_of(
        [
            helper.make_node("Identity", ["basket"], ["value"]),
            helper.make_node("Identity", ["channel"], ["text"]),
        ],
        [("basket", TensorProto.DOUBLE, [None, 1]), ("channel", TensorProto.STRING, [None, 1])],
        [("value", TensorProto.DOUBLE, [None, 1]), ("text", TensorProto.STRING, [None, 1])],
    )
    inputs = (
        GraphInput(name="channel", features=("channel",)),
        GraphInput(name="basket", features=("basket",)),
    )
    members = vocabulary.pop("members")
    vocabularies = {"channel": Vocabulary(members=members, unknown="elsewhere")}
    return graph, declared("regression", "value", inputs=inputs, vocabularies=vocabularies)


@pytest.mark.parametrize(("asked", "read_as"), [("shop", "shop"), ("phone", "phone"), ("fax", "elsewhere")])
async def test_a_category_is_read_as_the_text_that_was_asked(
    plane: DataPlane, asked: str, read_as: str
) -> None:
    members = plane.stock.project.contract("by-channel").vocabularies["channel"]
    graph, signature = by_channel(members=members)
    vectors = np.array([[1, 0, 2.5], [1, 2, 2.5], [1, -1, 2.5]], np.float32)
    version = plane.stock.graph_version(graph, signature, vectors, model="by-channel")
    request = question(
        model="by-channel", context={"channel": Value(text=asked), "basket": Value(number=2.5)}
    )
    reply, outputs = await answers(plane, version, request, model="by-channel")
    assert reply.score == 2.5
    assert outputs == {"value": ("FP64", [2.5]), "text": ("BYTES", [read_as])}


async def test_in_a_batch_each_row_has_its_own_outputs_and_one_that_fails_has_none(plane: DataPlane) -> None:
    # The logarithm of nothing is minus infinity.
    nodes = [*times([1.0, 2.0], "both"), helper.make_node("Log", ["both"], ["logs"])]
    graph = vector_graph(
        nodes, ("logs", TensorProto.FLOAT, [None, 2]), ("both", TensorProto.FLOAT, [None, 2])
    )
    version = plane.stock.graph_version(graph, declared("regression", "logs", 0), GOLDEN)
    await follow(plane, plane.stock.route(version))
    baskets = [1.0, 0.0, 4.0]
    requests = []
    for basket in baskets:
        request = question()
        request.context["basket"].number = basket
        requests.append(request)

    results = (await score_batch(plane, requests)).results

    assert [result.WhichOneof("result") for result in results] == ["response", "error", "response"]
    assert results[1].error.code == grpc.StatusCode.INTERNAL.value[0]
    assert "logs = -inf" in results[1].error.message
    for result, basket in zip(results, baskets, strict=True):
        if basket:
            outputs = {output.name: read(output) for output in result.response.outputs}
            assert outputs["both"] == ("FP32", [basket, 2 * basket])
            assert result.response.score == pytest.approx(np.log(basket))


async def test_what_a_graph_raises_is_said_and_only_of_its_row(plane: DataPlane) -> None:
    graph = graph_of(
        [helper.make_node("Cast", ["channel"], ["value"], to=TensorProto.FLOAT)],
        [("channel", TensorProto.STRING, [None, 1])],
        [("value", TensorProto.FLOAT, [None, 1])],
    )
    vocabularies = {"channel": Vocabulary(members=("10", "20", "30"), unknown="no number")}
    inputs = (GraphInput(name="channel", features=("channel",)),)
    signature = declared("regression", "value", inputs=inputs, vocabularies=vocabularies)
    vectors = np.array([[1, 0, 2.5], [1, 2, 2.5]], np.float32)
    version = plane.stock.graph_version(graph, signature, vectors, model="by-channel")
    await follow(plane, plane.stock.route(version, model="by-channel"))
    basket = Value(number=1)
    good = question(model="by-channel", context={"channel": Value(text="shop"), "basket": basket})
    bad = question(model="by-channel", context={"channel": Value(text="fax"), "basket": basket})

    results = (await score_batch(plane, [good, bad, good])).results

    assert [result.response.score for result in results] == [20.0, 0.0, 20.0]
    assert "failed on 1 rows" in results[1].error.message
    await refused(plane, bad, grpc.StatusCode.INTERNAL, "failed on 1 rows")

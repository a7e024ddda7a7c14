"""What a data plane must do with the Open Inference Protocol, over gRPC: docs/open-inference.md."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
import numpy as np
import pytest
from bus.times import format_rfc3339
from inference_kit.asking import prediction, score
from inference_kit.memory import memory_plane
from inference_kit.planes import DataPlane, follow
from inference_kit.process import process_plane
from inference_kit.stock import MODEL, NOW_US, question
from local_stack import LocalStack
from model_package.testing import logistic_scores
from open_inference.v2 import open_inference_grpc_pb2 as pb
from open_inference.v2.open_inference_grpc_pb2_grpc import GRPCInferenceServiceStub
from tidemark.scoring.v1.prediction_pb2 import Role

WEIGHTS = (0.5, -0.25, 0.125, 0.0625, 1.0, -1.0, 0.75)
BIAS = 0.3
FEATURES = (
    "user_orders.orders_1h",
    "user_orders.mean_amount_24h",
    "item_orders.last_amount_24h",
    "asked_hour",
    "is_gift",
    "basket",
    "is_web",
)


@pytest.fixture(scope="module")
async def memory(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DataPlane]:
    async with memory_plane(tmp_path_factory.mktemp("open-memory")) as plane:
        yield plane


@pytest.fixture(scope="module")
async def process(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DataPlane]:
    folder = tmp_path_factory.mktemp("open-process")
    async with LocalStack(folder / "stack") as stack, process_plane(folder, stack) as plane:
        yield plane


@pytest.fixture(params=["memory", pytest.param("process", marks=pytest.mark.stack)])
def plane(request: pytest.FixtureRequest) -> DataPlane:
    found: DataPlane = request.getfixturevalue(request.param)
    return found


def parameter(value: Any) -> pb.InferParameter:
    match value:
        case bool():
            return pb.InferParameter(bool_param=value)
        case int():
            return pb.InferParameter(int64_param=value)
        case float():
            return pb.InferParameter(double_param=value)
        case _:
            return pb.InferParameter(string_param=value)


def parameters(**values: Any) -> dict[str, pb.InferParameter]:
    return {name.replace("__", "."): parameter(value) for name, value in values.items()}


def of_ann(**changes: Any) -> dict[str, pb.InferParameter]:
    asked = {
        "entity__user": "ann",
        "entity__item": "tea",
        "context__asked_at": NOW_US,
        "context__gift": True,
        "context__basket": 3.5,
        "context__channel": "web",
        "request_time": format_rfc3339(NOW_US),
    }
    return parameters(**{**asked, **changes})


def typed(name: str, datatype: str, shape: Sequence[int], **contents: Any) -> Any:
    return pb.ModelInferRequest.InferInputTensor(
        name=name, datatype=datatype, shape=shape, contents=pb.InferTensorContents(**contents)
    )


def matrix(vectors: np.ndarray[Any, Any], name: str = "features", datatype: str = "FP32") -> Any:
    field = {"FP32": "fp32_contents", "FP64": "fp64_contents", "INT64": "int64_contents"}[datatype]
    return typed(name, datatype, vectors.shape, **{field: vectors.ravel().tolist()})


async def infer(plane: DataPlane, **fields: Any) -> pb.ModelInferResponse:
    request = pb.ModelInferRequest(**{"model_name": MODEL, **fields})
    response: pb.ModelInferResponse = await GRPCInferenceServiceStub(plane.channel).ModelInfer(request)
    return response


async def refused(plane: DataPlane, code: grpc.StatusCode, says: str, **fields: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await infer(plane, **fields)
    assert caught.value.code() is code, caught.value.details()
    assert says in (caught.value.details() or "")


def scores_of(response: pb.ModelInferResponse) -> list[float]:
    (found,) = [output for output in response.outputs if output.name == "score"]
    assert found.datatype == "FP64"
    scores = list(found.contents.fp64_contents)
    assert list(found.shape) == [len(scores)]
    return scores


async def test_features_are_looked_up_by_parameters_and_score_as_they_do_for_score(plane: DataPlane) -> None:
    version = plane.stock.version(WEIGHTS, BIAS)
    await follow(plane, plane.stock.route(version))
    await plane.apply(
        [{"user": "ann", "item": "tea", "amount": 4.0}, {"user": "ann", "item": "cup", "amount": 8.0}]
    )

    reply = await score(plane, question("ann", "tea"))
    response = await infer(plane, parameters=of_ann(), id="by-parameters")

    assert scores_of(response) == [reply.score]
    assert (response.model_name, response.model_version, response.id) == (
        MODEL,
        version.version,
        "by-parameters",
    )
    assert {name: value.string_param for name, value in response.parameters.items()} == {
        "prediction_id": "by-parameters",
        "version": version.version,
        "variant": "champion",
    }
    _, looked_up = await prediction(plane, reply.prediction_id)
    _, made = await prediction(plane, "by-parameters")
    for unlike in (looked_up, made):
        for field in ("prediction_id", "request_key", "latency_us"):
            unlike.ClearField(field)
    assert made == looked_up


async def test_a_vector_given_scores_as_the_same_vector_looked_up_and_is_recorded(plane: DataPlane) -> None:
    route = plane.stock.route(plane.stock.version(WEIGHTS, BIAS))
    await follow(plane, route)
    vectors = np.array([[2.0, 6.0, 4.0, 14.0, 1.0, 3.5, 1.0], [0.0] * 7], np.float32)

    response = await infer(plane, inputs=[matrix(vectors)], id="given", parameters=parameters(request_time=5))

    assert scores_of(response) == pytest.approx(logistic_scores(vectors, WEIGHTS, BIAS).tolist(), abs=1e-6)
    event, made = await prediction(plane, "given:0")
    assert made.features.values == vectors[0].tobytes()
    assert made.features.statuses == b"\x01" * 7
    assert not made.features.rows
    assert not made.entities
    assert not made.context
    assert (made.score, made.role, made.variant) == (
        scores_of(response)[0],
        Role.ROLE_CHAMPION,
        "champion",
    )
    assert (made.request_key, made.route_revision, made.label) == (
        "given:0",
        route.revision,
        "will_return",
    )
    assert event.time_us == made.request_time.ToMicroseconds() == 5
    assert (await prediction(plane, "given:1"))[1].score == scores_of(response)[1]

"""What a data plane must do with the Open Inference Protocol, over gRPC: docs/open-inference.md."""

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
import numpy as np
import pytest
from bus.times import format_rfc3339
from inference.domain.assignment import choose, point
from inference.domain.tensors import DTYPES
from inference_kit.asking import prediction, score
from inference_kit.memory import memory_plane
from inference_kit.planes import DataPlane, follow, is_serving
from inference_kit.process import process_plane
from inference_kit.stock import DURABLE_MODEL, MODEL, NOW_US, question
from local_stack import LocalStack
from model_package.testing import logistic_scores
from open_inference.v2 import open_inference_grpc_pb2 as pb
from open_inference.v2.open_inference_grpc_pb2_grpc import GRPCInferenceServiceStub
from tidemark.scoring.v1.prediction_pb2 import Role

WEIGHTS = (0.5, -0.25, 0.125, 0.0625, 1.0, -1.0, 0.75)
BIAS = 0.3
_FIELDS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
}
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
    return typed(name, datatype, vectors.shape, **{_FIELDS[datatype]: vectors.ravel().tolist()})


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


async def test_rows_are_looked_up_by_tensors_and_parameters_hold_for_all(plane: DataPlane) -> None:
    await follow(plane, plane.stock.route(plane.stock.version(WEIGHTS, BIAS)))
    await plane.apply([{"user": "row", "item": "jug", "amount": 2.0}])
    users, baskets = ["row", "nobody", ""], [1.0, 2.0, 3.0]
    expected = [
        (await score(plane, question_of(user, basket))).score
        for user, basket in zip(users, baskets, strict=True)
    ]
    known = of_ann(entity__item="jug")
    for name in ("entity.user", "context.basket", "request_time"):
        del known[name]

    response = await infer(
        plane,
        id="rows",
        parameters=known,
        inputs=[
            typed("entity.user", "BYTES", [3], bytes_contents=[user.encode() for user in users]),
            typed("context.basket", "FP32", [3, 1], fp32_contents=baskets),
            typed("request_time", "INT64", [3], int64_contents=[NOW_US] * 3),
            typed("request_key", "BYTES", [3], bytes_contents=[b"k0", b"", b"k2"]),
        ],
    )

    assert scores_of(response) == expected
    assert len(set(expected)) == 3
    keys = [(await prediction(plane, f"rows:{row}"))[1].request_key for row in range(3)]
    assert keys == ["k0", "rows:1", "k2"]


def question_of(user: str, basket: float) -> Any:
    asked = question(user, "jug")
    asked.context["basket"].number = basket
    return asked


async def test_a_request_without_an_id_gets_one_for_its_prediction(plane: DataPlane) -> None:
    await follow(plane, plane.stock.route(plane.stock.version()))
    response = await infer(plane, parameters=of_ann())
    assert not response.id
    prediction_id = response.parameters["prediction_id"].string_param
    assert (await prediction(plane, prediction_id))[1].score == scores_of(response)[0]


async def test_outputs_are_those_that_are_wanted(plane: DataPlane) -> None:
    version = plane.stock.version()
    await follow(plane, plane.stock.route(version))
    names = ("versions", "variants", "prediction_ids", "feature_statuses")
    wanted = [pb.ModelInferRequest.InferRequestedOutputTensor(name=name) for name in names]

    named = await infer(plane, parameters=of_ann(), outputs=wanted, id="wanted")
    asked = await infer(plane, parameters={**of_ann(), **parameters(feature_statuses=True)})

    assert [output.name for output in named.outputs] == list(names)
    texts = [list(output.contents.bytes_contents) for output in named.outputs[:3]]
    assert texts == [[version.version.encode()], [b"champion"], [b"wanted"]]
    assert [output.name for output in asked.outputs] == ["score", "feature_statuses"]
    for response in (named, asked):
        statuses = response.outputs[-1]
        assert (statuses.datatype, list(statuses.shape)) == ("INT32", [1, 7])
        assert list(statuses.contents.int_contents)[3:] == [1, 1, 1, 1]


@pytest.mark.parametrize("datatype", ["BOOL", *(f"INT{n}" for n in (8, 16, 32, 64)), "UINT8", "UINT16"])
@pytest.mark.parametrize("is_raw", [True, False])
async def test_vectors_may_be_of_any_number(plane: DataPlane, datatype: str, is_raw: bool) -> None:  # noqa: FBT001
    await _scores_alike(plane, datatype, is_raw=is_raw)


@pytest.mark.parametrize(
    ("datatype", "is_raw"),
    [
        ("UINT32", True),
        ("UINT32", False),
        ("UINT64", True),
        ("UINT64", False),
        ("FP16", True),
        ("FP32", True),
        ("FP32", False),
        ("FP64", True),
        ("FP64", False),
    ],
)
async def test_vectors_may_be_of_any_width(plane: DataPlane, datatype: str, is_raw: bool) -> None:  # noqa: FBT001
    await _scores_alike(plane, datatype, is_raw=is_raw)


async def _scores_alike(plane: DataPlane, datatype: str, *, is_raw: bool) -> None:
    """Zeros and ones are the same in every datatype; raw contents are answered by raw ones."""
    vectors = np.array([[1, 0, 1, 1, 0, 0, 1], [0, 1, 1, 0, 0, 1, 0]])
    expected = scores_of(await infer(plane, inputs=[matrix(vectors.astype(np.float32))]))
    values = vectors.astype(DTYPES[datatype])
    if not is_raw:
        contents = {_FIELDS[datatype]: values.ravel().tolist()}
        response = await infer(plane, inputs=[typed("features", datatype, values.shape, **contents)])
        assert scores_of(response) == expected
        assert not response.raw_output_contents
        return
    bare = pb.ModelInferRequest.InferInputTensor(name="features", datatype=datatype, shape=values.shape)
    response = await infer(plane, inputs=[bare], raw_input_contents=[values.tobytes()])
    assert np.frombuffer(response.raw_output_contents[0], "<f8").tolist() == expected
    assert not response.outputs[0].HasField("contents")


async def test_raw_texts_are_read_behind_their_lengths_and_answered_so(plane: DataPlane) -> None:
    await follow(plane, plane.stock.route(plane.stock.version()))
    known = of_ann()
    expected = scores_of(await infer(plane, parameters=known))
    del known["entity.user"]
    bare = pb.ModelInferRequest.InferInputTensor(name="entity.user", datatype="BYTES", shape=[1])
    wanted = [
        pb.ModelInferRequest.InferRequestedOutputTensor(name=name) for name in ("score", "prediction_ids")
    ]
    response = await infer(
        plane,
        inputs=[bare],
        parameters=known,
        raw_input_contents=[b"\3\0\0\0ann"],
        outputs=wanted,
        id="raw",
    )
    scores, ids = response.raw_output_contents
    assert np.frombuffer(scores, "<f8").tolist() == expected
    assert ids == b"\3\0\0\0raw"


async def test_features_may_be_given_one_tensor_each(plane: DataPlane) -> None:
    await follow(plane, plane.stock.route(plane.stock.version(WEIGHTS, BIAS)))
    vectors = np.array([[2.0, 6.0, 4.0, 14.0, 1.0, 3.5, 1.0], [1.0] * 7], np.float32)
    columns = [
        typed(name, "FP64", [2, 1], fp64_contents=vectors[:, number].tolist())
        for number, name in enumerate(FEATURES)
    ]
    together = await infer(plane, inputs=[matrix(vectors)])
    one_by_one = await infer(plane, inputs=columns[::-1])
    assert scores_of(one_by_one) == scores_of(together)


async def test_a_zero_in_a_given_vector_has_no_sign(plane: DataPlane) -> None:
    await follow(plane, plane.stock.route(plane.stock.version()))
    await infer(plane, inputs=[matrix(np.full((1, 7), -0.0, np.float32))], id="zero")
    assert (await prediction(plane, "zero"))[1].features.values == bytes(28)


async def test_a_named_version_answers_while_it_is_warm(plane: DataPlane) -> None:
    old, champion, canary, next_one = (plane.stock.version(bias=bias) for bias in (-1.0, 0.0, 1.0, 2.0))
    await follow(plane, plane.stock.route(plane.stock.version(bias=-2.0)))
    await follow(plane, plane.stock.route(old))
    await follow(plane, plane.stock.route(champion, canary))
    zeros = [matrix(np.zeros((1, 7), np.float32))]

    for version, expected, role in (
        (old, 1 / (1 + np.exp(1)), Role.ROLE_CHALLENGER),
        (champion, 0.5, Role.ROLE_CHAMPION),
        (canary, 1 / (1 + np.exp(-1)), Role.ROLE_CHALLENGER),
    ):
        response = await infer(plane, inputs=zeros, model_version=version.version, id=version.version)
        assert scores_of(response) == [pytest.approx(expected, abs=1e-6)]
        assert response.model_version == version.version
        assert response.parameters["variant"].string_param == "pinned"
        _, made = await prediction(plane, version.version)
        assert (made.version, made.variant, made.role) == (version.version, "pinned", role)
        looked_up = await infer(plane, parameters=of_ann(), model_version=version.version)
        assert looked_up.model_version == version.version
    says = f"no version '{next_one.version}' here"
    await refused(plane, grpc.StatusCode.NOT_FOUND, says, inputs=zeros, model_version=next_one.version)


async def test_rows_are_assigned_each_for_itself(plane: DataPlane) -> None:
    route = plane.stock.route(plane.stock.version(bias=-1.0), plane.stock.version(bias=1.0))
    route.sticky_entity = "user"
    await follow(plane, route)
    users = [f"user-{number}" for number in range(40)]
    expected = [await score(plane, question(user, "x", explain_features=False)) for user in users]
    known = of_ann(entity__item="x")
    del known["entity.user"]

    response = await infer(
        plane,
        parameters=known,
        inputs=[typed("entity.user", "BYTES", [40], bytes_contents=[user.encode() for user in users])],
        outputs=[
            pb.ModelInferRequest.InferRequestedOutputTensor(name=name) for name in ("score", "variants")
        ],
    )

    assert scores_of(response) == [reply.score for reply in expected]
    variants = [text.decode() for text in response.outputs[1].contents.bytes_contents]
    assert variants == [reply.variant for reply in expected]
    assert len(set(variants)) == 2
    assert response.model_version == ""
    assert list(response.parameters) == ["prediction_id"]


async def test_given_vectors_are_assigned_by_the_request_key(plane: DataPlane) -> None:
    route = plane.stock.route(plane.stock.version(bias=-1.0), plane.stock.version(bias=1.0))
    route.sticky_entity = "user"
    await follow(plane, route)
    keys = [f"key-{number}" for number in range(40)]
    response = await infer(
        plane,
        inputs=[
            matrix(np.zeros((40, 7), np.float32)),
            typed("request_key", "BYTES", [40], bytes_contents=[key.encode() for key in keys]),
        ],
    )
    expected = [choose((5000, 5000), point("pepper", key)) for key in keys]
    assert [int(one > 0.5) for one in scores_of(response)] == expected
    assert set(expected) == {0, 1}


async def test_metadata_and_readiness(plane: DataPlane) -> None:
    stub = GRPCInferenceServiceStub(plane.channel)
    version = plane.stock.version()
    await follow(plane, plane.stock.route(version))
    await is_serving(plane)

    assert (await stub.ServerLive(pb.ServerLiveRequest())).live
    assert (await stub.ServerReady(pb.ServerReadyRequest())).ready
    for name, wanted, ready in (
        (MODEL, "", True),
        (MODEL, version.version, True),
        (MODEL, "none", False),
        ("unheard-of", "", False),
        ("", "", False),
    ):
        answer = await stub.ModelReady(pb.ModelReadyRequest(name=name, version=wanted))
        assert answer.ready is ready
    assert (await stub.ServerMetadata(pb.ServerMetadataRequest())).name == "tidemark-inference"
    model = await stub.ModelMetadata(pb.ModelMetadataRequest(name=MODEL))
    assert model.platform == "onnxruntime_onnx"
    assert model.versions[0] == version.version
    assert [(one.name, one.datatype, list(one.shape)) for one in model.outputs] == [("score", "FP64", [-1])]
    assert ("features", "FP32", [-1, 7]) in [
        (one.name, one.datatype, list(one.shape)) for one in model.inputs
    ]
    assert json.loads(model.properties["feature_names"]) == list(FEATURES)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ModelMetadata(pb.ModelMetadataRequest(name="unheard-of"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_durable_models_predictions_are_in_the_log_when_the_reply_is_here(plane: DataPlane) -> None:
    await follow(plane, plane.stock.route(plane.stock.version(model=DURABLE_MODEL), model=DURABLE_MODEL))
    zeros = [matrix(np.zeros((2, 7), np.float32))]
    await infer(plane, model_name=DURABLE_MODEL, inputs=zeros, id="sure")
    await infer(plane, model_name=DURABLE_MODEL, parameters=of_ann(), id="sure too")
    for prediction_id in ("sure:0", "sure:1", "sure too"):
        assert (await prediction(plane, prediction_id))[1].model == DURABLE_MODEL


ZERO = matrix(np.zeros((1, 7), np.float32))
NAN = np.zeros((2, 7), np.float32)
NAN[1, 5] = np.nan


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"model_name": ""}, "model_name"),
        ({"model_name": "m" * 129}, "model_name"),
        ({}, "entities[user]: is missing"),
        ({"parameters": of_ann(entity__user=3)}, "parameters[entity.user]: must be a text"),
        ({"parameters": of_ann(context__gift=1)}, "parameters[context.gift]: must be a flag"),
        ({"parameters": of_ann(context__basket="3")}, "parameters[context.basket]: must be a number"),
        ({"parameters": of_ann(context__basket=2**53 + 1)}, "no double is equal"),
        ({"parameters": of_ann(context__basket=float("inf"))}, "context[basket]: must be a finite number"),
        ({"parameters": of_ann(context__channel=True)}, "parameters[context.channel]: must be a text"),
        ({"parameters": of_ann(context__asked_at="noon")}, "parameters[context.asked_at]: is no time"),
        ({"parameters": of_ann(context__asked_at=1.5)}, "parameters[context.asked_at]: must be a time"),
        ({"parameters": of_ann(context__asked_at=-1)}, "context[asked_at]: must be a time"),
        ({"parameters": of_ann(request_time="2013-04-03")}, "parameters[request_time]: is no time"),
        ({"parameters": of_ann(request_time=-1)}, "request_time"),
        ({"parameters": of_ann(request_key=1)}, "parameters[request_key]"),
        ({"parameters": of_ann(timeout="soon")}, "parameters[timeout]"),
        ({"parameters": of_ann(timeout=-1)}, "parameters[timeout]"),
        ({"parameters": of_ann(feature_statuses="yes")}, "parameters[feature_statuses]"),
        ({"parameters": of_ann(), "id": "i" * 129}, "prediction_id"),
        ({"inputs": [ZERO], "parameters": of_ann()}, "give one or the other"),
        ({"inputs": [ZERO, ZERO]}, "inputs[features]: is there twice"),
        ({"inputs": [ZERO, typed("basket", "FP32", [1], fp32_contents=[0])]}, "inputs[basket]: is beside"),
        ({"inputs": [typed("basket", "FP32", [1], fp32_contents=[0])]}, "inputs: lack user_orders.orders_1h"),
        ({"inputs": [typed("bascet", "FP32", [1], fp32_contents=[0])]}, "inputs[bascet]: is nothing"),
        ({"inputs": [typed("features", "BYTES", [1, 7], bytes_contents=[b""] * 7)]}, "features are numbers"),
        ({"inputs": [matrix(np.zeros((1, 6)))]}, "inputs[features].shape: is [1, 6], must be [n, 7]"),
        ({"inputs": [matrix(np.zeros(7))]}, "inputs[features].shape: is [7], must be [n, 7]"),
        ({"inputs": [matrix(np.zeros((0, 7)))]}, "inputs[features].shape: has 0 rows"),
        ({"inputs": [matrix(np.zeros((1001, 7)))]}, "inputs[features].shape: has 1001 rows"),
        ({"inputs": [typed("features", "FP32", [1, 1, 7], fp32_contents=[0] * 7)]}, "must be [rows]"),
        ({"inputs": [typed("features", "FP32", [], fp32_contents=[0])]}, "must be [rows]"),
        ({"inputs": [typed("features", "FP32", [-1, 7])]}, "must be [rows]"),
        ({"inputs": [typed("features", "FP32", [2**62, 2**62])]}, "must be [rows]"),
        ({"inputs": [typed("features", "FP32", [2, 7], fp32_contents=[0] * 13)]}, "has 13 elements"),
        ({"inputs": [typed("features", "FP32", [1, 7], fp64_contents=[0] * 7)]}, "fp64_contents: is not"),
        ({"inputs": [typed("features", "INT8", [1, 7], int_contents=[300] * 7)]}, "is no INT8"),
        ({"inputs": [typed("features", "BF16", [1, 7])]}, "datatype: is 'BF16', must be one of"),
        ({"inputs": [typed("features", "fp32", [1, 7])]}, "datatype: is 'fp32'"),
        ({"inputs": [typed("features", "FP16", [1, 7])]}, "raw_input_contents only"),
        ({"inputs": [matrix(NAN)]}, "inputs[features][1, 5]"),
        ({"inputs": [matrix(np.full((1, 7), np.inf))]}, "inputs[features][0, 0]"),
        ({"inputs": [matrix(np.full((1, 7), 1e39), datatype="FP64")]}, "inputs[features][0, 0]"),
        ({"inputs": [ZERO], "raw_input_contents": [b""]}, "use one of them"),
        ({"inputs": [ZERO], "raw_input_contents": [b"", b""]}, "has 2 entries for 1 inputs"),
        ({"raw_input_contents": [b""]}, "has 1 entries for 0 inputs"),
        ({"inputs": [ZERO], "outputs": [{"name": "label"}]}, "outputs[label]: is unknown"),
        ({"inputs": [ZERO], "outputs": [{"name": "score"}] * 2}, "outputs: name an output twice"),
    ],
)
async def test_what_is_wrong_is_named(plane: DataPlane, fields: dict[str, Any], says: str) -> None:
    if "outputs" in fields:
        wanted = [pb.ModelInferRequest.InferRequestedOutputTensor(**one) for one in fields["outputs"]]
        fields = {**fields, "outputs": wanted}
    await refused(plane, grpc.StatusCode.INVALID_ARGUMENT, says, **fields)


def bare(name: str, datatype: str, *shape: int) -> Any:
    return pb.ModelInferRequest.InferInputTensor(name=name, datatype=datatype, shape=shape)


@pytest.mark.parametrize(
    ("inputs", "raw", "says"),
    [
        ([bare("features", "FP32", 1, 7)], [bytes(27)], "has 27 raw bytes"),
        ([bare("entity.user", "BYTES", 1)], [b"\4\0\0\0ann"], "ends within element 0"),
        ([bare("entity.user", "BYTES", 1)], [b"\4\0"], "ends within element 0"),
        ([bare("entity.user", "BYTES", 1)], [b"\xff\xff\xff\xffann"], "ends within element 0"),
        ([bare("entity.user", "BYTES", 2)], [b"\3\0\0\0ann"], "has 1 raw elements"),
        ([bare("entity.user", "BYTES", 1)], [b"\1\0\0\0\xff"], "inputs[entity.user][0]: is no UTF-8"),
        ([bare("entity.user", "INT8", 1)], [b"\1"], "inputs[entity.user][0]: must be a text"),
        ([bare("entity.user", "BYTES", 1, 2)], [b"\0\0\0\0\0\0\0\0"], "must be [n] or [n, 1]"),
        (
            [bare("entity.user", "BYTES", 1), bare("context.basket", "INT8", 2)],
            [b"\0\0\0\0", b"\0\0"],
            "inputs[context.basket].shape: has 2 rows, inputs[entity.user] has 1",
        ),
        ([bare("entity.item", "BYTES", 1)], [b"\0\0\0\0"], "parameters[entity.item]: is given as a tensor"),
    ],
)
async def test_raw_contents_that_are_wrong_are_named(
    plane: DataPlane, inputs: list[Any], raw: list[bytes], says: str
) -> None:
    known = of_ann()
    for name in ("entity.user", "context.basket"):
        del known[name]
    if inputs[0].name == "features":
        known = {}
    await refused(
        plane,
        grpc.StatusCode.INVALID_ARGUMENT,
        says,
        inputs=inputs,
        raw_input_contents=raw,
        parameters=known,
    )


async def test_of_many_rows_the_wrong_one_is_named_and_none_is_recorded(plane: DataPlane) -> None:
    known = of_ann()
    del known["context.basket"]
    tensor = typed("context.basket", "FP64", [3], fp64_contents=[1.0, 2.0, float("nan")])
    await refused(
        plane,
        grpc.StatusCode.INVALID_ARGUMENT,
        "rows[2].context[basket]: must be a finite number",
        inputs=[tensor],
        parameters={**known, **parameters(entity__user="x")},
        id="one-wrong",
    )
    assert not [event for event in await plane.predictions() if event.id.startswith("one-wrong")]


async def test_other_errors_have_the_status_that_score_gives_them(plane: DataPlane) -> None:
    await refused(
        plane, grpc.StatusCode.NOT_FOUND, "has no route", model_name="unheard-of", parameters=of_ann()
    )
    await refused(
        plane,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "",
        inputs=[matrix(np.zeros((200_000, 7), np.float32))],
    )
    for fields in (
        {"parameters": of_ann(timeout=1)},
        {"inputs": [ZERO], "parameters": parameters(timeout=1)},
    ):
        await refused(plane, grpc.StatusCode.DEADLINE_EXCEEDED, "deadline", **fields)


async def test_the_callers_trace_goes_on_in_the_events(plane: DataPlane) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await GRPCInferenceServiceStub(plane.channel).ModelInfer(
        pb.ModelInferRequest(model_name=MODEL, inputs=[ZERO], id="traced"), metadata=[("traceparent", trace)]
    )
    event, _ = await prediction(plane, "traced")
    assert event.traceparent == trace

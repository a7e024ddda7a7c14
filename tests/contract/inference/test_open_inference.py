"""What a data plane must do with the Open Inference Protocol, over gRPC: docs/open-inference.md."""

import asyncio
import json
from typing import Any

import grpc
import numpy as np
import pytest
from inference_kit.asking import prediction, score
from inference_kit.open_inference import (
    FEATURES,
    FIELDS,
    bare,
    infer,
    matrix,
    of_ann,
    parameters,
    refused,
    scores_of,
    typed,
    wanted,
)
from inference_kit.open_wrong import WRONG, WRONG_RAW, ZERO
from inference_kit.plain import arm_of
from inference_kit.planes import DataPlane, follow, is_serving
from inference_kit.stock import DURABLE_MODEL, MODEL, NOW_US, question
from model_package.testing import logistic_scores
from open_inference.v2 import open_inference_grpc_pb2 as pb
from open_inference.v2.open_inference_grpc_pb2_grpc import GRPCInferenceServiceStub
from tidemark.scoring.v1.prediction_pb2 import Role

pytestmark = pytest.mark.plane

WEIGHTS = (0.5, -0.25, 0.125, 0.0625, 1.0, -1.0, 0.75)
BIAS = 0.3


DTYPES = {
    "BOOL": "?",
    **{f"INT{8 * size}": f"<i{size}" for size in (1, 2, 4, 8)},
    **{f"UINT{8 * size}": f"<u{size}" for size in (1, 2, 4, 8)},
    **{f"FP{8 * size}": f"<f{size}" for size in (2, 4, 8)},
}


@pytest.fixture(scope="module")
async def plane(plane: DataPlane) -> DataPlane:
    await follow(plane, plane.stock.route(plane.stock.version(WEIGHTS, BIAS)))
    return plane


async def test_features_are_looked_up_by_parameters_and_score_as_they_do_for_score(plane: DataPlane) -> None:
    version = plane.stock.version(WEIGHTS, BIAS)
    await follow(plane, plane.stock.route(version))
    await plane.apply(
        [{"user": "ann", "item": "tea", "amount": 4.0}, {"user": "ann", "item": "cup", "amount": 8.0}]
    )

    reply = await score(plane, question("ann", "tea"))
    response = await infer(plane, parameters=of_ann(), id="by-parameters")

    assert scores_of(response) == [reply.score]
    assert (response.model_name, response.model_version) == (MODEL, version.version)
    assert response.id == "by-parameters"
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
    assert (made.score, made.role) == (scores_of(response)[0], Role.ROLE_CHAMPION)
    assert (made.variant, made.request_key) == ("champion", "given:0")
    assert (made.route_revision, made.label) == (route.revision, "will_return")
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


async def test_outputs_are_those_that_are_wanted(plane: DataPlane) -> None:
    version = plane.stock.version()
    await follow(plane, plane.stock.route(version))
    names = ("versions", "variants", "prediction_ids", "feature_statuses")

    named = await infer(plane, parameters=of_ann(), outputs=map(wanted, names), id="wanted")
    asked = await infer(plane, parameters={**of_ann(), **parameters(feature_statuses=True)})

    assert [output.name for output in named.outputs] == list(names)
    texts = [list(output.contents.bytes_contents) for output in named.outputs[:3]]
    assert texts == [[version.version.encode()], [b"champion"], [b"wanted"]]
    assert [output.name for output in asked.outputs] == ["score", "feature_statuses"]
    assert not asked.id
    generated = asked.parameters["prediction_id"].string_param
    assert (await prediction(plane, generated))[1].score == asked.outputs[0].contents.fp64_contents[0]
    for response in (named, asked):
        statuses = response.outputs[-1]
        assert (statuses.datatype, list(statuses.shape)) == ("INT32", [1, 7])
        assert list(statuses.contents.int_contents)[3:] == [1, 1, 1, 1]


@pytest.mark.parametrize("datatype", DTYPES)
async def test_vectors_may_be_of_any_number(plane: DataPlane, datatype: str) -> None:
    """Zeros and ones are the same in every datatype; raw contents are answered by raw ones."""
    vectors = np.array([[1, 0, 1, 1, 0, 0, 1], [0, 1, 1, 0, 0, 1, 0]])
    expected = scores_of(await infer(plane, inputs=[matrix(vectors.astype(np.float32))]))
    values = vectors.astype(DTYPES[datatype])

    raw = await infer(
        plane, inputs=[bare("features", datatype, *values.shape)], raw_input_contents=[values.tobytes()]
    )
    assert np.frombuffer(raw.raw_output_contents[0], "<f8").tolist() == expected
    assert not raw.outputs[0].HasField("contents")
    if datatype in FIELDS:
        plain = await infer(plane, inputs=[matrix(values, datatype=datatype)])
        assert scores_of(plain) == expected
        assert not plain.raw_output_contents


async def test_raw_texts_are_read_behind_their_lengths_and_answered_so(plane: DataPlane) -> None:
    await follow(plane, plane.stock.route(plane.stock.version()))
    known = of_ann()
    expected = scores_of(await infer(plane, parameters=known))
    del known["entity.user"]
    response = await infer(
        plane,
        inputs=[bare("entity.user", "BYTES", 1)],
        parameters=known,
        raw_input_contents=[b"\3\0\0\0ann"],
        outputs=map(wanted, ("score", "prediction_ids")),
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


async def test_given_and_looked_up_rows_of_one_moment_keep_to_themselves(plane: DataPlane) -> None:
    await follow(plane, plane.stock.route(plane.stock.version(WEIGHTS, BIAS)))
    vectors = np.arange(70, dtype=np.float32).reshape(10, 7) / 100
    looked_up = (await score(plane, question("ann", "tea"))).score
    async with asyncio.TaskGroup() as tasks:
        given = [tasks.create_task(infer(plane, inputs=[matrix(vector[np.newaxis])])) for vector in vectors]
        asked = [tasks.create_task(infer(plane, parameters=of_ann())) for _ in range(10)]
        scored = [tasks.create_task(score(plane, question("ann", "tea"))) for _ in range(10)]
    expected = logistic_scores(vectors, WEIGHTS, BIAS).tolist()
    assert [scores_of(one.result())[0] for one in given] == pytest.approx(expected, abs=1e-6)
    assert {scores_of(one.result())[0] for one in asked} == {looked_up}
    assert {one.result().score for one in scored} == {looked_up}


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
        outputs=map(wanted, ("score", "variants")),
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
    expected = [arm_of((5000, 5000), "pepper", key) for key in keys]
    assert [int(one > 0.5) for one in scores_of(response)] == expected
    assert set(expected) == {0, 1}


async def test_metadata_and_readiness(plane: DataPlane) -> None:
    stub = GRPCInferenceServiceStub(plane.channel)
    version = plane.stock.version()
    await follow(plane, plane.stock.route(version))
    await is_serving(plane)

    assert (await stub.ServerLive(pb.ServerLiveRequest())).live
    assert (await stub.ServerReady(pb.ServerReadyRequest())).ready
    for name, named in ((MODEL, ""), (MODEL, version.version), (MODEL, "none"), ("unheard-of", ""), ("", "")):
        answer = await stub.ModelReady(pb.ModelReadyRequest(name=name, version=named))
        assert answer.ready is (name == MODEL and named != "none")
    assert (await stub.ServerMetadata(pb.ServerMetadataRequest())).name == "tidemark-inference"
    model = await stub.ModelMetadata(pb.ModelMetadataRequest(name=MODEL))
    assert model.platform == "onnx_onnxv1"
    assert model.versions[0] == version.version
    assert [(one.name, one.datatype, list(one.shape)) for one in model.outputs] == [("score", "FP64", [-1])]
    last = model.inputs[-1]
    assert (last.name, last.datatype, list(last.shape)) == ("features", "FP32", [-1, 7])
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


@pytest.mark.parametrize(("fields", "says"), WRONG)
async def test_what_is_wrong_is_named(plane: DataPlane, fields: dict[str, Any], says: str) -> None:
    await refused(plane, grpc.StatusCode.INVALID_ARGUMENT, says, **fields)


@pytest.mark.parametrize(("inputs", "raw", "says"), WRONG_RAW)
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

"""What a data plane must do, over the wire: given routes, packages and rows, these replies and events."""

import asyncio
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from bus.events import Event
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse
from inference_kit.asking import prediction, refused, score, score_batch
from inference_kit.plain import arm_of, point
from inference_kit.planes import DataPlane, follow, is_serving
from inference_kit.stock import DURABLE_MODEL, MODEL, NOW_S, NOW_US, SAMPLED_MODEL, question, route_event
from model_package.testing import logistic_scores
from tidemark.common.v1.value_pb2 import Value
from tidemark.registry.v1.route_pb2 import (
    AnyOf,
    Arm,
    Condition,
    NumberRange,
    RouteChanged,
    RouteFollowed,
    RouteUptake,
    Segment,
    VersionRef,
)
from tidemark.scoring.v1.feature_vector_pb2 import FeatureStatus
from tidemark.scoring.v1.prediction_pb2 import PredictionMade, Role
from tidemark.scoring.v1.scoring_service_pb2 import ScoreRequest
from tidemark.scoring.v1.scoring_service_pb2_grpc import ScoringServiceStub

pytestmark = pytest.mark.plane

PRESENT = FeatureStatus.FEATURE_STATUS_PRESENT
MISSING = FeatureStatus.FEATURE_STATUS_MISSING
STALE = FeatureStatus.FEATURE_STATUS_STALE
WEIGHTS = (0.5, -0.25, 0.125, 0.0625, 1.0, -1.0, 0.75)
BIAS = 0.3


async def test_a_request_is_scored_with_the_features_as_of_its_time(plane: DataPlane) -> None:
    await follow(plane, plane.stock.route(plane.stock.version(WEIGHTS, BIAS)))
    await plane.apply(
        [
            {"user": "ann", "item": "tea", "amount": 4.0},
            {"user": "ann", "item": "cup", "amount": 8.0},
        ]
    )

    reply = await score(plane, question("ann", "tea"))

    # Orders in the last hour, mean amount, the item's last amount; hour, gift, basket, web.
    vector = np.array([[2.0, 6.0, 4.0, 14.0, 1.0, 3.5, 1.0]], dtype=np.float32)
    assert [feature.value for feature in reply.features] == vector[0].tolist()
    assert reply.score == pytest.approx(float(logistic_scores(vector, WEIGHTS, BIAS)[0]), abs=1e-6)
    assert list(reply.feature_statuses) == [PRESENT] * 7


async def test_the_reply_says_who_answered_and_explains_when_asked(plane: DataPlane) -> None:
    version = plane.stock.version()
    await follow(plane, plane.stock.route(version))

    explained = await score(plane, question(prediction_id="mine"))
    plain = await score(plane, question(explain_features=False))

    assert (explained.model, explained.version, explained.variant) == (MODEL, version.version, "champion")
    assert explained.prediction_id == "mine"
    assert [feature.name for feature in explained.features] == list(
        plane.stock.project.contract(MODEL).feature_names
    )
    assert [feature.status for feature in explained.features] == list(explained.feature_statuses)
    assert not plain.features
    assert len(plain.feature_statuses) == 7
    assert plain.prediction_id not in {"", "mine"}


async def test_an_unknown_entity_has_missing_features_and_their_defaults(plane: DataPlane) -> None:
    await follow(plane, plane.stock.route(plane.stock.version()))
    reply = await score(plane, question("never seen", ""))
    assert [feature.value for feature in reply.features[:3]] == [0.0, 5.0, 9.0]
    assert list(reply.feature_statuses[:3]) == [MISSING] * 3


async def test_a_row_older_than_its_ttl_is_stale(plane: DataPlane) -> None:
    await follow(plane, plane.stock.route(plane.stock.version()))
    await plane.apply([{"item": "old", "amount": 2.0, "placed_at": "2013-04-03T08:39:00Z"}])
    reply = await score(plane, question(item="old"))
    assert reply.features[2].status == STALE
    assert reply.features[2].value == 9.0


async def test_every_reply_is_recorded_with_everything_needed_to_repeat_it(plane: DataPlane) -> None:
    route = plane.stock.route(plane.stock.version(WEIGHTS, BIAS))
    await follow(plane, route)
    await plane.apply([{"user": "bob", "item": "pot", "amount": 3.0}])
    asked = question("bob", "pot", request_key="order-17")

    reply = await score(plane, asked)

    event, made = await prediction(plane, reply.prediction_id)
    contract = plane.stock.project.contract(MODEL)
    assert (event.id, event.key, event.type) == (made.prediction_id, b"order-17", made.DESCRIPTOR.full_name)
    assert (event.time_us, event.recorded_time_us) == (NOW_US, NOW_US)
    assert (made.model, made.version, made.variant) == (reply.model, reply.version, reply.variant)
    assert (made.request_key, made.role, made.label) == ("order-17", Role.ROLE_CHAMPION, "will_return")
    assert (made.score, made.route_revision) == (reply.score, route.revision)
    assert made.request_time.ToMicroseconds() == NOW_US
    assert made.latency_us > 0
    assert dict(made.entities) == dict(asked.entities)
    assert {name: made.context[name] for name in made.context} == {
        name: asked.context[name] for name in asked.context
    }
    assert made.features.contract_hash == contract.hash
    assert made.features.values == np.array([f.value for f in reply.features], dtype="<f4").tobytes()
    assert made.features.statuses == bytes(reply.feature_statuses)
    assert [row.view for row in made.features.rows] == ["user_orders", "item_orders"]
    assert all(max(row.applied_offsets) >= 0 for row in made.features.rows)
    assert {row.recorded_watermark_us for row in made.features.rows} == {NOW_US}


async def test_a_row_that_was_not_found_has_no_position(plane: DataPlane) -> None:
    await follow(plane, plane.stock.route(plane.stock.version()))
    reply = await score(plane, question())
    _, made = await prediction(plane, reply.prediction_id)
    assert not made.features.rows


async def test_a_request_without_time_or_key_gets_the_servers_clock_and_its_own_id(plane: DataPlane) -> None:
    await follow(plane, plane.stock.route(plane.stock.version()))
    request = question()
    request.ClearField("request_time")
    reply = await score(plane, request)
    event, made = await prediction(plane, reply.prediction_id)
    assert made.request_time.seconds > NOW_S
    assert event.recorded_time_us == event.time_us == made.request_time.ToMicroseconds()
    assert made.request_key == reply.prediction_id


async def test_a_prediction_about_the_future_is_recorded_now(plane: DataPlane) -> None:
    await follow(plane, plane.stock.route(plane.stock.version()))
    reply = await score(plane, question(request_time=Timestamp(seconds=7_000_000_000)))
    event, _ = await prediction(plane, reply.prediction_id)
    assert event.time_us == 7_000_000_000_000_000
    assert event.recorded_time_us < event.time_us


async def test_the_callers_trace_goes_on_in_the_event(plane: DataPlane) -> None:
    await follow(plane, plane.stock.route(plane.stock.version()))
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    reply = await ScoringServiceStub(plane.channel).Score(question(), metadata=[("traceparent", trace)])
    event, _ = await prediction(plane, reply.prediction_id)
    assert event.traceparent == trace


async def test_a_durable_models_prediction_is_in_the_log_when_the_reply_is_here(plane: DataPlane) -> None:
    await follow(plane, plane.stock.route(plane.stock.version(model=DURABLE_MODEL), model=DURABLE_MODEL))
    reply = await score(plane, question(model=DURABLE_MODEL))
    _, made = await prediction(plane, reply.prediction_id)
    assert made.model == DURABLE_MODEL


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"model": ""}, "model"),
        ({"model": "m" * 129}, "model"),
        ({"prediction_id": "p" * 129}, "prediction_id"),
        ({"request_key": "k" * 257}, "request_key"),
        ({"entities": {"user": "u"}}, "entities[item]"),
        ({"entities": {"user": "u" * 257, "item": ""}}, "entities[user]"),
        ({"request_time": Timestamp(seconds=-1)}, "request_time"),
        ({"request_time": Timestamp(seconds=7_258_118_400)}, "request_time"),
        ({"request_time": Timestamp(seconds=1, nanos=-1)}, "request_time"),
        ({"context": {}}, "context[asked_at]"),
    ],
)
async def test_a_malformed_request_is_refused_by_its_field(
    plane: DataPlane, change: dict[str, Any], field: str
) -> None:
    await follow(plane, plane.stock.route(plane.stock.version()))
    await refused(plane, question(**change), grpc.StatusCode.INVALID_ARGUMENT, field)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("basket", Value(number=math.nan)),
        ("basket", Value(number=-math.inf)),
        ("basket", Value(text="three")),
        ("basket", Value()),
        ("gift", Value(number=1)),
        ("channel", Value(flag=True)),
        ("channel", Value(text="c" * 1025)),
        ("asked_at", Value(number=1.0)),
        ("asked_at", Value(time=Timestamp(seconds=-1))),
        ("unread", Value(number=math.inf)),
    ],
)
async def test_a_malformed_input_is_refused_by_its_name(plane: DataPlane, name: str, value: Value) -> None:
    await follow(plane, plane.stock.route(plane.stock.version()))
    request = question()
    request.context[name].CopyFrom(value)
    await refused(plane, request, grpc.StatusCode.INVALID_ARGUMENT, f"context[{name}]")


async def test_a_model_without_a_route_is_not_found(plane: DataPlane) -> None:
    await refused(plane, question(model="no-such"), grpc.StatusCode.NOT_FOUND, "no-such")


async def test_a_batch_is_answered_in_order_and_one_bad_request_spoils_no_other(plane: DataPlane) -> None:
    await follow(plane, plane.stock.route(plane.stock.version()))
    requests = [
        question(prediction_id="first"),
        question(entities={}),
        question(model="no-such"),
        question(context={"basket": Value()}),
        question(prediction_id="last"),
    ]

    results = (await score_batch(plane, requests)).results

    assert [result.WhichOneof("result") for result in results] == [
        "response",
        "error",
        "error",
        "error",
        "response",
    ]
    assert (results[0].response.prediction_id, results[4].response.prediction_id) == ("first", "last")
    assert results[1].error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert results[1].error.message.startswith("requests[1].entities[user]: ")
    assert results[2].error.code == grpc.StatusCode.NOT_FOUND.value[0]
    assert results[3].error.message.startswith("requests[3].context[basket]: ")


async def test_a_batch_and_single_requests_score_alike(plane: DataPlane) -> None:
    await follow(plane, plane.stock.route(plane.stock.version(WEIGHTS)))
    await plane.apply([{"user": f"u{n}", "item": f"i{n % 3}", "amount": float(n)} for n in range(20)])
    requests = [question(f"u{n}", f"i{n % 3}") for n in range(300)]
    batch = [result.response for result in (await score_batch(plane, requests)).results]
    alone = [await score(plane, request) for request in requests[:25]]
    assert [(one.score, one.features) for one in batch[:25]] == [(one.score, one.features) for one in alone]


async def test_an_empty_batch_has_no_results(plane: DataPlane) -> None:
    assert not (await score_batch(plane, [])).results


async def test_a_batch_beyond_the_bound_is_refused_whole(plane: DataPlane) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await score_batch(plane, [ScoreRequest()] * 1001)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (caught.value.details() or "").startswith("requests: ")


async def test_a_message_beyond_the_bound_is_refused(plane: DataPlane) -> None:
    request = question(request_key="k" * (5 * 1024 * 1024))
    await refused(plane, request, grpc.StatusCode.RESOURCE_EXHAUSTED, "larger than max")


async def test_a_small_message_that_holds_a_large_one_is_refused(plane: DataPlane) -> None:
    request = question(request_key="k" * (64 * 1024 * 1024))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ScoringServiceStub(plane.channel).Score(request, compression=grpc.Compression.Gzip)
    assert caught.value.code() in {grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.RESOURCE_EXHAUSTED}


async def test_concurrent_requests_get_their_own_answers(plane: DataPlane) -> None:
    await follow(plane, plane.stock.route(plane.stock.version(WEIGHTS)))
    await plane.apply([{"user": f"c{n}", "amount": float(n)} for n in range(40)])
    requests = [question(f"c{n % 40}", prediction_id=f"c{n}") for n in range(400)]
    replies = await asyncio.gather(*[score(plane, request) for request in requests])
    assert [reply.prediction_id for reply in replies] == [f"c{n}" for n in range(400)]
    assert {tuple(reply.feature_statuses) for reply in replies} == {
        (PRESENT, PRESENT, MISSING, *[PRESENT] * 4)
    }
    assert [reply.features[1].value for reply in replies] == [float(n % 40) for n in range(400)]


async def test_traffic_is_dealt_by_the_hash_of_the_request_key(plane: DataPlane) -> None:
    route = plane.stock.route(plane.stock.version(bias=1.0), plane.stock.version(bias=2.0), salt="deal")
    route.arms[0].weight_basis_points, route.arms[1].weight_basis_points = 7_000, 3_000
    await follow(plane, route)
    keys = [f"order-{n}" for n in range(200)]

    replies = await asyncio.gather(*[score(plane, question(request_key=key)) for key in keys])

    expected = [route.arms[arm_of((7_000, 3_000), "deal", key)] for key in keys]
    assert [reply.variant for reply in replies] == [arm.variant for arm in expected]
    assert [reply.version for reply in replies] == [arm.version.version for arm in expected]
    assert len({reply.variant for reply in replies}) == 2
    ids = {reply.prediction_id for reply in replies}
    predictions = [
        PredictionMade.FromString(event.data) for event in await plane.predictions() if event.id in ids
    ]
    assert len(predictions) == len(keys)
    roles = {made.variant: made.role for made in predictions}
    assert roles == {"champion": Role.ROLE_CHAMPION, "arm-1": Role.ROLE_CHALLENGER}


async def test_a_sticky_entity_meets_one_arm_whatever_the_request(plane: DataPlane) -> None:
    versions = (plane.stock.version(bias=1.0), plane.stock.version(bias=2.0))
    await follow(plane, plane.stock.route(*versions, sticky_entity="user", salt="stick"))
    for user in ("ann", "bob", "cat"):
        replies = [await score(plane, question(user, request_key=f"{user}-{n}")) for n in range(5)]
        expected = "champion" if point("stick", user) < 5_000 else "arm-1"
        assert {reply.variant for reply in replies} == {expected}
    await refused(plane, question(""), grpc.StatusCode.INVALID_ARGUMENT, "entities[user]")


async def test_the_first_segment_that_a_request_is_of_answers(plane: DataPlane) -> None:
    versions = [plane.stock.version(bias=float(number)) for number in range(4)]
    route = plane.stock.route(versions[0], salt="deal")
    route.segments.append(_segment("vips", _entity_is("user", "ann", "bob"), versions=versions[1:3]))
    basket = Condition(input="basket", within=NumberRange(at_least=3.5, less_than=10))
    web = Condition(input="channel", any_of=AnyOf(values=[Value(text="web")]))
    route.segments.append(_segment("large-on-the-web", basket, web, versions=versions[3:]))
    await follow(plane, route)

    small = dict(question().context) | {"basket": Value(number=3.4)}
    requests = {
        "vips": [question("ann", request_key=f"order-{n}") for n in range(40)],
        "large-on-the-web": [question("cat")],
        "": [question("cat", context=small)],
    }
    for name, asked in requests.items():
        replies = await asyncio.gather(*[score(plane, one) for one in asked])
        ids = {reply.prediction_id for reply in replies}
        predictions = [PredictionMade.FromString(event.data) for event in await plane.predictions()]
        assert {made.segment for made in predictions if made.prediction_id in ids} == {name}
        arms = next((one.arms for one in route.segments if one.name == name), route.arms)
        weights = [arm.weight_basis_points for arm in arms]
        expected = [arms[arm_of(weights, "deal", one.request_key)].version.version for one in asked]
        assert [reply.version for reply in replies] == expected


@pytest.mark.parametrize(
    "condition",
    [
        Condition(entity="nobody", any_of=AnyOf(values=[Value(text="x")])),
        Condition(input="weather", any_of=AnyOf(values=[Value(text="x")])),
        Condition(input="basket", any_of=AnyOf(values=[Value(text="x")])),
        Condition(input="channel", within=NumberRange(at_least=1)),
        Condition(input="asked_at", any_of=AnyOf(values=[Value(time=Timestamp(seconds=1, nanos=-5))])),
        Condition(entity="user", any_of=AnyOf(values=[Value()])),
        Condition(entity="user"),
        Condition(any_of=AnyOf(values=[Value(text="x")])),
    ],
    ids=lambda condition: " ".join(str(condition).split()),
)
async def test_a_segment_that_asks_what_no_request_says_is_refused(
    plane: DataPlane, condition: Condition
) -> None:
    good = plane.stock.version()
    await follow(plane, plane.stock.route(good))
    route = plane.stock.route(plane.stock.version(bias=1.0))
    route.segments.append(_segment("odd", condition, versions=[good]))

    await follow(plane, route)

    assert (await score(plane, question())).version == good.version


def _segment(name: str, *conditions: Condition, versions: Sequence[VersionRef]) -> Segment:
    arms = [
        Arm(
            variant=f"{name}-{number}",
            role=Role.ROLE_CHALLENGER,
            version=version,
            weight_basis_points=10_000 // len(versions),
        )
        for number, version in enumerate(versions)
    ]
    return Segment(name=name, conditions=conditions, arms=arms)


def _entity_is(name: str, *keys: str) -> Condition:
    return Condition(entity=name, any_of=AnyOf(values=[Value(text=key) for key in keys]))


async def test_a_newer_route_takes_over_and_an_older_one_does_not(plane: DataPlane) -> None:
    old, new = plane.stock.version(bias=-1.0), plane.stock.version(bias=1.0)
    late = plane.stock.route(old)
    await follow(plane, plane.stock.route(new))
    assert (await score(plane, question())).version == new.version
    await follow(plane, late)
    assert (await score(plane, question())).version == new.version
    await follow(plane, plane.stock.route(old))
    assert (await score(plane, question())).version == old.version


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("digest", "DIGEST_MISMATCH"),
        ("contract", "CONTRACT_MISMATCH"),
        ("missing", "MISSING_FILE"),
        ("outside", "UNSAFE_PATH"),
        ("weights", "INVALID_ROUTE"),
        ("model", "MODEL_MISMATCH"),
    ],
)
async def test_a_route_that_cannot_be_trusted_leaves_the_one_before_in_place_and_is_said_to(
    plane: DataPlane, fault: str, reason: str
) -> None:
    good = plane.stock.version(bias=-1.0)
    await follow(plane, plane.stock.route(good))
    bad = plane.stock.version(bias=1.0)
    if fault == "digest":
        # Damaged for good: no other test may be given this one.
        bad = plane.stock.version(bias=1.5)
        model = Path(bad.package_uri.removeprefix("file://")) / "model.onnx"
        model.write_bytes(model.read_bytes()[:-1])
    elif fault == "contract":
        bad = plane.stock.version(bias=1.0, contract_hash="d" * 64)
    elif fault == "missing":
        bad.digest, bad.package_uri = "1" * 64, bad.package_uri.replace(bad.digest, "1" * 64)
    elif fault == "outside":
        bad.package_uri = "file:///etc"
    route = plane.stock.route(bad)
    if fault == "weights":
        route.arms[0].weight_basis_points = 9_999
    if fault == "model":
        route.arms[0].version.CopyFrom(plane.stock.version(model=DURABLE_MODEL))

    await follow(plane, route)

    assert (await score(plane, question())).version == good.version
    await is_serving(plane)
    said = await _said_of(plane, route)
    assert (said.uptake, said.reason) == (RouteUptake.ROUTE_UPTAKE_REFUSED, reason)
    assert said.serving_revision < route.revision


async def test_a_route_that_is_followed_is_said_to_be(plane: DataPlane) -> None:
    route = plane.stock.route(plane.stock.version())
    await follow(plane, route)
    said = await _said_of(plane, route)
    assert (said.uptake, said.role, said.serving_revision) == (
        RouteUptake.ROUTE_UPTAKE_FOLLOWED,
        "serve",
        route.revision,
    )
    assert said.replica
    assert said.beat_seconds > 0
    assert said.followed_at.ToMicroseconds() > NOW_US


async def _said_of(plane: DataPlane, route: RouteChanged) -> RouteFollowed:
    """What the plane says first about a route; it says so beside the requests, so it may take a moment."""
    async with asyncio.timeout(30):
        while True:
            for event in await plane.said():
                said = RouteFollowed.FromString(event.data)
                if (said.model, said.revision) == (route.model, route.revision):
                    assert event.key == f"{said.replica}/{said.model}".encode()
                    return said
            await score(plane, question())


async def test_of_a_sampled_model_the_declared_share_is_recorded_and_says_so(plane: DataPlane) -> None:
    version = plane.stock.version(model=SAMPLED_MODEL)
    await follow(plane, plane.stock.route(version, model=SAMPLED_MODEL))
    keys = [f"sampled-{number}" for number in range(240)]
    requests = [question(model=SAMPLED_MODEL, request_key=key, prediction_id=key) for key in keys]
    # Some each by itself, the others as one batch.
    await asyncio.gather(*[score(plane, request) for request in requests[:40]])
    await score_batch(plane, requests[40:])

    logged = {key for key in keys if point(f"log:{SAMPLED_MODEL}", key) < 2_500}
    made = [PredictionMade.FromString(event.data) for event in await plane.predictions()]
    assert {one.request_key for one in made if one.model == SAMPLED_MODEL} == logged
    assert {one.log_share for one in made if one.model == SAMPLED_MODEL} == {0.25}
    assert 0 < len(logged) < len(keys)


async def test_a_record_that_is_no_route_changes_nothing(plane: DataPlane) -> None:
    version = plane.stock.version()
    await follow(plane, plane.stock.route(version))
    event = route_event(plane.stock.route(version))
    await plane.publish_route(Event(event.id, "x", "test", "", 0, 0, event.key, b"\xff\xffnot a message"))
    await follow(plane, plane.stock.route(version))
    assert (await score(plane, question())).version == version.version


async def test_a_withdrawn_route_is_no_more(plane: DataPlane) -> None:
    route = plane.stock.route(plane.stock.version(model=DURABLE_MODEL), model=DURABLE_MODEL)
    await follow(plane, route)
    event = route_event(route)
    gone = Event(f"{event.id}-gone", event.type, "test", "", 0, 0, event.key, b"", tombstone=True)
    await plane.publish_route(gone)
    await follow(plane, plane.stock.route(plane.stock.version()))
    await refused(plane, question(model=DURABLE_MODEL), grpc.StatusCode.NOT_FOUND, DURABLE_MODEL)


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_health_and_reflection_answer(plane: DataPlane, version: str) -> None:
    await is_serving(plane)
    reflect = plane.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=ServerReflectionRequest.SerializeToString,
        response_deserializer=ServerReflectionResponse.FromString,
    )
    listing = reflect(iter([ServerReflectionRequest(list_services="")]))
    names = {service.name async for reply in listing for service in reply.list_services_response.service}
    assert names >= {"tidemark.scoring.v1.ScoringService", "grpc.health.v1.Health"}

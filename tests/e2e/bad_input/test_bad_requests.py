"""Requests that no model could answer well, and packages that are not what was registered.

A bad request is refused by the name of its field; a damaged package never serves, and what served before
goes on.
"""

from __future__ import annotations

import asyncio
import json
import math
from typing import TYPE_CHECKING, Any, Final

import grpc
import httpx
import numpy as np
import pytest
from bus.topics import ROUTES_CHANGED
from careless.records import EVENING_US, Record, sent, stamp
from careless.scene import Scene, opened
from careless.serving import INFERENCE, MODEL, announce_route, put_package
from feature_store import RequestTime
from google.protobuf.timestamp_pb2 import Timestamp
from tidemark.common.v1.value_pb2 import Value
from tidemark.registry.v1.route_pb2 import RouteChanged
from tidemark.scoring.v1.feature_vector_pb2 import FeatureStatus
from tidemark.scoring.v1.scoring_service_pb2 import ScoreRequest
from tidemark.scoring.v1.scoring_service_pb2_grpc import ScoringServiceStub
from tidemark_cli.platform import ProcessSpec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from model_package import Package
    from tidemark.scoring.v1.scoring_service_pb2_grpc import ScoringServiceAsyncStub

pytestmark = pytest.mark.stack

ROUTE: Final = f"/v1/models/{MODEL}/route"
VERSIONS: Final = f"/v1/models/{MODEL}/versions"
DEADLINE_SECONDS: Final = 20.0


@pytest.fixture(scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    async with opened(tmp_path_factory.mktemp("bad-requests")) as scene:
        yield scene


@pytest.fixture(scope="module")
async def registry(scene: Scene) -> AsyncIterator[httpx.AsyncClient]:
    process = await scene.platform.start(ProcessSpec("control-plane", "control_plane", ports=("HTTP_PORT",)))
    async with httpx.AsyncClient(
        base_url=process.url("HTTP_PORT"), headers={"Tidemark-Actor": "ada"}, trust_env=False
    ) as client:
        yield client


@pytest.fixture(scope="module")
async def sound(scene: Scene, registry: httpx.AsyncClient) -> Package:
    """The version that serves, as it should."""
    package = put_package(scene, bias=0.5)
    assert (await register(registry, package)).status_code == httpx.codes.CREATED
    await approve(registry, package)
    routed = await registry.put(ROUTE, json={"champion": package.version})
    assert routed.status_code == httpx.codes.CREATED
    return package


@pytest.fixture(scope="module")
async def scoring(scene: Scene, sound: Package) -> AsyncIterator[ScoringServiceAsyncStub]:
    """A service that serves the sound version: it is ready once it does."""
    assert sound.version
    process = await scene.platform.start(INFERENCE)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{process.ports['GRPC_PORT']}") as channel:
        yield ScoringServiceStub(channel)


def question(**changes: Any) -> ScoreRequest:
    """A request as it should be, but for the changes."""
    request = ScoreRequest(
        model=MODEL,
        entities={"origin": "JFK", "destination": "LAX", "carrier": "DL", "tail_number": "N713TW"},
        context={"scheduled_at": Value(time=stamp(EVENING_US)), "distance_miles": Value(number=2475)},
        request_time=stamp(EVENING_US),
        explain_features=True,
    )
    request.MergeFrom(ScoreRequest(**changes))
    return request


def without(part: str, name: str) -> ScoreRequest:
    request = question()
    del getattr(request, part)[name]
    return request


def far(value: Value) -> ScoreRequest:
    return question(context={"distance_miles": value})


BAD_REQUESTS: Final = {
    "entities[tail_number]: is missing": without("entities", "tail_number"),
    "entities[origin]: is longer than 256 bytes": question(entities={"origin": "J" * 300}),
    "context[scheduled_at]: is missing": without("context", "scheduled_at"),
    "context[scheduled_at]: must be a time": question(
        context={"scheduled_at": Value(time=Timestamp(seconds=10**12))}
    ),
    "context[distance_miles]: must be a number, is a text": far(Value(text="far")),
    "context[distance_miles]: has no value": far(Value()),
    "request_time: must be from 1970": question(request_time=Timestamp(seconds=-(10**12))),
    "request_time: has -1 nanos": question(request_time=Timestamp(nanos=-1)),
}


@pytest.mark.parametrize("told", BAD_REQUESTS)
async def test_a_bad_request_is_refused_by_the_name_of_its_field(
    scoring: ScoringServiceAsyncStub, told: str
) -> None:
    await is_refused(scoring, BAD_REQUESTS[told], told)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
async def test_a_number_that_is_not_finite_is_refused(
    scoring: ScoringServiceAsyncStub, number: float
) -> None:
    await is_refused(scoring, far(Value(number=number)), "context[distance_miles]: must be a finite number")


async def is_refused(scoring: ScoringServiceAsyncStub, request: ScoreRequest, told: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await scoring.Score(request, timeout=DEADLINE_SECONDS)

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert told in str(refused.value.details())


async def test_entities_nobody_has_heard_of_are_missing_and_scored(
    scene: Scene, scoring: ScoringServiceAsyncStub
) -> None:
    strangers = {"origin": "???", "destination": "\x00", "carrier": "", "tail_number": "\U0001f6e9" * 60}

    reply = await scoring.Score(question(entities=strangers), timeout=DEADLINE_SECONDS)

    contract = scene.project.contract(MODEL)
    asked = np.array([isinstance(feature, RequestTime) for feature in contract.features])
    values = np.array([feature.value for feature in reply.features], np.float32)
    statuses = np.array(reply.feature_statuses)
    assert set(statuses[asked]) == {FeatureStatus.FEATURE_STATUS_PRESENT}
    assert set(statuses[~asked]) == {FeatureStatus.FEATURE_STATUS_MISSING}
    assert np.array_equal(values[~asked], contract.defaults[~asked])
    assert 0 < reply.score < 1


async def test_an_unknown_model_is_not_found(scoring: ScoringServiceAsyncStub) -> None:
    request = question()
    request.model = "flight-delays"
    with pytest.raises(grpc.aio.AioRpcError, match="no route") as refused:
        await scoring.Score(request, timeout=DEADLINE_SECONDS)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_the_control_plane_routes_to_no_damaged_package_and_registers_none(
    scene: Scene, registry: httpx.AsyncClient, scoring: ScoringServiceAsyncStub, sound: Package
) -> None:
    registered, offered = put_package(scene, bias=1.0), put_package(scene, bias=1.5)
    assert (await register(registry, registered)).status_code == httpx.codes.CREATED
    await approve(registry, registered)
    for package in (registered, offered):
        flip_a_byte(stored(scene, package))

    routed = await registry.put(ROUTE, json={"champion": registered.version})

    for refusal in (routed, await register(registry, offered)):
        problem = refusal.json()
        assert (refusal.status_code, problem["reason"]) == (422, "DIGEST_MISMATCH")
        assert "model.onnx" in problem["detail"]
    route = (await registry.get(ROUTE)).json()
    assert (route["champion"]["version"], route["revision"]) == (sound.version, 1)
    assert await serving_version(scoring) == sound.version


async def test_a_damaged_package_that_is_routed_to_all_the_same_never_serves(
    scene: Scene, scoring: ScoringServiceAsyncStub, sound: Package
) -> None:
    damaged = put_package(scene, bias=2.0)
    flip_a_byte(stored(scene, damaged))
    armless = RouteChanged(model=MODEL, revision=2).SerializeToString()
    unreadable = Record(ROUTES_CHANGED.name, MODEL.encode(), b"no envelope", ())
    await scene.send([unreadable, *(sent(ROUTES_CHANGED.name, MODEL, value) for value in (b"\xff", armless))])
    await announce_route(scene, damaged, revision=3)

    await until(scene, lambda total: total("inference_routes_refused_total", reason="DIGEST_MISMATCH") > 0)

    assert await serving_version(scoring) == sound.version
    log = scene.platform.processes["inference"].log_path.read_text()
    refusals = [json.loads(line) for line in log.splitlines() if "route refused" in line]
    refused = {refusal["reason"]: refusal for refusal in refusals}
    assert refused.keys() == {"INVALID_ROUTE", "DIGEST_MISMATCH"}
    assert f"model.onnx of package {damaged.uri}" in refused["DIGEST_MISMATCH"]["detail"]
    assert {refusal["serving_revision"] for refusal in refusals} == {1}

    flip_a_byte(stored(scene, damaged))
    await until(scene, lambda total: total("inference_route_revision", model=MODEL) == 3)

    assert await serving_version(scoring) == damaged.version


async def serving_version(scoring: ScoringServiceAsyncStub) -> str:
    reply = await scoring.Score(question(), timeout=DEADLINE_SECONDS)
    return str(reply.version)


async def register(registry: httpx.AsyncClient, package: Package) -> httpx.Response:
    body = {"version": package.version, "digest": package.digest, "package_uri": package.uri}
    return await registry.post(VERSIONS, json=body)


async def approve(registry: httpx.AsyncClient, package: Package) -> None:
    """Somebody else than who registered it lets it serve."""
    decision = f"/v1/approvals/version:{MODEL}:{package.version}/decision"
    approved = await registry.post(
        decision, json={"decision": "approve", "comment": "sound"}, headers={"Tidemark-Actor": "bo"}
    )
    assert approved.status_code == httpx.codes.OK, approved.text


def stored(scene: Scene, package: Package) -> Path:
    return scene.packages / package.digest / "model.onnx"


def flip_a_byte(path: Path) -> None:
    """Changes a byte in the middle, or changes it back."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


async def until(scene: Scene, condition: Callable[[Callable[..., float]], bool]) -> None:
    """Returns when inference's metrics say so: what it makes of a route it tells nowhere else."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not condition((await scene.platform.metrics("inference")).total):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)

"""Two hundred models under a budget for some twenty: memory stays bounded, and every one of them answers."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import crowd
import grpc
import numpy as np
import psutil
import pytest
from bus.producer import KafkaPublisher
from bus.topics import CATALOGUE, ROUTES_CHANGED, ensure_topics
from feature_store import load_project
from inference_kit.process import KIT, Process
from inference_kit.stock import route_event
from local_stack import LocalStack
from model_package import Golden, PackageStore, write_package
from model_package.testing import facts, logistic_model, logistic_scores
from tidemark.common.v1.value_pb2 import Value
from tidemark.registry.v1.route_pb2 import Arm, RouteChanged, VersionRef
from tidemark.scoring.v1.prediction_pb2 import Role
from tidemark.scoring.v1.scoring_service_pb2 import ScoreBatchRequest, ScoreRequest
from tidemark.scoring.v1.scoring_service_pb2_grpc import ScoringServiceStub

pytestmark = pytest.mark.stack

BUDGET_MB = 20
# Each holds about a megabyte, so that all of them would take ten times the budget.
PADDING = "x" * 300_000
GROWTH_MB = 80


async def test_two_hundred_models_answer_within_a_budget_for_twenty(
    tmp_path: Path, own_stack: Callable[..., Awaitable[LocalStack]]
) -> None:
    stack = await own_stack()
    await ensure_topics(stack.kafka_bootstrap, CATALOGUE)
    async with KafkaPublisher(stack.kafka_bootstrap, client_id="test") as publisher:
        await publisher.publish_all(ROUTES_CHANGED.name, [route_event(route) for route in _routes(tmp_path)])
    process = Process(
        tmp_path / "inference.log",
        {
            **stack.environment(),
            "PYTHONPATH": str(KIT),
            "TIDEMARK_PROJECT": "crowd",
            "PACKAGES_URI": str(tmp_path / "packages"),
            "GRPC_HOST": "127.0.0.1",
            "GRPC_PORT": "0",
            "LOG_FORMAT": "json",
            "MODEL_MEMORY_MB": str(BUDGET_MB),
        },
    )
    process.start()
    try:
        await process.says(re.compile(r'"event": "ready"'))
        async with grpc.aio.insecure_channel(await process.address()) as channel:
            stub = ScoringServiceStub(channel)
            before = psutil.Process(process.pid).memory_info().rss
            scores = [(await stub.Score(_question(number))).score for number in range(crowd.MODELS)]
            grown = psutil.Process(process.pid).memory_info().rss - before

            assert len(set(scores)) == crowd.MODELS
            assert grown < GROWTH_MB * 1_000_000
            loads = _count(
                await process.page("metrics"), 'inference_model_load_seconds_count{model="crowd-0"}'
            )
            together = await asyncio.gather(*[stub.Score(_question(0)) for _ in range(50)])
            assert {reply.score for reply in together} == {scores[0]}
            page = await process.page("metrics")
            assert _count(page, 'inference_model_load_seconds_count{model="crowd-0"}') == loads + 1
            assert _count(page, "inference_models_bytes") <= BUDGET_MB * 1_000_000
            batch = await stub.ScoreBatch(
                ScoreBatchRequest(requests=[_question(number) for number in range(60, 80)])
            )
            assert [one.response.score for one in batch.results] == scores[60:80]
            with pytest.raises(grpc.aio.AioRpcError) as late:
                await stub.Score(_question(100), timeout=0.000_1)
            assert late.value.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
    finally:
        process.stop()


def _routes(folder: Path) -> list[RouteChanged]:
    project = load_project("crowd")
    store = PackageStore(folder / "packages")
    vectors = np.array([[0.0], [1.0], [-2.0]], np.float32)
    routes = []
    for number in range(crowd.MODELS):
        model, weights = f"crowd-{number}", [number / 100]
        contract = project.contract(model)
        write_package(
            folder / model,
            facts=facts(model, contract.feature_names, contract_hash=contract.hash.hex()),
            model=logistic_model(weights, 0.0),
            golden=Golden(vectors, logistic_scores(vectors, weights, 0.0)),
            reference_profile={"padding": PADDING},
        )
        put = store.put(folder / model)
        version = VersionRef(version=put.version, digest=put.digest, package_uri=put.uri)
        arm = Arm(variant="champion", role=Role.ROLE_CHAMPION, version=version, weight_basis_points=10_000)
        routes.append(RouteChanged(model=model, revision=1, salt="s", arms=[arm]))
    return routes


def _question(number: int) -> ScoreRequest:
    return ScoreRequest(model=f"crowd-{number}", context={"amount": Value(number=1.0)})


def _count(page: str, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", page, re.MULTILINE)
    assert found, f"{name} is not in {page}"
    return float(found[1])

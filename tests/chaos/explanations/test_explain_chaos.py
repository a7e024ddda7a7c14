"""Every declined decision is explained, whatever is killed, and by the same bytes."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import numpy as np
import pytest
from bus.events import Event
from bus.producer import KafkaPublisher
from bus.topics import (
    CATALOGUE,
    MODELS_REGISTERED,
    PREDICTIONS_EXPLAINED,
    PREDICTIONS_MADE,
    dead_letter_of,
    ensure_topics,
)
from explain_shelf import VECTOR, background, made_event, prediction, registered_event
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from inference_kit.process import SAYS_PORT, Process, environment_of, read_all
from inference_kit.stock import Stock
from local_stack import LocalStack
from tidemark.explanations.v1.explain_service_pb2 import ExplainRequest
from tidemark.explanations.v1.explain_service_pb2_grpc import ExplainServiceStub
from tidemark.explanations.v1.prediction_explained_pb2 import PredictionExplained

pytestmark = pytest.mark.stack

StartStack = Callable[..., Awaitable[LocalStack]]

DECISIONS = 120
IMPORT_SECONDS = 240  # of shap and scikit-learn: five, but minutes where the machine does other work


def _process(folder: Path, stack: LocalStack, stock: Stock) -> Process:
    environment = environment_of(stack, stock)
    paths = [environment["PYTHONPATH"], str(Path(__file__).parent / "kit")]
    return Process(
        folder / "explain.log",
        {
            **environment,
            "PYTHONPATH": os.pathsep.join(paths),
            "TIDEMARK_PROJECT": "declining_shop",
            "LAKE_URI": str(folder / "lake"),
            "EXPLAIN_BATCH": "8",
        },
        ("--role", "explain"),
    )


async def _explained(stack: LocalStack, at_least: int) -> list[Event]:
    async with asyncio.timeout(120):
        while True:
            found = await read_all(stack.kafka_bootstrap, PREDICTIONS_EXPLAINED.name)
            if len({event.id for event in found}) >= at_least:
                return found


@pytest.mark.timeout(600)
async def test_every_declined_decision_is_explained_through_a_kill_9(
    tmp_path: Path, own_stack: StartStack
) -> None:
    stack = await own_stack(valkey=None)
    await ensure_topics(stack.kafka_bootstrap, CATALOGUE)
    stock = Stock(tmp_path)
    version = stock.version([1.0, -0.5, 0.25, 0.0, 2.0, -1.0, 0.5], background=background(100))
    vectors = np.random.default_rng(2).normal(size=(DECISIONS, len(VECTOR))).astype(np.float32)
    made = [
        prediction(f"d{number}", version.version, vector=vector)
        for number, vector in enumerate(np.concatenate([vectors, -vectors]))
    ]
    declined = {f"{one.prediction_id}:explained" for one in made if one.score < 0.5}
    process = _process(tmp_path, stack, stock)
    async with KafkaPublisher(stack.kafka_bootstrap, client_id="test") as publisher:
        await publisher.publish(MODELS_REGISTERED.name, registered_event(version))
        process.start()
        try:
            await process.says(SAYS_PORT, IMPORT_SECONDS)
            await publisher.publish_all(PREDICTIONS_MADE.name, [made_event(one) for one in made])
            await _explained(stack, 8)
            process.kill()
            process.start()
            await process.says(SAYS_PORT, IMPORT_SECONDS)
            found = await _explained(stack, len(declined))
            await _asked_by_id(process, found[0])
        finally:
            code = process.stop()

    assert code == 0
    assert {event.id for event in found} == declined
    by_id: dict[str, set[bytes]] = {}
    for event in found:
        by_id.setdefault(event.id, set()).add(event.data)
    assert all(len(told) == 1 for told in by_id.values()), "a repeat said something else"
    assert not await read_all(stack.kafka_bootstrap, dead_letter_of(PREDICTIONS_MADE.name))


async def _asked_by_id(process: Process, event: Event) -> None:
    """Ask for the explanation that was told as an event: it is the same."""
    told = PredictionExplained.FromString(event.data)
    async with grpc.aio.insecure_channel(await process.address()) as channel:
        async with asyncio.timeout(60):
            async for health in HealthStub(channel).Watch(HealthCheckRequest()):
                if health.status == HealthCheckResponse.SERVING:
                    break
        answer = await ExplainServiceStub(channel).Explain(ExplainRequest(prediction_id=told.prediction_id))
        assert answer.explanation == told.explanation
        with pytest.raises(grpc.aio.AioRpcError, match=r"nor in the lake's table") as caught:
            await ExplainServiceStub(channel).Explain(ExplainRequest(prediction_id="never"))
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND

"""The role put together, on memory: what a caller of its port sees."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import structlog
from bus.follow import MemoryTail
from bus.memory import MemoryLog, MemoryPublisher
from bus.topics import MODELS_REGISTERED, PREDICTIONS_MADE, ROUTES_CHANGED
from explain_shelf import VECTOR, Shelf, made_event, prediction, registered_event, score_of
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from inference.explain.lake import LakePredictions
from inference.explain.role import ExplainOutside, explain
from inference.explain.settings import ExplainSettings
from inference_kit.stock import MODEL, route_event
from model_package import Outputs, PackageStore, Scorer
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry
from service_kit import Health, Service
from tidemark.explanations.v1.explain_service_pb2 import ExplainRequest, ExplainResponse, GivenVector
from tidemark.explanations.v1.explain_service_pb2_grpc import ExplainServiceStub
from tidemark_cli.testing import Cli

Code = grpc.StatusCode


@dataclass
class Running:
    """The role, its topics, and a channel to its port."""

    shelf: Shelf
    log: MemoryLog
    address: str
    channel: grpc.aio.Channel

    async def ask(self, seconds: float | None = None, **fields: Any) -> ExplainResponse:
        """Ask it."""
        stub = ExplainServiceStub(self.channel)
        answer: ExplainResponse = await stub.Explain(ExplainRequest(**fields), timeout=seconds)
        return answer

    async def refusal(self, seconds: float | None = None, **fields: Any) -> tuple[grpc.StatusCode, str]:
        """Ask it, and return how it refuses."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.ask(seconds, **fields)
        return caught.value.code(), caught.value.details() or ""

    async def known(self) -> str:
        """Return the name of a version that is registered and routed, once it is known."""
        version = self.shelf.version()
        publisher = MemoryPublisher(self.log)
        await publisher.publish(MODELS_REGISTERED.name, registered_event(version))
        await publisher.publish(ROUTES_CHANGED.name, route_event(self.shelf.stock.route(version)))
        async with asyncio.timeout(20):
            while True:
                with suppress(grpc.aio.AioRpcError):
                    await self.ask(vector=given())
                    return version.version


def given(**changes: Any) -> GivenVector:
    fields: dict[str, Any] = {"model": MODEL, "values": VECTOR.tolist()}
    return GivenVector(**{**fields, **changes})


@asynccontextmanager
async def role(folder: Path, **settings: Any) -> AsyncIterator[Running]:
    shelf = Shelf(folder)
    log = MemoryLog()
    service = Service("explain", structlog.stdlib.get_logger(), health=Health(), metrics=CollectorRegistry())
    listening: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    outside = ExplainOutside(
        registered=MemoryTail(log, MODELS_REGISTERED.name),
        routes=MemoryTail(log, ROUTES_CHANGED.name),
        predictions=MemoryTail(log, PREDICTIONS_MADE.name),
        packages=PackageStore(shelf.stock.packages),
        older=LakePredictions(str(folder / "lake")),
        publisher=MemoryPublisher(log),
        consume=lambda _handler: pytest.fail("the shop has no policy"),
    )
    wanted = ExplainSettings(grpc_host="127.0.0.1", grpc_port=0, **settings)
    running = asyncio.ensure_future(
        explain(service, wanted, shelf.stock.project, outside, listening.set_result)
    )
    address = f"127.0.0.1:{await listening}"
    async with grpc.aio.insecure_channel(address) as channel:
        yield Running(shelf, log, address, channel)
        service.stop.set()
        await running


async def test_a_prediction_is_explained_by_its_own_vector_and_version(tmp_path: Path) -> None:
    async with role(tmp_path) as running:
        version = await running.known()
        made = made_event(prediction("p1", version))
        await MemoryPublisher(running.log).publish(PREDICTIONS_MADE.name, made)
        answer = await running.ask(prediction_id="p1", reasons=1)

    explanation = answer.explanation
    assert (explanation.model, explanation.version, explanation.output) == (MODEL, version, "score")
    assert answer.recorded_score == score_of(VECTOR)
    assert (answer.request_key, dict(answer.entities)) == ("key-p1", {"user": "ann", "item": "tea"})
    total = explanation.base_value + sum(one.contribution for one in explanation.contributions)
    assert total == pytest.approx(answer.recorded_score, abs=1e-6)
    assert [one.feature for one in explanation.contributions][:2] == [
        "user_orders.orders_1h",
        "user_orders.mean_amount_24h",
    ]
    assert len(explanation.reasons) == 2
    assert not explanation.notes


async def test_a_given_vector_is_explained_by_the_champion(tmp_path: Path) -> None:
    async with role(tmp_path) as running:
        version = await running.known()
        answer = await running.ask(vector=given(entities={"user": "bob"}))
        named = await running.ask(vector=given(version=version))
    assert answer.explanation.version == version
    assert answer.explanation.contributions == named.explanation.contributions
    assert any("of bob" in reason.text for reason in answer.explanation.reasons)
    assert not answer.HasField("recorded_score")


async def test_a_score_that_is_another_here_is_told(tmp_path: Path) -> None:
    async with role(tmp_path) as running:
        made = made_event(prediction("p1", await running.known(), score=0.123))
        await MemoryPublisher(running.log).publish(PREDICTIONS_MADE.name, made)
        answer = await running.ask(prediction_id="p1")
    [note] = answer.explanation.notes
    assert "0.123 was recorded" in note


@pytest.mark.parametrize(
    ("fields", "code", "says"),
    [
        ({}, Code.INVALID_ARGUMENT, "subject: is missing"),
        ({"prediction_id": ""}, Code.INVALID_ARGUMENT, "prediction_id: is empty"),
        ({"prediction_id": "p9"}, Code.NOT_FOUND, "'p9' is neither among the newest 0"),
        ({"vector": given(model="")}, Code.INVALID_ARGUMENT, "vector.model: is missing"),
        ({"vector": given(model="none")}, Code.NOT_FOUND, "model 'none' has no route"),
        ({"vector": given(version="none")}, Code.NOT_FOUND, "no version 'none' of model 'returns'"),
        ({"vector": given(values=[1, 2])}, Code.INVALID_ARGUMENT, "vector.values: has 2 values"),
        ({"vector": given(values=[])}, Code.INVALID_ARGUMENT, "vector.values: has 0 values"),
        (
            {"vector": given(values=[1, np.nan, 3])},
            Code.INVALID_ARGUMENT,
            "vector.values[1]: is nan: must be finite",
        ),
        ({"vector": given(values=[np.inf])}, Code.INVALID_ARGUMENT, "vector.values[0]: is inf"),
        ({"vector": given(statuses=[1])}, Code.INVALID_ARGUMENT, "vector.statuses: has 1 entries for 7"),
        ({"vector": given(statuses=[1] * 6 + [9])}, Code.INVALID_ARGUMENT, "vector.statuses[6]: is 9"),
        ({"vector": given(), "output": "x"}, Code.INVALID_ARGUMENT, "output: "),
        ({"vector": given(), "element": 1}, Code.INVALID_ARGUMENT, "element: is 1"),
        ({"vector": given(), "reasons": 101}, Code.INVALID_ARGUMENT, "reasons: is 101"),
        ({"vector": given(), "reasons": -1}, Code.INVALID_ARGUMENT, "reasons: is -1"),
    ],
)
async def test_bad_input_is_named(
    running: Running, fields: dict[str, Any], code: grpc.StatusCode, says: str
) -> None:
    found, details = await running.refusal(**fields)
    assert (found, says in details) == (code, True), details


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with role(tmp_path_factory.mktemp("explain")) as running:
        await running.known()
        yield running


async def test_a_slow_model_stalls_neither_health_nor_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    began = threading.Event()

    def answers_slowly(scorer: Scorer, rows: NDArray[np.float32]) -> Outputs:
        began.set()
        go_on.wait(30)
        return Outputs(scorer.score_list(rows), {})

    async with role(tmp_path, explain_waiting=1) as running:
        await running.known()
        monkeypatch.setattr(Scorer, "answer", answers_slowly)
        other = given(values=(VECTOR + 1).tolist())
        waiting = asyncio.ensure_future(running.ask(vector=other))
        assert await asyncio.to_thread(began.wait, 30)

        health = await HealthStub(running.channel).Check(HealthCheckRequest(), timeout=5)
        assert health.status == HealthCheckResponse.SERVING
        # Nobody else is explained meanwhile; who asks is told so at once.
        code, details = await running.refusal(vector=given(values=(VECTOR + 2).tolist()))
        assert (code, "1 explanations wait" in details) == (Code.RESOURCE_EXHAUSTED, True)
        # What was explained before is still answered.
        assert (await running.ask(vector=given())).explanation.model == MODEL
        go_on.set()
        assert (await waiting).explanation.model == MODEL


async def test_a_deadline_that_passes_ends_the_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()

    def answers_slowly(scorer: Scorer, rows: NDArray[np.float32]) -> Outputs:
        go_on.wait(30)
        return Outputs(scorer.score_list(rows), {})

    async with role(tmp_path, explain_seconds=0.2) as running:
        await running.known()
        monkeypatch.setattr(Scorer, "answer", answers_slowly)
        code, _ = await running.refusal(vector=given(values=(VECTOR + 1).tolist()))
        assert code == Code.DEADLINE_EXCEEDED
        go_on.set()


async def test_the_command_shows_a_table_and_reasons_and_tells_machines_all(running: Running) -> None:
    made = made_event(prediction("shown", await running.known()))
    await MemoryPublisher(running.log).publish(PREDICTIONS_MADE.name, made)
    cli = Cli({"TIDEMARK_EXPLAIN_ADDRESS": running.address})

    shown = await cli.show("explain", "shown", "--features", "2")
    assert "Shapley values, exact" in shown
    assert "user_orders.mean_amount_24h 3 " in shown
    assert "█" in shown or "░" in shown
    assert "- user orders of ann: mean amount 24h is 3 (usual:" in shown

    read = await cli.read("explain", "shown", "--reasons", "1")
    assert read["explanation"]["version"] in shown
    assert len(read["explanation"]["contributions"]) == len(VECTOR)
    assert len(read["explanation"]["reasons"]) == 2

    assert "'lost' is neither among the newest" in await cli.refused("explain", "lost")
    assert "output: " in await cli.refused("explain", "shown", "--output", "none", exit_code=2)


def test_it_listens_before_it_has_loaded_what_takes_seconds() -> None:
    told = (
        "import sys, inference.explain.role; sys.exit(bool({'shap', 'numba', 'pandas'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", told], check=True)


async def test_the_command_says_that_nobody_answers() -> None:
    cli = Cli({"TIDEMARK_EXPLAIN_ADDRESS": "127.0.0.1:9"})
    told = await cli.refused("explain", "any", "--timeout", "2", exit_code=3)
    assert "no explanation from 127.0.0.1:9" in told
    assert "--role explain" in told

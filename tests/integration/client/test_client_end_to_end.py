"""The client on real processes: scores, features, and outcomes that find their predictions."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from bus.topics import PREDICTIONS_RESOLVED
from inference_kit.planes import follow, is_serving
from inference_kit.process import KIT, ProcessPlane, process_plane, read_all
from inference_kit.stock import MODEL, NOW_S
from local_stack import LocalStack
from tidemark.scoring.v1.prediction_pb2 import PredictionResolved
from tidemark_client import (
    AsyncClient,
    Client,
    FeatureStatus,
    InvalidRequest,
    Score,
    ScoringRequest,
    TidemarkError,
    UnknownModel,
    UnknownName,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = pytest.mark.stack

NOW = datetime.fromtimestamp(NOW_S, tz=UTC)
LATER = NOW + timedelta(hours=1)
KNOWN: dict[str, Any] = {"asked_at": NOW, "gift": True, "basket": 3.5, "channel": "web"}
LABEL = "will_return"
SAYS_PORT = r'"grpc_port": (\d+)'


@pytest.fixture(scope="module")
async def plane(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ProcessPlane]:
    folder = tmp_path_factory.mktemp("client")
    async with LocalStack(folder / "stack") as stack, process_plane(folder, stack) as plane:
        await follow(plane, plane.stock.route(plane.stock.version()))
        await is_serving(plane)
        yield plane


@contextmanager
def running(module: str, plane: ProcessPlane, log: Path) -> Iterator[Path]:
    """Run another service of the plane's project."""
    environment = {
        **os.environ,
        **plane.stack.environment(),
        "PYTHONPATH": str(KIT),
        "TIDEMARK_PROJECT": "shop",
        "METRICS_PORT": "0",
        "LOG_FORMAT": "json",
        "FEATURE_GRPC_HOST": "127.0.0.1",
        "REDIS_DEADLINE_MS": "2000",
    }
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", module], env=environment, stderr=output)
    try:
        yield log
    finally:
        process.terminate()
        process.wait(30)


async def says(log: Path, pattern: str) -> str:
    """Return what a process says of itself, once it does."""
    async with asyncio.timeout(60):
        while not (found := re.search(pattern, log.read_text())):  # noqa: ASYNC110 - a process is waited for
            await asyncio.sleep(0.05)
    return found[1]


def asked(user: str, **fields: Any) -> ScoringRequest:
    return ScoringRequest(MODEL, {"user": user, "item": "tea"}, KNOWN, NOW, **fields)


async def resolved(plane: ProcessPlane, count: int) -> dict[str, PredictionResolved]:
    """Every prediction that met its outcome, by request key and revision, once there are so many."""
    async with asyncio.timeout(60):
        while True:
            events = await read_all(plane.stack.kafka_bootstrap, PREDICTIONS_RESOLVED.name)
            found = [PredictionResolved.FromString(event.data) for event in events]
            by_key = {f"{one.request_key}:{one.outcome_revision}": one for one in found}
            if len(by_key) >= count:
                return by_key


async def test_a_score_that_is_reported_on_is_resolved(plane: ProcessPlane, tmp_path: Path) -> None:
    with (
        running("feature", plane, tmp_path / "feature.log") as feature,
        running("shadow_comparator", plane, tmp_path / "comparator.log"),
    ):
        doors = f"127.0.0.1:{await says(feature, SAYS_PORT)}"
        address = await plane.process.address()
        async with AsyncClient(address, feature_address=doors, timeout_s=20) as client:
            named = await client.score(
                MODEL, {"user": "ann", "item": "tea"}, KNOWN, request_time=NOW, request_key="order-1"
            )
            unnamed = await client.score(MODEL, {"user": "bob", "item": "tea"}, KNOWN, request_time=NOW)
            for _ in range(2):  # again is the same fact
                await client.report_outcome(
                    named, value=True, label=LABEL, outcome_time=LATER, recorded_time=LATER
                )
            await client.report_outcome(
                named, value=False, label=LABEL, revision=1, outcome_time=LATER, recorded_time=LATER
            )
            await client.report_outcome(
                unnamed.prediction_id, 0, label=LABEL, outcome_time=LATER, recorded_time=LATER
            )
            found = await resolved(plane, 3)

            with pytest.raises(UnknownName, match="will_return"):
                await client.report_outcome(named, value=True, label="will_retrun")
            with pytest.raises(InvalidRequest) as refused:
                await client.report_outcome(named, 0.5, label=LABEL)
            assert refused.value.field == "outcomes[0].value"

            features = await client.get_features(
                model=MODEL, entities={"user": "ann", "item": "tea"}, context=KNOWN, request_time=NOW
            )
            assert features.values["basket"] == 3.5

    assert set(found) == {"order-1:0", "order-1:1", f"{unnamed.prediction_id}:0"}
    first, second = found["order-1:0"], found["order-1:1"]
    assert (first.prediction_id, first.outcome, first.score) == (named.prediction_id, 1.0, named.score)
    assert (second.prediction_id, second.outcome) == (named.prediction_id, 0.0)
    assert found[f"{unnamed.prediction_id}:0"].outcome == 0.0
    assert first.outcome_time.ToDatetime(tzinfo=UTC) == LATER


async def test_many_rows_are_answered_each_for_itself(plane: ProcessPlane) -> None:
    address = await plane.process.address()

    def ask() -> list[Any]:
        with Client(address, timeout_s=20) as client:
            requests = [asked(f"user-{n}", prediction_id=f"many-{n}", explain=n == 7) for n in range(1_100)]
            requests[5] = ScoringRequest(MODEL, {"user": "ann"}, KNOWN, NOW)
            requests[6] = ScoringRequest("retruns", {"user": "ann"}, KNOWN, NOW)
            return client.score_many(requests)

    answers = await asyncio.to_thread(ask)
    assert [n for n, answer in enumerate(answers) if not isinstance(answer, Score)] == [5, 6]
    assert isinstance(answers[5], InvalidRequest)
    assert answers[5].field == "entities[item]"
    assert isinstance(answers[6], UnknownModel)
    assert [one.prediction_id for one in answers[7:]] == [f"many-{n}" for n in range(7, 1_100)]
    assert {one.name: one.value for one in answers[7].features}["basket"] == 3.5
    assert answers[8].features == ()
    assert FeatureStatus.MISSING in answers[7].statuses
    recorded = {event.id for event in await plane.predictions()}
    assert {f"many-{n}" for n in range(7, 1_100)} <= recorded


async def test_batched_calls_have_the_scores_of_single_ones(plane: ProcessPlane) -> None:
    address = await plane.process.address()
    async with (
        AsyncClient(address, timeout_s=20) as single,
        AsyncClient(address, timeout_s=20, batch=True) as many,
    ):
        entities = [{"user": f"user-{n}", "item": "tea"} for n in range(40)]

        async def scores(client: AsyncClient) -> list[float | TidemarkError]:
            found = await asyncio.gather(
                *(
                    client.score(MODEL, one, KNOWN | {"basket": n * 0.5}, request_time=NOW)
                    for n, one in enumerate(entities)
                )
            )
            return [one.score for one in found]

        assert await scores(single) == await scores(many)
        assert await single.is_ready()


async def test_a_stream_answers_each_request_in_order(plane: ProcessPlane) -> None:
    requests = [asked(f"u{number}", prediction_id=f"s{number}") for number in range(700)]
    requests[300] = ScoringRequest(MODEL, {"user": "ann"}, KNOWN, NOW)
    async with AsyncClient(await plane.process.address(), timeout_s=20) as client:
        answers = [answer async for answer in client.score_stream(requests, batch_rows=100)]
        (alone,) = await client.score_many([requests[7]])
    assert isinstance(answers[300], InvalidRequest)
    assert "entities[item]" in str(answers[300])
    scores = [answer for answer in answers if isinstance(answer, Score)]
    assert [one.prediction_id for one in scores] == [f"s{number}" for number in range(700) if number != 300]
    assert isinstance(alone, Score)
    assert answers[7] == alone

"""A model that crawls, fails or is flooded is its own trouble: the others are answered."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from inference_kit.planes import follow, is_serving
from inference_kit.poisons import log_of_basket, slow_as_basket
from inference_kit.process import ProcessPlane, process_plane
from inference_kit.stock import DURABLE_MODEL, MODEL, STRICT_MODEL, question
from local_stack import LocalStack
from tidemark.common.v1.value_pb2 import Value
from tidemark.scoring.v1.scoring_service_pb2 import ScoreBatchRequest, ScoreRequest
from tidemark.scoring.v1.scoring_service_pb2_grpc import ScoringServiceStub

pytestmark = [pytest.mark.stack, pytest.mark.plane]

StartStack = Callable[..., Awaitable[LocalStack]]

# Some hundreds of milliseconds of matrices: see `slow_as_basket`.
CRAWL = 4000.0


@pytest.fixture
async def plane(tmp_path: Path, own_stack: StartStack) -> AsyncIterator[ProcessPlane]:
    async with process_plane(
        tmp_path, await own_stack(), REDIS_DEADLINE_MS="100", MAX_WAITING="1000"
    ) as plane:
        yield plane


async def test_a_poisoned_model_is_isolated_from_the_others(plane: ProcessPlane, tmp_path: Path) -> None:
    stock = plane.stock
    for version, model in (
        (slow_as_basket(tmp_path / "slow", stock, STRICT_MODEL), STRICT_MODEL),
        (log_of_basket(tmp_path / "log", stock, DURABLE_MODEL), DURABLE_MODEL),
        (stock.version(), MODEL),
    ):
        await follow(plane, stock.route(version, model=model))
    await is_serving(plane)
    stub = ScoringServiceStub(plane.channel)

    await _a_slow_version_stops_nobody(stub)
    await _a_flood_of_one_model_leaves_room_for_the_others(stub)
    await _a_failing_version_fails_fast_and_is_tried_again(stub)
    await _without_rows_the_strict_model_fails_and_the_others_answer(plane, stub)


async def _a_slow_version_stops_nobody(stub: Any) -> None:
    # The first run shows that it is slow.
    await stub.Score(_asked(STRICT_MODEL, CRAWL))
    crawling = [asyncio.ensure_future(stub.Score(_asked(STRICT_MODEL, CRAWL))) for _ in range(3)]
    answered = 0
    while not all(one.done() for one in crawling):
        await stub.Score(_asked(MODEL, 1.0))
        answered += 1
    # One run, then a batch of two: run in everybody's way, they would leave room for two or three.
    assert answered >= 20
    assert {(await one).variant for one in crawling} == {"champion"}


async def _a_flood_of_one_model_leaves_room_for_the_others(stub: Any) -> None:
    batch = ScoreBatchRequest(requests=[_asked(STRICT_MODEL, CRAWL / 4)] * 300)
    flood = [asyncio.ensure_future(stub.ScoreBatch(batch)) for _ in range(12)]
    other = [await stub.Score(_asked(DURABLE_MODEL, 1.0)) for _ in range(3)]
    outcomes = await asyncio.gather(*flood, return_exceptions=True)

    assert [reply.model for reply in other] == [DURABLE_MODEL] * 3
    refused = [one for one in outcomes if isinstance(one, grpc.aio.AioRpcError)]
    assert 0 < len(refused) < len(flood)
    assert {error.code() for error in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert all(0 < _retry_after_s(error) <= 5 for error in refused)
    assert all("retry elsewhere, or here in" in (error.details() or "") for error in refused)


async def _a_failing_version_fails_fast_and_is_tried_again(stub: Any) -> None:
    codes = [(await _refused(stub, _asked(DURABLE_MODEL, -1.0))).code() for _ in range(10)]
    assert set(codes) == {grpc.StatusCode.INTERNAL}

    fast = await _refused(stub, _asked(DURABLE_MODEL, 1.0))
    assert fast.code() is grpc.StatusCode.UNAVAILABLE
    assert (fast.details() or "").startswith(f"VERSION_FAILING: {DURABLE_MODEL} ")
    assert (await stub.Score(_asked(MODEL, 1.0))).variant == "champion"

    await asyncio.sleep(_retry_after_s(fast))
    assert (await stub.Score(_asked(DURABLE_MODEL, 1.0))).score == 0.0


async def _without_rows_the_strict_model_fails_and_the_others_answer(plane: ProcessPlane, stub: Any) -> None:
    plane.stack.valkey.pause()
    try:
        strict = await _refused(stub, _asked(STRICT_MODEL, 1.0), timeout=10.0)
        reply = await stub.Score(_asked(MODEL, 1.0), timeout=10.0)
    finally:
        plane.stack.valkey.resume()
    assert strict.code() is grpc.StatusCode.UNAVAILABLE
    assert (strict.details() or "").startswith("FEATURES_UNAVAILABLE: user_orders.orders_1h, ")
    assert reply.variant == "champion"
    async with asyncio.timeout(30):
        while not await _is_answered(stub, STRICT_MODEL):
            pass


async def _is_answered(stub: Any, model: str) -> bool:
    try:
        await stub.Score(_asked(model, 1.0))
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.UNAVAILABLE:
            raise
        return False
    return True


async def _refused(stub: Any, request: ScoreRequest, **options: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Score(request, **options)
    return caught.value


def _retry_after_s(error: grpc.aio.AioRpcError) -> float:
    """What google.rpc.RetryInfo in the status' details advises."""
    (details,) = [value for key, value in error.trailing_metadata() or () if key == "grpc-status-details-bin"]
    status = Status.FromString(details)  # type: ignore[arg-type] # binary metadata are bytes
    assert (status.code, status.message) == (error.code().value[0], error.details())
    advice = RetryInfo()
    assert status.details[0].Unpack(advice)
    return float(advice.retry_delay.ToMicroseconds() / 1e6)


def _asked(model: str, basket: float) -> ScoreRequest:
    request = question("ann", "tea", model=model, explain_features=False)
    request.context["basket"].CopyFrom(Value(number=basket))
    return request

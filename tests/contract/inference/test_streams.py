"""What a stream of batches promises, over the wire: order, errors row by row, bounds on what it holds."""

import asyncio
from typing import Any

import grpc
import pytest
from inference_kit.asking import prediction, score, score_batch, score_stream
from inference_kit.planes import DataPlane, follow
from inference_kit.starting import StartPlane
from inference_kit.stock import question
from tidemark.common.v1.value_pb2 import Value
from tidemark.scoring.v1.scoring_service_pb2 import ScoreStreamRequest
from tidemark.scoring.v1.scoring_service_pb2_grpc import ScoringServiceStub

pytestmark = pytest.mark.plane

WEIGHTS = (0.5, -0.25, 0.125, 0.0625, 1.0, -1.0, 0.75)
UNREAD_BATCHES = 2000


async def test_batches_are_answered_in_order_and_as_score_batch_answers_them(plane: DataPlane) -> None:
    await follow(plane, plane.stock.route(plane.stock.version(WEIGHTS)))
    await plane.apply([{"user": f"s{n}", "item": f"i{n % 3}", "amount": float(n)} for n in range(9)])
    batches = [[question(f"s{n}", prediction_id=f"{b}-{n}") for n in range(b, 9)] for b in range(5)]

    answers = await score_stream(plane, batches)

    ids = [[result.response.prediction_id for result in answer.results] for answer in answers]
    assert ids == [[request.prediction_id for request in batch] for batch in batches]
    (whole,) = [await score_batch(plane, batches[0])]
    assert [one.response for one in answers[0].results] == [one.response for one in whole.results]
    await prediction(plane, "4-8")


async def test_one_bad_request_spoils_neither_its_batch_nor_its_stream(plane: DataPlane) -> None:
    await follow(plane, plane.stock.route(plane.stock.version()))
    bad = [question(), question(model="no-such"), question(context={"basket": Value()})]

    first, second, empty = await score_stream(plane, [bad, [question()], []])

    codes = [result.error.code for result in first.results]
    assert codes == [0, grpc.StatusCode.NOT_FOUND.value[0], grpc.StatusCode.INVALID_ARGUMENT.value[0]]
    assert first.results[2].error.message.startswith("requests[2].context[basket]: ")
    assert second.results[0].WhichOneof("result") == "response"
    assert not empty.results


async def test_a_batch_over_the_limit_ends_the_stream_after_what_came_before_it(plane: DataPlane) -> None:
    await follow(plane, plane.stock.route(plane.stock.version()))
    too_many = ScoreStreamRequest(requests=[question()] * 1001)
    call = ScoringServiceStub(plane.channel).ScoreStream(
        iter([ScoreStreamRequest(requests=[question()]), too_many])
    )
    answers, error = await _to_the_end(call)
    assert len(answers) == 1
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "batch 1.requests: has 1001 entries" in (error.details() or "")


async def test_bytes_that_are_no_message_end_the_stream_after_what_came_before_them(plane: DataPlane) -> None:
    await follow(plane, plane.stock.route(plane.stock.version()))
    by_bytes = plane.channel.stream_stream("/tidemark.scoring.v1.ScoringService/ScoreStream")
    good = ScoreStreamRequest(requests=[question()]).SerializeToString()
    answers, error = await _to_the_end(by_bytes(iter([good, b"\xff" * 4, good])))
    assert len(answers) == 1
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "batch 1: is no message" in (error.details() or "")


async def test_a_streams_deadline_ends_it(plane: DataPlane) -> None:
    await follow(plane, plane.stock.route(plane.stock.version()))
    call = ScoringServiceStub(plane.channel).ScoreStream(timeout=1.0)
    await call.write(ScoreStreamRequest(requests=[question()]))
    answers, error = await _to_the_end(call)
    assert len(answers) == 1
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_cancelled_stream_costs_nobody_else(plane: DataPlane) -> None:
    await follow(plane, plane.stock.route(plane.stock.version()))
    for _ in range(20):
        call = ScoringServiceStub(plane.channel).ScoreStream()
        await call.write(ScoreStreamRequest(requests=[question()] * 500))
        call.cancel()
    assert (await score(plane, question())).variant == "champion"


async def test_a_client_that_never_reads_is_not_read_from_and_costs_nobody_else(plane: DataPlane) -> None:
    await follow(plane, plane.stock.route(plane.stock.version()))
    stub = ScoringServiceStub(plane.channel)
    call = stub.ScoreStream()
    batch = ScoreStreamRequest(requests=[question()] * 500)
    sent = 0

    async def flood() -> None:
        nonlocal sent
        for _ in range(UNREAD_BATCHES):
            await call.write(batch)
            sent += 1

    flooding = asyncio.ensure_future(flood())
    for _ in range(50):
        assert (await score(plane, question())).variant == "champion"
    async with asyncio.timeout(60):
        before = -1
        while sent > before:
            before = sent
            for _ in range(50):
                await score(plane, question())
    # What does not fit into the transport's windows stays with who sends it.
    assert sent < UNREAD_BATCHES / 4
    assert not flooding.done()
    flooding.cancel()
    call.cancel()


async def test_a_thousand_idle_connections_and_streams_cost_nobody_else(plane: DataPlane) -> None:
    await follow(plane, plane.stock.route(plane.stock.version()))
    alone = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(plane.address, options=alone) for _ in range(1000)]
    try:
        async with asyncio.timeout(60):
            await asyncio.gather(*[channel.channel_ready() for channel in channels])
        assert (await score(plane, question())).variant == "champion"
    finally:
        await asyncio.gather(*[channel.close() for channel in channels])


async def test_a_stopping_server_answers_what_it_has_received_and_ends_the_stream(start_one: Any) -> None:
    async with start_one(drain_seconds=0) as plane:
        await follow(plane, plane.stock.route(plane.stock.version()))
        call = ScoringServiceStub(plane.channel).ScoreStream()
        for _ in range(3):
            await call.write(ScoreStreamRequest(requests=[question()] * 100))
            assert len((await call.read()).results) == 100
        plane.stop()
        _, error = await _to_the_end(call)
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert "open the stream again" in (error.details() or "")


async def _to_the_end(call: Any) -> tuple[list[Any], grpc.aio.AioRpcError]:
    """Read what is answered before a stream fails, and how it fails."""
    answers: list[Any] = []
    try:
        while True:
            answers.append(await call.read())
            assert answers[-1] is not grpc.aio.EOF, "the stream ended well"
    except grpc.aio.AioRpcError as error:
        return answers, error


async def test_a_connection_has_so_many_calls_open_and_the_next_waits_in_the_client(
    start_one: StartPlane,
) -> None:
    async with start_one(grpc_calls_per_connection=1) as plane:
        await follow(plane, plane.stock.route(plane.stock.version()))
        stub = ScoringServiceStub(plane.channel)
        assert (await stub.Score(question())).variant == "champion"
        stream = stub.ScoreStream()
        await stream.write(ScoreStreamRequest(requests=[question()]))
        await stream.read()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Score(question(), timeout=0.3)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await stream.done_writing()
        assert await stream.read() is grpc.aio.EOF
        assert (await stub.Score(question())).variant == "champion"

"""Asking a plane, and looking up what it recorded."""

from collections.abc import Mapping, Sequence
from typing import Any

import grpc
import pytest
from bus.events import Event
from google.protobuf.message import Message
from tidemark.scoring.v1.prediction_pb2 import PredictionMade
from tidemark.scoring.v1.scoring_service_pb2 import (
    ScoreBatchRequest,
    ScoreRequest,
    ScoreResponse,
    ScoreStreamRequest,
)
from tidemark.scoring.v1.scoring_service_pb2_grpc import ScoringServiceStub

from inference_kit.planes import DataPlane


async def score(
    plane: DataPlane, request: ScoreRequest, metadata: Mapping[str, str] | None = None
) -> ScoreResponse:
    response: ScoreResponse = await ScoringServiceStub(plane.channel).Score(
        request, metadata=tuple((metadata or {}).items())
    )
    return response


async def score_batch(plane: DataPlane, requests: Sequence[ScoreRequest]) -> Any:
    return await ScoringServiceStub(plane.channel).ScoreBatch(ScoreBatchRequest(requests=requests))


async def score_stream(plane: DataPlane, batches: Sequence[Sequence[ScoreRequest]]) -> list[Any]:
    """Send all batches at once, and read all answers."""
    call = ScoringServiceStub(plane.channel).ScoreStream(
        iter([ScoreStreamRequest(requests=batch) for batch in batches])
    )
    return [answer async for answer in call]


async def refused(plane: DataPlane, request: Message, code: grpc.StatusCode, says: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ScoringServiceStub(plane.channel).Score(request)
    assert caught.value.code() is code
    assert says in (caught.value.details() or "")


async def prediction(plane: DataPlane, prediction_id: str) -> tuple[Event, PredictionMade]:
    found = [event for event in await plane.predictions() if event.id == prediction_id]
    assert len(found) == 1, f"{len(found)} events of prediction {prediction_id}"
    return found[0], PredictionMade.FromString(found[0].data)

"""The gRPC edge of explanations: one method, health and reflection; errors become statuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import grpc
from service_kit.grpc_door import GrpcDoor
from tidemark.explanations.v1 import explain_service_pb2 as pb
from tidemark.explanations.v1 import explain_service_pb2_grpc as pb_grpc

from inference.explain.errors import (
    ExplainError,
    InvalidExplainRequest,
    NotFound,
    NotReadable,
    TookTooLong,
    TooManyWait,
    Unexplainable,
)
from inference.explain.wire import explain_response, question_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from inference.explain.metrics import ExplainMetrics
    from inference.explain.questions import Answer, Question

    AnswerQuestion = Callable[[Question, float | None], Awaitable[Answer]]

_CODES: Final = (
    (InvalidExplainRequest, grpc.StatusCode.INVALID_ARGUMENT),
    (NotFound, grpc.StatusCode.NOT_FOUND),
    (Unexplainable, grpc.StatusCode.FAILED_PRECONDITION),
    (TooManyWait, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (TookTooLong, grpc.StatusCode.DEADLINE_EXCEEDED),
    (NotReadable, grpc.StatusCode.UNAVAILABLE),
)


class ExplainServicer(pb_grpc.ExplainServiceServicer):
    """`tidemark.explanations.v1.ExplainService`."""

    def __init__(self, answer: AnswerQuestion, metrics: ExplainMetrics) -> None:
        self._answer = answer
        self._metrics = metrics

    async def Explain(self, request: pb.ExplainRequest, context: Any) -> pb.ExplainResponse:  # noqa: N802 - gRPC's name
        """See the contract."""
        try:
            return explain_response(await self._answer(question_of(request), context.time_remaining()))
        except ExplainError as error:
            self._metrics.failed(error.reason)
            await context.abort(code_of(error), str(error))
            raise


def code_of(error: ExplainError) -> grpc.StatusCode:
    """The status that tells a caller of this error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), grpc.StatusCode.INTERNAL)


def explain_door(servicer: ExplainServicer, address: str) -> GrpcDoor:
    """Explanations, health and reflection on one port; port 0 for a free one."""
    name = pb.DESCRIPTOR.services_by_name["ExplainService"].full_name
    door = GrpcDoor(address, [name], setting="GRPC_PORT")
    pb_grpc.add_ExplainServiceServicer_to_server(servicer, door.server)
    return door

"""The gRPC edge of explanations: one method, health and reflection; errors become statuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection
from service_kit.http import PortTaken
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

    from inference.explain.asking import Answer, Question
    from inference.explain.metrics import ExplainMetrics

    AnswerQuestion = Callable[[Question, float | None], Awaitable[Answer]]

_MAX_MESSAGE_BYTES: Final = 4 * 1024 * 1024
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


class ExplainServer:
    """Explanations, health and reflection on one port.

    Args:
        servicer: Answers.
        address: Where to listen; port 0 for a free one.
    """

    def __init__(self, servicer: ExplainServicer, address: str) -> None:
        self._server = grpc.aio.server(options=[("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES)])
        self._health = health_aio.HealthServicer()
        self._address = address
        self._names = (
            pb.DESCRIPTOR.services_by_name["ExplainService"].full_name,
            health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
            reflection.SERVICE_NAME,
        )
        pb_grpc.add_ExplainServiceServicer_to_server(servicer, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(self._names, self._server)

    async def start(self) -> int:
        """Listen, not yet serving as far as health says; gives the port.

        Raises:
            PortTaken: The port is in use.
        """
        await self.set_serving(serving=False)
        try:
            port = self._server.add_insecure_port(self._address)
        except RuntimeError as error:
            raise PortTaken(
                f"{self._address} cannot be used: set GRPC_PORT=0 or another ({error})"
            ) from error
        await self._server.start()
        return port

    async def set_serving(self, *, serving: bool) -> None:
        """Say over the health service whether to ask here."""
        status = (
            health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        )
        for name in ("", self._names[0]):
            await self._health.set(name, status)

    async def stop(self, grace_s: float) -> None:
        """Take no more questions, and give those in hand so long to end."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_s)

"""The gRPC edge: three-line servicers, one interceptor for errors, bounded messages."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection
from open_inference.v2.open_inference_grpc_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from service_kit.http import PortTaken
from tidemark.scoring.v1 import scoring_service_pb2 as pb
from tidemark.scoring.v1 import scoring_service_pb2_grpc as pb_grpc

from inference.adapters.metadata import traceparent_of
from inference.adapters.open_inference import SERVICE as OPEN_INFERENCE
from inference.adapters.statuses import code_of, fail
from inference.adapters.streams import BatchStreams
from inference.adapters.wire import asked_of, score_response
from inference.domain.errors import InvalidRequest, ScoringError
from inference.domain.requests import MAX_BATCH

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from inference.adapters.open_inference import OpenInferenceServicer
    from inference.clocks import WallClock
    from inference.domain.requests import Asked
    from inference.metrics import Metrics
    from inference.plane import ScoringPlane
    from inference.scored import Scored

    Method = grpc.RpcMethodHandler[Any, Any]

MAX_MESSAGE_BYTES: Final = 4 * 1024 * 1024


class ScoringServicer(pb_grpc.ScoringServiceServicer):
    """`tidemark.scoring.v1.ScoringService` on a plane."""

    def __init__(
        self, plane: ScoringPlane, metrics: Metrics, *, wall_clock_us: WallClock, new_id: Callable[[], str]
    ) -> None:
        self._plane = plane
        self._metrics = metrics
        self._wall_clock_us = wall_clock_us
        self._new_id = new_id
        self.streams = BatchStreams(self._results, partial(fail, metrics))

    async def Score(self, request: pb.ScoreRequest, context: Any) -> pb.ScoreResponse:  # noqa: N802 - gRPC's name
        """See the contract."""
        asked = self._asked(request, context)
        scored = await self._plane.score(asked, context.time_remaining())
        return score_response(scored, explain=request.explain_features)

    async def ScoreBatch(self, request: pb.ScoreBatchRequest, context: Any) -> pb.ScoreBatchResponse:  # noqa: N802
        """See the contract."""
        return pb.ScoreBatchResponse(results=await self._results(request.requests, context))

    async def ScoreStream(  # type: ignore[override] # noqa: N802 - gRPC also takes a coroutine that reads and writes
        self, _requests: object, context: Any
    ) -> None:
        """See the contract."""
        await self.streams.serve(context)

    async def _results(self, requests: Sequence[pb.ScoreRequest], context: Any) -> list[pb.ScoreResult]:
        if len(requests) > MAX_BATCH:
            raise InvalidRequest("requests", f"has {len(requests)} entries, at most {MAX_BATCH:,} are scored")
        asked = [self._try_to_ask(one, context) for one in requests]
        answers = await self._plane.score_many(asked, context.time_remaining())
        return [
            self._result(index, one, answer)
            for index, (one, answer) in enumerate(zip(requests, answers, strict=True))
        ]

    def _asked(self, request: pb.ScoreRequest, context: Any) -> Asked:
        return asked_of(
            request,
            now_us=self._wall_clock_us(),
            new_id=self._new_id,
            traceparent=traceparent_of(context),
        )

    def _try_to_ask(self, request: pb.ScoreRequest, context: Any) -> Asked | ScoringError:
        try:
            return self._asked(request, context)
        except ScoringError as error:
            return error

    def _result(self, index: int, request: pb.ScoreRequest, answer: Scored | ScoringError) -> pb.ScoreResult:
        if not isinstance(answer, ScoringError):
            return pb.ScoreResult(response=score_response(answer, explain=request.explain_features))
        if isinstance(answer, InvalidRequest):
            answer = answer.within(f"requests[{index}]")
        code = code_of(answer)
        self._metrics.failed(code.name)
        return pb.ScoreResult(error=pb.ScoreError(code=code.value[0], message=str(answer)))


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Maps domain errors to statuses, for every unary method."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._wrapped: dict[str, Method] = {}

    async def intercept_service(
        self, continuation: Any, handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        """Wrap a method once; gRPC asks at every call."""
        method = handler_call_details.method
        wrapped = self._wrapped.get(method)
        if wrapped is None:
            handler = await continuation(handler_call_details)
            if handler is None or handler.unary_unary is None:
                return handler
            wrapped = self._wrapped[method] = self._wrap(handler, handler.unary_unary)
        return wrapped

    def _wrap(self, handler: Method, behave: Callable[[Any, Any], Any]) -> Method:
        async def behave_or_abort(request: Any, context: Any) -> Any:
            try:
                if request is None:
                    raise InvalidRequest("request", "is no message of the type that the method takes")
                return await behave(request, context)
            except ScoringError as error:
                await fail(self._metrics, context, error)

        return grpc.unary_unary_rpc_method_handler(
            behave_or_abort,
            request_deserializer=_readable(handler.request_deserializer),
            response_serializer=handler.response_serializer,
        )


def _readable(deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any]:
    """Read a request; None where it cannot be read, which gRPC itself would call the server's fault."""
    assert deserialize is not None, "every contract is of messages"

    def try_to_deserialize(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError:
            return None

    return try_to_deserialize


class GrpcServer:
    """The server: scoring, the Open Inference Protocol, health and reflection on one port.

    Args:
        host: Address to listen on.
        port: 0 for a free one.
        reuse_port: Let several processes share the port; a port that another program holds is then no error.
    """

    def __init__(
        self,
        servicer: ScoringServicer,
        open_inference: OpenInferenceServicer,
        metrics: Metrics,
        *,
        host: str,
        port: int,
        reuse_port: bool,
    ) -> None:
        self._server = grpc.aio.server(
            interceptors=[ErrorInterceptor(metrics)],
            options=[
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
                ("grpc.so_reuseport", int(reuse_port)),
            ],
        )
        self._streams = servicer.streams
        self._health = health_aio.HealthServicer()
        self._address = f"{host}:{port}"
        pb_grpc.add_ScoringServiceServicer_to_server(servicer, self._server)
        add_GRPCInferenceServiceServicer_to_server(open_inference, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = [
            pb.DESCRIPTOR.services_by_name["ScoringService"].full_name,
            health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
            OPEN_INFERENCE,
            reflection.SERVICE_NAME,
        ]
        self._scoring_name = names[0]
        reflection.enable_server_reflection(names, self._server)

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
        """Say over the health service whether to send requests here."""
        status = (
            health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        )
        for name in ("", self._scoring_name, OPEN_INFERENCE):
            await self._health.set(name, status)

    async def drain(self, notice_s: float, grace_s: float) -> None:
        """Stop: say so and serve on for a while, then take no more and end what is in hand.

        gRPC's server fails calls that reach it between its GOAWAY and the client's knowing of it. Who watches
        the health service, as balancers do, has gone elsewhere by then.

        Args:
            notice_s: How long to serve on, with health saying NOT_SERVING.
            grace_s: How long requests in hand may take.
        """
        await self._health.enter_graceful_shutdown()
        await asyncio.sleep(notice_s)
        self._streams.drain()
        await self._server.stop(grace_s)

"""The gRPC edge: three-line servicers, one interceptor for errors, bounded messages."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf.message import DecodeError
from open_inference.v2.open_inference_grpc_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from service_kit.grpc_door import GrpcDoor
from tidemark.scoring.v1 import scoring_service_pb2 as pb
from tidemark.scoring.v1 import scoring_service_pb2_grpc as pb_grpc

from inference.adapters.metadata import traceparent_of
from inference.adapters.open_inference import SERVICE as OPEN_INFERENCE
from inference.adapters.statuses import code_of, fail
from inference.adapters.streams import NO_MESSAGE, BatchStreams
from inference.adapters.wire import asked_of, score_response, write_response
from inference.domain.errors import InvalidRequest, ScoringError
from inference.domain.requests import MAX_BATCH

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from inference.adapters.open_inference import OpenInferenceServicer
    from inference.adapters.streams import Results
    from inference.clocks import WallClock
    from inference.domain.requests import Asked
    from inference.metrics import Metrics
    from inference.serve.plane import ScoringPlane

    Method = grpc.RpcMethodHandler[Any, Any]


SCORING: Final = pb.DESCRIPTOR.services_by_name["ScoringService"].full_name
SCORE_STREAM: Final = f"/{SCORING}/ScoreStream"


class ScoringServicer(pb_grpc.ScoringServiceServicer):
    """`tidemark.scoring.v1.ScoringService` on a plane."""

    def __init__(
        self, plane: ScoringPlane, metrics: Metrics, *, wall_clock_us: WallClock, new_id: Callable[[], str]
    ) -> None:
        self._plane = plane
        self._metrics = metrics
        self._wall_clock_us = wall_clock_us
        self._new_id = new_id
        self.streams = BatchStreams(self._answer, partial(fail, metrics))

    async def Score(self, request: pb.ScoreRequest, context: Any) -> pb.ScoreResponse:  # noqa: N802 - gRPC's name
        """See the contract."""
        asked = self._asked(request, self._wall_clock_us(), traceparent_of(context))
        scored = await self._plane.score(asked, context.time_remaining())
        return score_response(scored, explain=request.explain_features)

    async def ScoreBatch(self, request: pb.ScoreBatchRequest, context: Any) -> pb.ScoreBatchResponse:  # noqa: N802
        """See the contract."""
        response = pb.ScoreBatchResponse()
        await self._answer(request.requests, response.results, context)
        return response

    async def ScoreStream(  # type: ignore[override] # noqa: N802 - gRPC also takes a coroutine that reads and writes
        self, _requests: object, context: Any
    ) -> None:
        """See the contract."""
        await self.streams.serve(context)

    async def _answer(self, requests: Sequence[pb.ScoreRequest], results: Results, context: Any) -> None:
        if len(requests) > MAX_BATCH:
            raise InvalidRequest("requests", f"has {len(requests)} entries, at most {MAX_BATCH:,} are scored")
        now_us, traceparent = self._wall_clock_us(), traceparent_of(context)
        asked = [self._try_to_ask(one, now_us, traceparent) for one in requests]
        answers = await self._plane.score_many(asked, context.time_remaining())
        for index, (request, answer) in enumerate(zip(requests, answers, strict=True)):
            if isinstance(answer, ScoringError):
                self._write_error(results.add().error, index, answer)
            else:
                write_response(results.add().response, answer, explain=request.explain_features)

    def _asked(self, request: pb.ScoreRequest, now_us: int, traceparent: str | None) -> Asked:
        return asked_of(request, now_us=now_us, new_id=self._new_id, traceparent=traceparent)

    def _try_to_ask(
        self, request: pb.ScoreRequest, now_us: int, traceparent: str | None
    ) -> Asked | ScoringError:
        try:
            return self._asked(request, now_us, traceparent)
        except ScoringError as error:
            return error

    def _write_error(self, written: pb.ScoreError, index: int, error: ScoringError) -> None:
        if isinstance(error, InvalidRequest):
            error = error.within(f"requests[{index}]")
        code = code_of(error)
        self._metrics.failed(code.name)
        written.code = code.value[0]
        written.message = str(error)


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Maps domain errors to statuses, for every unary method; what cannot be read is the caller's error."""

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
            if handler is None or (handler.unary_unary is None and method != SCORE_STREAM):
                return handler
            wrapped = self._wrap(handler, handler.unary_unary) if handler.unary_unary else _stream(handler)
            self._wrapped[method] = wrapped
        return wrapped

    def _wrap(self, handler: Method, behave: Callable[[Any, Any], Any]) -> Method:
        async def behave_or_abort(request: Any, context: Any) -> Any:
            try:
                if request is None:
                    raise InvalidRequest("request", NO_MESSAGE)
                return await behave(request, context)
            except ScoringError as error:
                await fail(self._metrics, context, error)

        return grpc.unary_unary_rpc_method_handler(
            behave_or_abort,
            request_deserializer=_readable(handler.request_deserializer),
            response_serializer=handler.response_serializer,
        )


def _stream(handler: Method) -> Method:
    """The same stream of requests, in which None stands for one that cannot be read."""
    assert handler.stream_stream is not None, "the contract says so"
    return grpc.stream_stream_rpc_method_handler(
        handler.stream_stream,
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
        address: Where to listen; port 0 for a free one.
        reuse_port: Let several processes share the port; a port that another program holds is then no error.
        calls_per_connection: How many calls a connection may have open; more wait in the client, where their
            deadlines hold. 0 for no bound.
    """

    def __init__(
        self,
        servicer: ScoringServicer,
        open_inference: OpenInferenceServicer,
        metrics: Metrics,
        *,
        address: str,
        reuse_port: bool,
        calls_per_connection: int,
    ) -> None:
        self._streams = servicer.streams
        options = [("grpc.so_reuseport", int(reuse_port))]
        if calls_per_connection:
            options.append(("grpc.max_concurrent_streams", calls_per_connection))
            # It counts calls that are over but not put away yet, and so refuses some within the bound.
            options.append(("grpc.http.overload_protection", 0))
        self._door = GrpcDoor(
            address,
            [SCORING, OPEN_INFERENCE],
            setting="GRPC_PORT",
            interceptors=[ErrorInterceptor(metrics)],
            options=options,
        )
        pb_grpc.add_ScoringServiceServicer_to_server(servicer, self._door.server)
        add_GRPCInferenceServiceServicer_to_server(open_inference, self._door.server)
        self.start = self._door.start
        self.set_serving = self._door.set_serving

    async def drain(self, notice_s: float, grace_s: float) -> None:
        """Stop: say so and serve on for a while, then take no more and end what is in hand.

        gRPC's server fails calls that reach it between its GOAWAY and the client's knowing of it. Who watches
        the health service, as balancers do, has gone elsewhere by then.

        Args:
            notice_s: How long to serve on, with health saying NOT_SERVING.
            grace_s: How long requests in hand may take.
        """
        await self._door.say_leaving()
        await asyncio.sleep(notice_s)
        self._streams.drain()
        await self._door.stop(grace_s)

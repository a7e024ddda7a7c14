"""The gRPC edge: three-line servicers, one interceptor for errors, bounded messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import grpc
from service_kit.grpc_door import GrpcDoor
from tidemark.features.v1 import feature_service_pb2 as pb
from tidemark.features.v1 import feature_service_pb2_grpc as pb_grpc
from tidemark.outcomes.v1 import outcome_service_pb2 as outcome_pb
from tidemark.outcomes.v1 import outcome_service_pb2_grpc as outcome_pb_grpc

from feature.adapters.asking import (
    get_batch_response,
    get_response,
    push_response,
    pushed_of,
    question_of,
    reported_of,
    served_of,
)
from feature.domain.errors import AskingError, InvalidRequest, LogAway, NotDeclared

if TYPE_CHECKING:
    from collections.abc import Callable

    from feature.answering import Answers
    from feature.contracts import Contracts
    from feature.metrics import DoorMetrics
    from feature.pushing import Door
    from feature.reporting import OutcomeDoor

    Method = grpc.RpcMethodHandler[Any, Any]

_CODES: Final = {
    InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    NotDeclared: grpc.StatusCode.NOT_FOUND,
    LogAway: grpc.StatusCode.UNAVAILABLE,
}


class FeatureServicer(pb_grpc.FeatureServiceServicer):
    """`tidemark.features.v1.FeatureService`.

    Args:
        contracts: What can be asked for.
        answers: Answers questions.
        door: Takes events.
        wall_clock_us: When a request names no time of its own.
    """

    def __init__(
        self, contracts: Contracts, answers: Answers, door: Door, wall_clock_us: Callable[[], int]
    ) -> None:
        self._contracts = contracts
        self._answers = answers
        self._door = door
        self._wall_clock_us = wall_clock_us

    async def Get(self, request: pb.GetRequest, context: Any) -> pb.GetResponse:  # noqa: ARG002, N802 - gRPC's
        """See the contract."""
        served = served_of(self._contracts, request)
        question = question_of(request, field="", now_us=self._wall_clock_us())
        return get_response(*await self._answers.answer_one(served, question))

    async def GetBatch(self, request: pb.GetBatchRequest, context: Any) -> pb.GetBatchResponse:  # noqa: ARG002, N802
        """See the contract."""
        served, now_us = served_of(self._contracts, request), self._wall_clock_us()
        questions = [
            question_of(one, field=f"questions[{index}].", now_us=now_us)
            for index, one in enumerate(request.questions)
        ]
        return get_batch_response(await self._answers.answer(served, questions))

    async def Push(self, request: pb.PushRequest, context: Any) -> pb.PushResponse:  # noqa: ARG002, N802
        """See the contract."""
        pushed = [pushed_of(index, one) for index, one in enumerate(request.events)]
        positions = await self._door.push(request.source, pushed, now_us=self._wall_clock_us())
        return push_response(positions)


class OutcomeServicer(outcome_pb_grpc.OutcomeServiceServicer):
    """`tidemark.outcomes.v1.OutcomeService`.

    Args:
        door: Takes outcomes.
        wall_clock_us: When an outcome became known that names no time of its own.
    """

    def __init__(self, door: OutcomeDoor, wall_clock_us: Callable[[], int]) -> None:
        self._door = door
        self._wall_clock_us = wall_clock_us

    async def Report(self, request: outcome_pb.ReportRequest, context: Any) -> outcome_pb.ReportResponse:  # noqa: N802
        """See the contract."""
        reported = [reported_of(index, one) for index, one in enumerate(request.outcomes)]
        traceparent = dict(context.invocation_metadata()).get("traceparent")
        await self._door.report(reported, now_us=self._wall_clock_us(), traceparent=traceparent)
        return outcome_pb.ReportResponse()


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Maps domain errors to statuses and counts calls, for every unary method."""

    def __init__(self, metrics: DoorMetrics) -> None:
        self._metrics = metrics

    async def intercept_service(
        self, continuation: Any, handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        """Wrap a method."""
        handler = await continuation(handler_call_details)
        if handler is None or handler.unary_unary is None:
            return handler
        name = handler_call_details.method.rpartition("/")[2]
        return self._wrap(handler, handler.unary_unary, name)

    def _wrap(self, handler: Method, behave: Callable[[Any, Any], Any], name: str) -> Method:
        async def behave_or_abort(request: Any, context: Any) -> Any:
            try:
                with self._metrics.seconds.labels(name).time():
                    return await behave(request, context)
            except AskingError as error:
                code = _CODES[type(error)]
                self._metrics.refused.labels(name, code.name).inc()
                await context.abort(code, str(error))

        return grpc.unary_unary_rpc_method_handler(
            behave_or_abort,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )


def feature_door(
    servicer: FeatureServicer, outcomes: OutcomeServicer, metrics: DoorMetrics, address: str
) -> GrpcDoor:
    """Features, outcomes, health and reflection on one port; port 0 for a free one."""
    names = [
        pb.DESCRIPTOR.services_by_name["FeatureService"].full_name,
        outcome_pb.DESCRIPTOR.services_by_name["OutcomeService"].full_name,
    ]
    door = GrpcDoor(
        address,
        names,
        setting="FEATURE_GRPC_PORT",
        interceptors=[ErrorInterceptor(metrics)],
        options=[("grpc.so_reuseport", 0)],
    )
    pb_grpc.add_FeatureServiceServicer_to_server(servicer, door.server)
    outcome_pb_grpc.add_OutcomeServiceServicer_to_server(outcomes, door.server)
    return door

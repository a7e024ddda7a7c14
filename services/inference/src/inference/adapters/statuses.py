"""Domain errors as gRPC statuses, with what a client library can act on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status.rpc_status import GRPC_DETAILS_METADATA_KEY

from inference.domain.errors import (
    DeadlinePassed,
    FeaturesUnavailable,
    InvalidRequest,
    LogUnavailable,
    ModelNotReady,
    NoScore,
    Overloaded,
    ScoringError,
    UnfitVector,
    UnknownModel,
    UnknownVersion,
    VersionFailing,
)

if TYPE_CHECKING:
    from inference.metrics import Metrics

_CODES: Final = {
    InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    UnknownModel: grpc.StatusCode.NOT_FOUND,
    UnknownVersion: grpc.StatusCode.NOT_FOUND,
    ModelNotReady: grpc.StatusCode.UNAVAILABLE,
    Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    DeadlinePassed: grpc.StatusCode.DEADLINE_EXCEEDED,
    LogUnavailable: grpc.StatusCode.UNAVAILABLE,
    NoScore: grpc.StatusCode.INTERNAL,
    UnfitVector: grpc.StatusCode.INVALID_ARGUMENT,
    VersionFailing: grpc.StatusCode.UNAVAILABLE,
    FeaturesUnavailable: grpc.StatusCode.UNAVAILABLE,
}


def code_of(error: ScoringError) -> grpc.StatusCode:
    """The status that tells a caller of this error."""
    return _CODES[type(error)]


def retry_after_s_of(error: ScoringError) -> float | None:
    """When to ask again, where the error knows."""
    found: float | None = getattr(error, "retry_after_s", None)
    return found


async def fail(metrics: Metrics, context: Any, error: ScoringError) -> None:
    """End a call with an error's status, and with when to ask again where the error knows.

    The advice is a `google.rpc.RetryInfo` in `grpc-status-details-bin`, as google.rpc.Status has it.
    """
    code = code_of(error)
    metrics.failed(code.name)
    retry_after_s = retry_after_s_of(error)
    trailing = () if retry_after_s is None else (_details(code, error, retry_after_s),)
    await context.abort(code, str(error), trailing)


def _details(code: grpc.StatusCode, error: ScoringError, retry_after_s: float) -> tuple[str, bytes]:
    advice = AnyMessage()
    delay = Duration()
    delay.FromMicroseconds(round(retry_after_s * 1e6))
    advice.Pack(RetryInfo(retry_delay=delay))
    status = Status(code=code.value[0], message=str(error), details=[advice])
    return GRPC_DETAILS_METADATA_KEY, status.SerializeToString()

"""gRPC's statuses as this client's errors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from tidemark_client.errors import (
    DeadlineExceeded,
    InvalidRequest,
    NoScore,
    NotReady,
    Overloaded,
    TidemarkError,
    UnexpectedStatus,
    UnknownModel,
    UnknownName,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

_DETAILS: Final = "grpc-status-details-bin"
_FIELD: Final = re.compile(r"(?P<field>[A-Za-z_][\w.]*(?:\[[^\]]*\][\w.]*)*): (?P<problem>.*)", re.DOTALL)
_ROW: Final = re.compile(r"^requests\[\d+\]\.")
_BY_NUMBER: Final = {code.value[0]: code for code in grpc.StatusCode}


def error_of(failed: grpc.RpcError, method: str, timeout_s: float) -> TidemarkError:
    """Return a failed call as this client's error.

    Args:
        failed: What gRPC raised.
        method: The method's name, e.g. "Score".
        timeout_s: What the call was given.
    """
    call: Any = failed  # what is raised is the call, whatever its declared type
    code, said = call.code(), call.details() or ""
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        told = f"{method} was not answered within {timeout_s:g} s ({said}): allow more with timeout_s"
        return DeadlineExceeded(told)
    return _error(code, said, method, _advice_s(call.trailing_metadata() or ()))


def error_of_row(number: int, message: str) -> TidemarkError:
    """Return the error of one row of a batch, without the row's place in that batch."""
    code = _BY_NUMBER.get(number, grpc.StatusCode.UNKNOWN)
    return _error(code, _ROW.sub("", message), "Score", None)


def _error(code: grpc.StatusCode, said: str, method: str, advice_s: float | None) -> TidemarkError:  # noqa: PLR0911 - one a status
    match code:
        case grpc.StatusCode.INVALID_ARGUMENT:
            found = _FIELD.fullmatch(said)
            return InvalidRequest(found["field"], found["problem"]) if found else InvalidRequest("", said)
        case grpc.StatusCode.NOT_FOUND:
            return (UnknownModel if method.startswith("Score") else UnknownName)(said)
        case grpc.StatusCode.UNAVAILABLE:
            return NotReady(said, advice_s)
        case grpc.StatusCode.CANCELLED:
            return NotReady(f"cancelled before it was answered ({said}): ask again")
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return Overloaded(said, advice_s)
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return DeadlineExceeded(f"{said}: allow more with timeout_s")
        case grpc.StatusCode.INTERNAL if method.startswith("Score"):
            return NoScore(said)
        case _:
            return UnexpectedStatus(code.name, said)


def _advice_s(metadata: Iterable[tuple[str, str | bytes]]) -> float | None:
    """Return `google.rpc.RetryInfo`'s delay, where the server sent one that can be read."""
    for key, value in metadata:
        if key == _DETAILS and isinstance(value, bytes):
            try:
                details = Status.FromString(value).details
            except DecodeError:
                return None
            for detail in details:
                info = RetryInfo()
                if detail.Is(RetryInfo.DESCRIPTOR) and detail.Unpack(info):
                    delay = info.retry_delay
                    return max(0.0, float(delay.seconds + delay.nanos / 1e9))
    return None

"""What callers say beside a request."""

from __future__ import annotations

from typing import Any

from service_kit.trace import parse


def traceparent_of(context: Any) -> str | None:
    """The caller's W3C trace of a gRPC call, if it has one."""
    for name, value in context.invocation_metadata():
        if name == "traceparent":
            return traceparent_in(str(value))
    return None


def traceparent_in(header: str | None) -> str | None:
    """The caller's trace as it goes on in events; None where there is none that the standard knows."""
    trace = parse(header)
    return None if trace is None else str(trace)

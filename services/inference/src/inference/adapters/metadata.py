"""What callers say beside a request."""

from __future__ import annotations

from typing import Any


def traceparent_of(context: Any) -> str | None:
    """The caller's W3C trace of a gRPC call, if it has one."""
    for name, value in context.invocation_metadata():
        if name == "traceparent":
            return str(value)
    return None

"""W3C trace context, level 1: `traceparent` read, continued, and bound to log lines.

https://www.w3.org/TR/trace-context-1/#traceparent-header
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import structlog

_PATTERN: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_SAMPLED: Final = 0x01

RandomBytes = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class TraceContext:
    """One span of one trace; `str()` of it is the `traceparent` header.

    Attributes:
        trace_id: 32 lower-case hex digits, shared by all that one request caused.
        span_id: 16 lower-case hex digits, this step's own.
        sampled: Whether the caller records the trace.
    """

    trace_id: str
    span_id: str
    sampled: bool = True

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}"


def parse(traceparent: str | None) -> TraceContext | None:
    """Read a header; None when it is absent or invalid, for the standard then starts a new trace."""
    match = _PATTERN.fullmatch(traceparent or "")
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == "ff" or (version == "00" and rest) or not int(trace_id, 16) or not int(span_id, 16):
        return None
    return TraceContext(trace_id, span_id, bool(int(flags, 16) & _SAMPLED))


def generate(random_bytes: RandomBytes = secrets.token_bytes) -> TraceContext:
    """Start a trace."""
    return TraceContext(_hex(16, random_bytes), _hex(8, random_bytes))


def proceed(traceparent: str | None, random_bytes: RandomBytes = secrets.token_bytes) -> TraceContext:
    """Continue a caller's trace with a span of our own, or start one where there is none."""
    parent = parse(traceparent)
    if parent is None:
        return generate(random_bytes)
    return TraceContext(parent.trace_id, _hex(8, random_bytes), parent.sampled)


@contextmanager
def bound(context: TraceContext) -> Iterator[TraceContext]:
    """Put trace and span on every log line written inside."""
    with structlog.contextvars.bound_contextvars(trace_id=context.trace_id, span_id=context.span_id):
        yield context


def _hex(size: int, random_bytes: RandomBytes) -> str:
    while True:
        found = random_bytes(size).hex()
        # All zeros means "invalid" in the standard.
        if int(found, 16):
            return found

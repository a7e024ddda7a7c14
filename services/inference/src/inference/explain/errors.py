"""Why something is not explained. Nothing here knows gRPC; `explain.server` maps each to a status."""

from __future__ import annotations


class ExplainError(Exception):
    """There is no explanation; the message says why and what to do.

    Attributes:
        reason: UPPER_SNAKE, of a small set: what dead letters and counts call it.
    """

    reason = "NOT_EXPLAINED"


class InvalidExplainRequest(ExplainError):
    """A field of the request is missing or wrong; the message begins with its path."""

    reason = "INVALID_REQUEST"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")


class NotFound(ExplainError):
    """No such prediction, model or version; the message says where it was looked for."""

    reason = "NOT_FOUND"


class Unexplainable(ExplainError):
    """The version's package cannot be used, or the model gives no number to explain."""

    reason = "UNEXPLAINABLE"


class WrongWidth(Unexplainable):
    """The vector has not as many values as the version has features."""

    reason = "VECTOR_MISMATCH"

    def __init__(self, found: int, version: str, width: int) -> None:
        super().__init__(f"has {found} values; {version} reads {width} features")


class TooManyWait(ExplainError):
    """Too many explanations wait: better to say so now than to answer late."""

    reason = "TOO_MANY_WAIT"

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} explanations wait, which is the limit: retry elsewhere or later")


class TookTooLong(ExplainError):
    """The caller's deadline passed, or an explanation took longer than any may."""

    reason = "TOO_SLOW"

    def __init__(self, seconds: float) -> None:
        super().__init__(f"there was no explanation within {seconds:.3g} s")


class NotReadable(ExplainError):
    """What predictions or versions are looked up in cannot be read now."""

    reason = "NOT_READABLE"

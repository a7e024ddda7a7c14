"""Why a request gets no score. Nothing here knows gRPC; `adapters.grpc` maps each to a status."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class ScoringError(Exception):
    """A request that gets no score; the message says why and what to do."""


class InvalidRequest(ScoringError):
    """A field of the request is missing or wrong.

    Attributes:
        field: Its path in the request, e.g. `entities[origin]`.
        problem: What is wrong with it and what it must be.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem

    def within(self, outer: str) -> InvalidRequest:
        """The same complaint, seen from a message that holds the request."""
        return InvalidRequest(f"{outer}.{self.field}", self.problem)


class UnknownModel(ScoringError):
    """No route names the model."""

    def __init__(self, model: str) -> None:
        super().__init__(f"model {model!r} has no route: check the name, or route a version of it first")


class UnknownVersion(ScoringError):
    """The model is served here, and no version of that name is warm."""

    def __init__(self, model: str, version: str, warm: Iterable[str]) -> None:
        super().__init__(
            f"model {model!r} has no version {version!r} here: warm are {', '.join(warm)}; "
            "name none to follow the route"
        )


class ModelNotReady(ScoringError):
    """The model has a route, but no version of it could be loaded yet."""

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(f"model {model!r} is not ready here: {reason}")


class Overloaded(ScoringError):
    """The queue is full: better to say so now than to answer late."""

    def __init__(self, waiting: int, limit: int) -> None:
        super().__init__(f"{waiting} requests wait, the limit is {limit}: retry elsewhere or later")


class DeadlinePassed(ScoringError):
    """The caller's deadline passed while the request waited; nothing was computed for it."""

    def __init__(self) -> None:
        super().__init__("the deadline passed while the request waited for its batch")


class LogUnavailable(ScoringError):
    """The model logs durably and the prediction could not be written."""


class NoScore(ScoringError):
    """The model gave no usable score for this vector."""

"""Why a caller gets no answer. Nothing here knows gRPC; `adapters.grpc` maps each to a status."""

from __future__ import annotations


class AskingError(Exception):
    """A call that is not answered; the message says why and what to do."""


class InvalidRequest(AskingError):
    """A field of the call is missing or wrong.

    Attributes:
        field: Its path in the request, e.g. `questions[3].entities[origin]`.
        problem: What is wrong with it and what it must be.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class NotDeclared(AskingError):
    """The project has no such model, feature or source."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")


class LogAway(AskingError):
    """Kafka did not take what was pushed; the same push may be repeated."""

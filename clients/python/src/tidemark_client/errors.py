"""Why a call has no answer: one type a cause, each with what to do. Nothing here knows gRPC."""

from __future__ import annotations

import copy
from typing import Self


class TidemarkError(Exception):
    """A call that has no answer. May be pickled.

    Attributes:
        prediction_id: Under which to ask again, if the call was for one score: the same id counts once.
    """

    prediction_id: str | None = None

    def about(self, prediction_id: str) -> Self:
        """Return the same error as one of this prediction."""
        told = copy.copy(self)
        told.prediction_id = prediction_id
        return told


class InvalidRequest(TidemarkError):
    """A field is missing or wrong; the same request will be refused again.

    Attributes:
        field: Its path in the request, e.g. `entities[origin]`; empty where the server named none.
        problem: What is wrong with it and what it must be.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(field, problem)
        self.field = field
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}" if self.field else self.problem


class UnknownName(TidemarkError):
    """There is no such feature, label or model."""


class UnknownModel(UnknownName):
    """No route names the model."""


class AskLater(TidemarkError):
    """There is no answer now, and there may be one later; the client has asked again where it may.

    Attributes:
        retry_after_s: How long the server asks to be left alone; None where it did not say.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message, retry_after_s)
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return str(self.args[0])


class NotReady(AskLater):
    """Nobody there can answer now: no server is reached, the model is not loaded, or a log is away."""


class Overloaded(AskLater):
    """The server has more to do than it can, and said so at once."""


class DeadlineExceeded(TidemarkError):
    """No answer came in time. Whether one was given, nobody here knows."""


class NoScore(TidemarkError):
    """The model gave no usable score for this request: its owner should look."""


class UnreadableReply(TidemarkError):
    """The server's answer does not make sense to this client: a newer one may know it."""


class UnexpectedStatus(TidemarkError):
    """The server answered with a status that its contract does not name.

    Attributes:
        code: gRPC's name of it, e.g. "UNAUTHENTICATED".
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code

    def __str__(self) -> str:
        return f"{self.args[0]}: {self.args[1]}"

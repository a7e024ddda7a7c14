"""Why a request gets no score. Nothing here knows gRPC; `adapters.grpc` maps each to a status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable


MAX_FIELD: Final = 200
MAX_PROBLEM: Final = 400
"""Characters of a complaint. A status travels in trailers, of which clients read 8 KiB; a character of four
bytes takes twelve there. What is longer would reach the caller as another error."""


def shortened(text: str, limit: int) -> str:
    """Return a text of at most so many characters: of a longer one the beginning and the end."""
    if len(text) <= limit:
        return text
    return f"{text[: limit - limit // 3 - 3]}...{text[-(limit // 3) :]}"


class ScoringError(Exception):
    """A request that gets no score; the message says why and what to do."""


class InvalidRequest(ScoringError):
    """A field of the request is missing or wrong.

    Attributes:
        field: Its path in the request, e.g. `entities[origin]`; the middle of a very long one is left out.
        problem: What is wrong with it and what it must be; likewise.
    """

    def __init__(self, field: str, problem: str) -> None:
        self.field = shortened(field, MAX_FIELD)
        self.problem = shortened(problem, MAX_PROBLEM)
        super().__init__(f"{self.field}: {self.problem}")

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
            f"model {model!r} has no version {shortened(version, MAX_FIELD)!r} here: warm are "
            f"{', '.join(warm)}; name none to follow the route"
        )


class ModelNotReady(ScoringError):
    """The model has a route, but no version of it could be loaded yet."""

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(f"model {model!r} is not ready here: {reason}")


class Overloaded(ScoringError):
    """There is no room: better to say so now than to answer late.

    Attributes:
        retry_after_s: When there is likely to be room again.
    """

    def __init__(self, why: str, retry_after_s: float) -> None:
        super().__init__(f"{why}: retry elsewhere, or here in {retry_after_s * 1000:.0f} ms")
        self.retry_after_s = retry_after_s


class DeadlinePassed(ScoringError):
    """The caller's deadline passed while the request waited; nothing was computed for it."""

    def __init__(self) -> None:
        super().__init__("the deadline passed while the request waited for its batch")


class LogUnavailable(ScoringError):
    """The model logs durably and the prediction could not be written."""


class NoScore(ScoringError):
    """The model gave no usable score for this vector."""


class UnfitVector(NoScore):
    """A number of this vector does not fit the input of the model's graph that takes it; nothing was run."""


class VersionFailing(ScoringError):
    """The version that the route chose has failed so often in a row that it is not run for now.

    Attributes:
        retry_after_s: When it is tried again.
    """

    def __init__(self, version: str, failures: int, retry_after_s: float) -> None:
        super().__init__(
            f"VERSION_FAILING: {version} gave no score {failures} times in a row and is tried again in "
            f"{retry_after_s * 1000:.0f} ms: route another version, or mend this one"
        )
        self.retry_after_s = retry_after_s


class FeaturesUnavailable(ScoringError):
    """Features could not be read, and the model declares that it must fail then."""

    def __init__(self, model: str, features: str) -> None:
        super().__init__(
            f"FEATURES_UNAVAILABLE: {features} could not be read, and {model!r} is declared "
            'when_unreadable="fail": ask again, or elsewhere'
        )

"""What is joined: answers that versions gave, and outcomes that told the truth."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Role(IntEnum):
    """The part a version played. What is kept holds the numbers: they stay."""

    CHAMPION = 1
    CHALLENGER = 2
    SHADOW = 3


@dataclass(frozen=True, slots=True)
class Prediction:
    """An answer of one version to one request.

    Attributes:
        prediction_id: Unique a served request; a shadow repeats the id of the answer it shadows.
        request_key: By which outcomes find it.
        label: Whose outcomes resolve it; empty when none do.
        score: As `PredictionMade.score`: of two classes the probability of the positive one.
        segment: Of the route; empty for none.
        probabilities: Of many classes, little-endian float64; empty where they were not recorded.
        embedding: Likewise. It is not kept for outcomes: no quality is made of it.
        traceparent: The trace of the request, for whatever follows from it.
    """

    prediction_id: str
    request_key: str
    label: str
    model: str
    version: str
    variant: str
    role: Role
    score: float
    request_time_us: int
    entities: Mapping[str, str]
    traceparent: str | None = None
    segment: str = ""
    probabilities: bytes = b""
    embedding: bytes = b""

    @property
    def identity(self) -> tuple[str, str]:
        """What makes it one answer: the same request and version are the same answer."""
        return self.prediction_id, self.version


@dataclass(frozen=True, slots=True)
class Outcome:
    """The truth about a request, or a later correction of it.

    Attributes:
        value: 0 or 1 of two classes, a class's number of many, else in the label's unit.
        revision: From 0; a later one supersedes.
        time_us: When it was true.
        recorded_time_us: When it became known.
    """

    label: str
    request_key: str
    value: float
    revision: int
    time_us: int
    recorded_time_us: int


@dataclass(frozen=True, slots=True)
class Resolved:
    """An answer that met an outcome."""

    prediction: Prediction
    outcome: Outcome

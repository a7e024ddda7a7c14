"""What is asked and told, as callers write it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tidemark_client.values import Scalar


@dataclass(frozen=True, slots=True)
class ScoringRequest:
    """One request for a score.

    Attributes:
        model: The model's name, e.g. "flight-delay".
        entities: Entity name to key, e.g. {"origin": "JFK"}.
        context: The inputs that the model's request-time features read.
        request_time: The `as of` of its features; the server's clock when left out.
        prediction_id: Asking again under the same id counts once; a new one when left out.
        request_key: By which an outcome will find the prediction; its id when left out.
        explain: Answer with the name, value and status of every feature too.
    """

    model: str
    entities: Mapping[str, str] = field(default_factory=dict)
    context: Mapping[str, Scalar] = field(default_factory=dict)
    request_time: datetime | None = None
    prediction_id: str | None = None
    request_key: str | None = None
    explain: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """The truth about a request.

    Attributes:
        label: What the truth is of, e.g. "arrived_late".
        request_key: As the request named it, or its prediction's id where it named none.
        value: 0 or 1 (or a bool) where the label is a condition.
        revision: From 0. The first value of a revision stands; a later revision corrects it.
        outcome_time: When it was true; when it became known, if left out.
        recorded_time: When it became known; the server's clock when left out.
    """

    label: str
    request_key: str
    value: float
    revision: int = 0
    outcome_time: datetime | None = None
    recorded_time: datetime | None = None

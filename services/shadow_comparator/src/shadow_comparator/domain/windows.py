"""Windows of request time, and what lies in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shadow_comparator.domain.facts import Role


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """Requests of one model with a request time in [start, start + length)."""

    model: str
    start_us: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a version answered to a request of a window.

    Attributes:
        numbers: Beside its score, little-endian float64: probabilities of many classes, or an embedding;
            empty where none were recorded.
    """

    prediction_id: str
    version: str
    role: Role
    score: float
    numbers: bytes = b""


@dataclass(frozen=True, slots=True)
class Truth:
    """What a request of a window turned out to be, at a revision of its outcome."""

    prediction_id: str
    value: float
    revision: int


@dataclass(frozen=True, slots=True)
class Contents:
    """Everything in a window, by now.

    Attributes:
        truths: Label by prediction id.
    """

    answers: Sequence[Answer]
    truths: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Glimpse:
    """How much is in a window: enough to decide whether to look inside.

    Attributes:
        changes: Grows with every answer, label and correction.
        requests: Answered, by champion or canary.
        labelled: Whose truth is known.
    """

    start_us: int
    changes: int
    requests: int
    labelled: int


def window_start_us(request_time_us: int, length_us: int) -> int:
    """Return the start of the window of a request; windows are aligned to the epoch."""
    return request_time_us // length_us * length_us

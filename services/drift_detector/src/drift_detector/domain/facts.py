"""What is counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Answered:
    """A request was answered by a version that serves.

    Attributes:
        identity: 64 bits of the prediction's id.
        is_champion: Else an arm beside the champion.
        values: The vector, little-endian float32.
        statuses: A byte a feature, `tidemark.scoring.v1.FeatureStatus`.
        entities: For slices.
        known_us: When the request became known.
    """

    identity: int
    model: str
    version: str
    is_champion: bool
    score: float
    values: bytes
    statuses: bytes
    entities: Mapping[str, str]
    request_us: int
    known_us: int


@dataclass(frozen=True, slots=True)
class Resolved:
    """An answer met its outcome.

    Attributes:
        identity: 64 bits of the prediction's id.
        outcome: 0 or 1 of two classes, a class's number of many, else in the label's unit.
        revision: Of the outcome; a later one supersedes.
        segment: Of the route; empty for none.
        probabilities: Of many classes; empty where they were not recorded.
        known_us: When the outcome became known.
    """

    identity: int
    model: str
    version: str
    score: float
    outcome: float
    revision: int
    entities: Mapping[str, str]
    request_us: int
    known_us: int
    segment: str = ""
    probabilities: tuple[float, ...] = ()

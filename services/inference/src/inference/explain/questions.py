"""What is asked for an explanation, and what is answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from inference.domain.explanations import Explained, Subject, Target
    from inference.domain.reasons import Reason
    from inference.explain.predictions import Prediction


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """A vector that the caller has; see `Subject`. Without a version, the champion's."""

    model: str
    version: str
    values: NDArray[np.float32]
    statuses: NDArray[np.uint8]
    entities: Mapping[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What is asked: a prediction by its id, or a given vector.

    Attributes:
        each: How many reasons of each direction.
    """

    prediction_id: str
    given: Given | None
    target: Target
    each: int


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """An explanation with its words.

    Attributes:
        prediction: What was asked about; None for a given vector.
    """

    explained: Explained
    subject: Subject
    reasons: tuple[Reason, ...]
    notes: tuple[str, ...]
    prediction: Prediction | None = None

"""What kinds of model there are, and what is known of each model that is compared."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum


class Task(IntEnum):
    """What a model's answers are; the names are `ModelSpec.task`'s, in capitals."""

    BINARY = 1
    MULTICLASS = 2
    REGRESSION = 3
    RANKING = 4
    EMBEDDING = 5

    @property
    def is_judged(self) -> bool:
        """Whether outcomes say which of two versions is better."""
        return self not in {Task.RANKING, Task.EMBEDDING}


@dataclass(frozen=True, slots=True)
class ModelRules:
    """How a model's answers and outcomes are read.

    Attributes:
        threshold: Of two classes: a score at or above it decides for the positive one.
        classes: How many there are, of many classes.
        label: Whose outcomes are about it.
    """

    task: Task = Task.BINARY
    threshold: float = 0.5
    classes: int = 0
    label: str = ""

    def is_score(self, score: float) -> bool:
        """Say whether a version of this model can have answered this."""
        return 0.0 <= score <= 1.0 if self.task is Task.BINARY else math.isfinite(score)

    def is_outcome(self, value: float) -> bool:
        """Say whether this can be the truth about a request of this model."""
        match self.task:
            case Task.BINARY:
                return value in {0.0, 1.0}
            case Task.MULTICLASS:
                return value.is_integer() and 0 <= value < self.classes
            case _:
                return math.isfinite(value)

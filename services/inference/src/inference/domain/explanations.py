"""What is explained, and what an explanation is: the contributions of features, and reasons in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

SCORE: Final = "score"
MOST_REASONS: Final = 100
USUAL_REASONS: Final = 3


class Method(IntEnum):
    """How Shapley values were computed, numbered as in the contract."""

    EXACT = 1
    PERMUTATION = 2


class BackgroundKind(IntEnum):
    """What stands in for a feature that is left out, numbered as in the contract."""

    TRAINING_SAMPLE = 1
    GOLDEN_ROWS = 2


@dataclass(frozen=True, slots=True)
class Target:
    """Which number of a model is explained.

    Attributes:
        output: The output's name; `SCORE` for the score.
        element: Which element of the output, from 0.
    """

    output: str = SCORE
    element: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A vector, and whose answer to it is explained.

    Attributes:
        values: float32[F]; finite.
        statuses: uint8[F], numbers of feature statuses, 0 where nobody said.
        entities: Entity name to key, for words alone.
    """

    model: str
    version: str
    values: NDArray[np.float32]
    statuses: NDArray[np.uint8]
    entities: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """Shapley values on one scale: `value` = `base` + the sum of `contributions`.

    Attributes:
        contributions: float64[F].
    """

    value: float
    base: float
    contributions: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Attribution:
    """What each feature added to a model's answer.

    Attributes:
        plain: In the output's own unit.
        log_odds: The same game played for log-odds; None where the output is no probability.
    """

    method: Method
    plain: Scale
    log_odds: Scale | None


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """Why a version gives a vector its value, words apart: what is kept for who asks again.

    Attributes:
        feature_names: In the order of the vector.
        target: What the value is; of many classes' score, the probability of the class that it is of.
        is_score: Whether the value is the version's score.
        class_name: Which class's probability the value is; empty where it is none, or nobody said.
        usual: float32[F], medians over the background.
        contract_hash: Of the version's feature contract, hex.
        notes: What a reader should know.
    """

    model: str
    version: str
    digest: str
    contract_hash: str
    feature_names: tuple[str, ...]
    target: Target
    is_score: bool
    class_name: str
    background: BackgroundKind
    background_rows: int
    usual: NDArray[np.float32]
    attribution: Attribution
    notes: tuple[str, ...] = ()


def strongest(contributions: NDArray[np.float64], each: int) -> Sequence[int]:
    """Return which features moved the value most: so many of those that raise it, and that lower it.

    The strongest come first, the earlier of equals before; what moved nothing is no reason.
    """
    order = np.argsort(-np.abs(contributions), kind="stable").tolist()
    raising = [at for at in order if contributions[at] > 0][:each]
    lowering = [at for at in order if contributions[at] < 0][:each]
    chosen = {*raising, *lowering}
    return [at for at in order if at in chosen]

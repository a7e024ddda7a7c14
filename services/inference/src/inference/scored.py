"""A prediction as it was made: what the reply and the event are written from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from model_package import PackageError

from inference.domain.errors import NoScore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from feature_store import Contract
    from feature_store.vectors import Vectors
    from model_package import Scorer
    from numpy.typing import NDArray

    from inference.domain.requests import Asked
    from inference.domain.routes import Arm

    Answers = Mapping[str, NDArray[Any]]
    """What one row's outputs are, by name."""


@dataclass(slots=True)
class Scored:
    """One scored request. It refers to its batch's vectors; nothing is copied until something is written.

    Attributes:
        contract: What the vector means.
        row: Its row in `vectors`.
        latency_us: From receipt to score.
        outputs: What else the model answered, by name, of this row alone: views of its batch's arrays; None
            where there is nothing but the score.
    """

    asked: Asked
    arm: Arm
    route_revision: int
    contract: Contract
    label: str
    score: float
    vectors: Vectors
    row: int
    latency_us: int
    outputs: Answers | None = None


def score_each(
    scorer: Scorer, vectors: NDArray[np.float32]
) -> tuple[Sequence[float | NoScore], Sequence[Answers | None]]:
    """Score vectors together; one that has no score spoils its batch, not its neighbours.

    Returns:
        In the order of the vectors, the score or why there is none; and what else was answered, empty where
        the model has nothing but its score.
    """
    try:
        if scorer.has_more:
            return _answer_all(scorer, vectors)
        return scorer.score_list(vectors), ()
    except PackageError as error:
        if len(vectors) == 1:
            return [NoScore(str(error))], [None]
        alone = [score_each(scorer, vectors[row : row + 1]) for row in range(len(vectors))]
        return [scores[0] for scores, _ in alone], [more[0] if more else None for _, more in alone]


def _answer_all(scorer: Scorer, vectors: NDArray[np.float32]) -> tuple[Sequence[float], Sequence[Answers]]:
    answered = scorer.run(vectors)
    # With the ellipsis a single number stays an array.
    more = [
        {name: all_rows[row, ...] for name, all_rows in answered.named.items()} for row in range(len(vectors))
    ]
    return answered.scores, more

"""A prediction as it was made: what the reply and the event are written from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from model_package import VectorMismatch

from inference.domain.assignment import BASIS_POINTS
from inference.domain.errors import NoScore, UnfitVector

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
        log_basis_points: The share of its model's requests that is recorded, of 10,000.
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
    log_basis_points: int = BASIS_POINTS


class Answered(NamedTuple):
    """What a version said of some vectors, in their order.

    Attributes:
        scores: The score, or why there is none.
        more: What else was answered; empty where the model has nothing but its score.
    """

    scores: Sequence[float | NoScore]
    more: Sequence[Answers | None] = ()


def score_each(scorer: Scorer, vectors: NDArray[np.float32]) -> Answered:
    """Score vectors together; one that has no score spoils its batch, not its neighbours. Never raises."""
    try:
        if scorer.has_more:
            return _answer_all(scorer, vectors)
        return Answered(scorer.score_list(vectors))
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's own classes share no public base
        if len(vectors) == 1:
            kind = UnfitVector if isinstance(error, VectorMismatch) else NoScore
            return Answered([kind(f"{scorer.package.version}: {error}")])
        alone = [score_each(scorer, vectors[row : row + 1]) for row in range(len(vectors))]
        return Answered(
            [one.scores[0] for one in alone], [one.more[0] if one.more else None for one in alone]
        )


def _answer_all(scorer: Scorer, vectors: NDArray[np.float32]) -> Answered:
    answered = scorer.run(vectors)
    # With the ellipsis a single number stays an array.
    more = [
        {name: all_rows[row, ...] for name, all_rows in answered.named.items()} for row in range(len(vectors))
    ]
    return Answered(answered.scores, more)

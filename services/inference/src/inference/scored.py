"""A prediction as it was made: what the reply and the event are written from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from model_package import PackageError

from inference.domain.assignment import BASIS_POINTS
from inference.domain.errors import NoScore

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from feature_store import Contract
    from feature_store.vectors import Vectors
    from model_package import Scorer
    from numpy.typing import NDArray

    from inference.domain.requests import Asked
    from inference.domain.routes import Arm


@dataclass(slots=True)
class Scored:
    """One scored request. It refers to its batch's vectors; nothing is copied until something is written.

    Attributes:
        contract: What the vector means.
        row: Its row in `vectors`.
        latency_us: From receipt to score.
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
    log_basis_points: int = BASIS_POINTS


def score_each(scorer: Scorer, vectors: NDArray[np.float32]) -> Sequence[float | NoScore]:
    """Score vectors together; one that has no score spoils its batch, not its neighbours.

    Returns:
        In the order of the vectors, the score or why there is none.
    """
    try:
        return scorer.score_list(vectors)
    except PackageError as error:
        if len(vectors) == 1:
            return [NoScore(str(error))]
        return [score_each(scorer, vectors[row : row + 1])[0] for row in range(len(vectors))]

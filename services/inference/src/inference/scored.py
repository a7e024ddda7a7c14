"""A prediction as it was made: what the reply and the event are written from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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


def score_each(scorer: Scorer, vectors: NDArray[np.float32]) -> Sequence[float | NoScore]:
    """Score vectors together; one that has no score spoils its batch, not its neighbours. Never raises.

    Returns:
        In the order of the vectors, the score or why there is none.
    """
    try:
        return scorer.score_list(vectors)
    except Exception as error:  # noqa: BLE001 - ONNX Runtime's own classes share no public base
        if len(vectors) == 1:
            return [NoScore(f"{scorer.package.version}: {error}")]
        return [score_each(scorer, vectors[row : row + 1])[0] for row in range(len(vectors))]

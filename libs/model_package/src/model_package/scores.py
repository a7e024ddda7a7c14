"""The score of a row: the one number that is compared and watched, of whatever a model answers."""

import numpy as np
from numpy.typing import NDArray

from model_package.signature import Task


def scores_of(numbers: NDArray[np.float64], task: Task, column: int | None) -> NDArray[np.float64]:
    """The scores of rows, as `ScoreResponse.score` defines them.

    Args:
        numbers: What the score's output holds, float64[n, width], width at least 1.
        task: Of many classes it is the probability of the likeliest; of an embedding its Euclidean length,
            whose squares are added from the first to the last; else one of the numbers.
        column: Which of them; None for the last of a binary classifier and the first of any other.

    Returns:
        float64[n]; infinite where a length is beyond float64.
    """
    if task == "multiclass":
        return np.asarray(numbers.max(axis=1))
    if task == "embedding":
        with np.errstate(over="ignore"):
            # Unlike sum, cumsum has one order of adding.
            return np.asarray(np.sqrt(np.cumsum(numbers * numbers, axis=1)[:, -1]))
    if column is None:
        column = -1 if task == "binary" else 0
    return numbers[:, column]

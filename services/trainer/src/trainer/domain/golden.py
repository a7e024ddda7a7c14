"""Which rows a package carries to prove itself with."""

import numpy as np
from numpy.typing import NDArray


def spread_rows(scores: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Rows spread evenly over the ranks of their scores, the lowest and the highest included."""
    order = np.argsort(scores, kind="stable")
    ranks = np.linspace(0, len(scores) - 1, min(count, len(scores))).round().astype(np.int64)
    return order[ranks]

"""Which rows a package carries: to prove itself with, and to be explained against."""

import numpy as np
from numpy.typing import NDArray


def spread_rows(scores: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Rows spread evenly over the ranks of their scores, the lowest and the highest included."""
    order = np.argsort(scores, kind="stable")
    ranks = np.linspace(0, len(scores) - 1, min(count, len(scores))).round().astype(np.int64)
    return order[ranks]


def sampled_rows(total: int, count: int, seed: int) -> NDArray[np.int64]:
    """Rows drawn evenly without replacement, in their order; the same for the same arguments."""
    generator = np.random.default_rng(seed)
    return np.sort(generator.choice(total, min(count, total), replace=False)).astype(np.int64)

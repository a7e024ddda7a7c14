"""Which predictions are looked at: a hash of the id decides, so whoever samples, samples the same."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_HASHES: Final = 1 << 64


def ranks_of(prediction_ids: Sequence[str]) -> NDArray[np.uint64]:
    """Return the place of each id in an order that has nothing to do with it, uint64[n]."""
    return np.array(
        [
            int.from_bytes(blake2b(one.encode(), digest_size=8, person=b"tm:sample").digest())
            for one in prediction_ids
        ],
        np.uint64,
    )


def sampled(ranks: NDArray[np.uint64], share: float) -> NDArray[np.bool_]:
    """Which ids are among `share` of all, 0 to 1: bool[n]. A larger share has those of a smaller one."""
    if share >= 1:
        return np.ones(len(ranks), np.bool_)
    return ranks < np.uint64(share * _HASHES)


def lowest(ranks: NDArray[np.uint64], most: int) -> NDArray[np.int64]:
    """Return the indices of at most `most` ids, those of least rank, each id once and in their order."""
    _, first = np.unique(ranks, return_index=True)
    return np.sort(first[:most])

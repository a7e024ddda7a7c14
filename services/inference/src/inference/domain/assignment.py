"""Which arm answers: a salted hash, so that a key always meets the same arm and experiments are uncorrelated.

The arithmetic and test vectors are in `docs/formats.md`, so that any data plane chooses alike.
"""

from __future__ import annotations

from hashlib import sha256
from itertools import accumulate
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

BASIS_POINTS: Final = 10_000


def point(salt: str, key: str) -> int:
    """Where a key falls in [0, 10,000): 8 bytes of SHA-256(salt ":" key), big endian, scaled down."""
    head = sha256(f"{salt}:{key}".encode()).digest()[:8]
    return int.from_bytes(head, "big") * BASIS_POINTS >> 64


def is_logged(model: str, request_key: str, basis_points: int) -> bool:
    """Whether a request belongs to the share that is recorded: uncorrelated with the arms of any route."""
    return point(f"log:{model}", request_key) < basis_points


def choose(weights: Sequence[int], at: int) -> int:
    """The arm whose stretch of the 10,000 basis points, laid end to end in order, holds the point.

    Args:
        weights: Basis points of each arm, summing to 10,000.
        at: What `point` gave.
    """
    return next(index for index, end in enumerate(accumulate(weights)) if at < end)

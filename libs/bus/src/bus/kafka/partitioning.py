"""Which partition a key belongs to: the Java client's murmur2, so that every producer agrees."""

from __future__ import annotations

import secrets
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_SEED: Final = 0x9747B28C
_MULTIPLIER: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF
_CHOOSE: Final = secrets.SystemRandom().choice


def partition_of_key(key: bytes | None, partitions: Sequence[int], available: Sequence[int]) -> int:
    """Choose a record's partition: by its key, or any available one where it has none."""
    if key is None:
        return _CHOOSE(available or partitions)
    return partitions[(murmur2(key) & 0x7FFFFFFF) % len(partitions)]


@lru_cache(maxsize=65_536)
def murmur2(data: bytes) -> int:
    """Hash as org.apache.kafka.common.utils.Utils.murmur2 does.

    Hashes are remembered: keys repeat, and Python is slow at it.
    """
    body = len(data) & ~3
    mixed = _SEED ^ len(data)
    for start in range(0, body, 4):
        word = int.from_bytes(data[start : start + 4], "little") * _MULTIPLIER & _MASK
        word = (word ^ word >> 24) * _MULTIPLIER & _MASK
        mixed = (mixed * _MULTIPLIER & _MASK) ^ word
    if len(data) > body:
        mixed = (mixed ^ int.from_bytes(data[body:], "little")) * _MULTIPLIER & _MASK
    mixed = (mixed ^ mixed >> 13) * _MULTIPLIER & _MASK
    return mixed ^ mixed >> 15

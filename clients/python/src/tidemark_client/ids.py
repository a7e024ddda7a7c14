"""Ids of predictions, made before the first attempt."""

from __future__ import annotations

from typing import Final

CHANCE_BYTES: Final = 10
_VERSION: Final = 0x7 << 76
_VERSION_BITS: Final = 0xF << 76
_VARIANT: Final = 0b10 << 62
_VARIANT_BITS: Final = 0b11 << 62


def uuid7(now_us: int, chance: bytes) -> str:
    """Return a UUID of version 7 (RFC 9562, 5.7), 32 hex digits: ids made later sort after.

    So ids of one time lie together wherever they are kept in order, and a lookup passes over other times.

    Args:
        now_us: When it is made, to the millisecond.
        chance: `CHANCE_BYTES` random bytes, of which 74 bits are used.
    """
    number = (now_us // 1000) << 80 | int.from_bytes(chance, "big")
    number = number & ~_VERSION_BITS & ~_VARIANT_BITS | _VERSION | _VARIANT
    return f"{number:032x}"

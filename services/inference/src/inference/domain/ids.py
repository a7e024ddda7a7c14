"""Ids of predictions whose callers gave none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

CHANCE_BYTES: Final = 10
_AT_ONCE: Final = 256
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


class Uuid7s:
    """Makes ids, of chance that is drawn for many at a time: for each it would be a call of the system.

    Args:
        now_us: The time.
        chance: Gives so many random bytes.
    """

    def __init__(self, now_us: Callable[[], int], chance: Callable[[int], bytes]) -> None:
        self._now_us = now_us
        self._chance = chance
        self._drawn = b""
        self._used = 0

    def __call__(self) -> str:
        """Return an id that no other is like."""
        if self._used == len(self._drawn):
            self._drawn, self._used = self._chance(_AT_ONCE * CHANCE_BYTES), 0
        begin = self._used
        self._used += CHANCE_BYTES
        return uuid7(self._now_us(), self._drawn[begin : self._used])

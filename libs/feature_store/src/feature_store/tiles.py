"""Rings of tiles: how a window is kept, and which of its tiles count as of a moment.

A window W is kept as `count` tiles of `width_us = W / count`, aligned to the epoch: `tile(t) = floor(t /
width_us)`. Tile `i` lives in slot `i mod count`. The ring's head is the tile of the newest event applied; the
ring holds the tiles `head - count + 1 ... head`, an event in an older one is outside and leaves no trace, and
a slot is emptied when the head passes over it. So a ring is a pure function of the set of events applied:
their order, batching and repetition leave no trace.

The window's value as of T merges those of its tiles that lie in `tile(T) - count + 1 ... tile(T)`.

All time is one tile, of 2^62 us, that begins at -2^61: every time lies in tile 0, and `EMPTY_US` in tile -1.

The functions work on broadcast arrays, so that many rings, also of different windows, are one call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64] | int

EMPTY_US: Final = -(2**62)
"""The newest event time of a row without events: below any time, with room to subtract from it."""


ALL_TIME_US: Final = 2**62
"""The width of the tile of all time."""


@dataclass(frozen=True, slots=True, order=True)
class Ring:
    """A window's tiles.

    Attributes:
        width_us: Length of a tile.
        count: Number of tiles; the window is `width_us * count` long.
    """

    width_us: int
    count: int

    @property
    def of_all_time(self) -> bool:
        """Whether it is one tile that never ends."""
        return self.width_us == ALL_TIME_US

    @property
    def origin_us(self) -> int:
        """Where tile 0 begins: at the epoch, but for all time, whose tile 0 holds every time."""
        return -ALL_TIME_US // 2 if self.of_all_time else 0

    def tile(self, time_us: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the tiles in which times lie."""
        tile: NDArray[np.int64] = np.floor_divide(np.subtract(time_us, self.origin_us), self.width_us)
        return tile


def held(head: NDArray[np.int64], count: Integers, slot: Integers) -> NDArray[np.int64]:
    """Return the tile that a slot stands for in a ring of `count` tiles with this head."""
    behind: NDArray[np.int64] = np.subtract(np.mod(head, count), slot)
    tile: NDArray[np.int64] = head - behind - np.multiply(behind < 0, count)
    return tile


def first(head: NDArray[np.int64], as_of: NDArray[np.int64], count: Integers) -> NDArray[np.int64]:
    """Return the oldest tile that counts as of the tile `as_of` in a ring with this head."""
    tile: NDArray[np.int64] = np.maximum(head, as_of) - np.subtract(count, 1)
    return tile

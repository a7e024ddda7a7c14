"""Many sorted lists at once: integers in groups, laid end to end, as one sorted array of composite keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_KEY_LIMIT: Final = 2**62


class CompositeKeys:
    """Makes one integer of a group and a value, such that the integers sort by group and then by value.

    A value is taken by its distance from the least one, where that fits into 62 bits beside the group, else
    by its rank among the array's values. A value that lies outside the array's sorts before, or after, all of
    its group.

    Attributes:
        base: The keys of group `g` lie in `g * base ... g * base + base - 1`.
    """

    def __init__(self, values: NDArray[np.int64], groups: int) -> None:
        """Prepare for values like these.

        Args:
            values: The values that keys are searched for among.
            groups: Groups are numbered from -1 (one without values) to `groups - 1`.
        """
        self._least = int(values.min()) if len(values) else 0
        self._span = int(values.max()) - self._least if len(values) else 0
        self._ranked: NDArray[np.int64] | None = None
        if (groups + 1) * (self._span + 3) > _KEY_LIMIT:
            ordered = np.sort(values)
            self._ranked = ordered[np.append(True, ordered[1:] != ordered[:-1])]
            self._span = len(self._ranked)
        # Room for one value before and one after those of the array.
        self.base = self._span + 3

    def of(self, group: NDArray[np.int64], value: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return a key for each (group, value).

        A value between two of the array's sorts after the lesser, and not after the greater.
        """
        before = self._least - 1
        if self._ranked is None:
            return group * self.base + np.clip(value, before, before + self._span + 2) - before
        return group * self.base + self._ranked.searchsorted(value)

    def values(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the values of keys that were made of values of the array."""
        if self._ranked is None:
            return keys % self.base + (self._least - 1)
        return self._ranked[keys % self.base]


class Greatest:
    """The greatest value of a list up to each of its places, for lists laid end to end."""

    def __init__(self, group: NDArray[np.int64], values: NDArray[np.int64], groups: int) -> None:
        """Prepare.

        Args:
            group: The list of each place, rising.
            values: The value at each place.
            groups: Number of lists.
        """
        self._composite = CompositeKeys(values, groups)
        # A later list has greater keys: the running maximum does not run on from one list into the next.
        self._keys = np.maximum.accumulate(self._composite.of(group, values))

    def before(self, start: NDArray[np.int64], place: NDArray[np.int64], none: int) -> NDArray[np.int64]:
        """Return the greatest value from a list's start up to a place, exclusive; `none` at the start."""
        greatest = np.full(place.shape, none, np.int64)
        some = place > start
        greatest[some] = self._composite.values(self._keys[place[some] - 1])
        return greatest

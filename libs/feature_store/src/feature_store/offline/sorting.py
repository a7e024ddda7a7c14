"""Many sorted lists at once: integers in groups, laid end to end, as one sorted array of composite keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Ranks:
    """The distinct values of an array in order, so that (group, value) becomes one integer that sorts the same way.

    Attributes:
        base: The key of group `g` lies in `g * base ... g * base + base - 1`.
    """

    def __init__(self, values: NDArray[np.int64]) -> None:
        self._distinct = np.unique(values)
        self.base = len(self._distinct) + 1

    def keys(self, group: NDArray[np.int64], value: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return an integer for each (group, value), which sorts as the two do.

        A value that the array does not have ranks as the next greater one that it has.
        """
        return group * self.base + self._distinct.searchsorted(value)

    def values(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the values of keys that were made of values of the array."""
        return self._distinct[keys % self.base]


class Greatest:
    """The greatest value of a list up to each of its places, for lists laid end to end."""

    def __init__(
        self, group: NDArray[np.int64], values: NDArray[np.int64], part: NDArray[np.bool_] | None = None
    ) -> None:
        """Prepare.

        Args:
            group: The list of each place, rising.
            values: The value at each place.
            part: The places whose values take part; all when left out.
        """
        self._distinct, rank = np.unique(values, return_inverse=True)
        self._base = len(self._distinct) + 1
        ranks = rank + 1 if part is None else np.where(part, rank + 1, 0)
        # A later list has greater keys: the running maximum does not run on from one list into the next.
        self._keys = np.maximum.accumulate(group * self._base + ranks)

    def before(self, start: NDArray[np.int64], place: NDArray[np.int64], none: int) -> NDArray[np.int64]:
        """Return the greatest value from a list's start up to a place, exclusive; `none` where there is no value."""
        greatest = np.full(place.shape, none, np.int64)
        some = np.flatnonzero(place > start)
        rank = self._keys[place[some] - 1] % self._base
        some, rank = some[rank > 0], rank[rank > 0]
        greatest[some] = self._distinct[rank - 1]
        return greatest

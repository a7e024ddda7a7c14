"""One attribute of a dimension as an expression reads it: a value by key, and by time where it changes."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from feature_store.expressions.types import FieldType, column_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from feature_store.expressions.types import Value


class Version(NamedTuple):
    """What a key has from a time on.

    Attributes:
        key: A text that is not empty.
        from_us: The first microsecond of it, UTC; 0 everywhere in a table without times.
        value: Of the attribute's type: float, str, int (a time, or a flag: 0 or 1); None for null.
    """

    key: str
    from_us: int
    value: float | str | int | None


class Table:
    """An attribute's values. It takes part in hashes with its contents.

    Attributes:
        name: How definitions write it, such as `aircraft['seats']`.
        kind: The type of its values.
        is_timed: Whether what a key has depends on the time.
        digest: SHA-256, hex, over the versions in the order of key and time; not over the name.
        places: Key to its number, in the order of the keys.
        first: By number of a key, its first version, int64[keys + 1]; the last is the number of versions.
        from_us: By version, int64[versions]; rising within a key.
        values: By version, laid out as `kind` says; one more at the end is null.
    """

    def __init__(self, name: str, kind: FieldType, versions: Sequence[Version], *, is_timed: bool) -> None:
        ordered = sorted(versions, key=lambda version: version[:2])
        self.name, self.kind, self.is_timed = name, kind, is_timed
        content = [str(kind), is_timed, ordered]
        text = json.dumps(content, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
        self.digest = hashlib.sha256(text.encode()).hexdigest()
        keys = list(dict.fromkeys(version.key for version in ordered))
        self.places: Mapping[str, int] = {key: place for place, key in enumerate(keys)}
        place_of = np.array([self.places[version.key] for version in ordered], np.int64)
        self.first = place_of.searchsorted(np.arange(len(keys) + 1))
        self.from_us = np.array([version.from_us for version in ordered], np.int64)
        self.values = column_of(kind, [*(version.value for version in ordered), None])
        # A version's key and time as one rising number: the time by its rank among all times of the table.
        self._times_us = np.unique(self.from_us)
        self._ranks = len(self._times_us) + 1
        self._order = place_of * self._ranks + self._times_us.searchsorted(self.from_us, side="right")

    def __repr__(self) -> str:
        return self.name

    def canonical(self) -> list[str]:
        """Return what stands for the table in an expression's canonical form."""
        return [self.name, self.digest]

    def find(self, keys: Value, as_of: Value | None = None) -> Value:
        """Return the values that keys have, null for one that the table lacks.

        Args:
            keys: object[n], or one text for all rows.
            as_of: timedelta64[us][n] since the epoch, where the table `is_timed`: the value is that of the
                newest version that begins then or before.
        """
        sought = [keys] if isinstance(keys, str) else keys
        place = np.fromiter((self.places.get(key, -1) for key in sought), np.int64, len(sought))
        found = self.values[place if as_of is None else self._version(place, as_of.view(np.int64))]
        return found.view("m8[us]") if self.kind is FieldType.TIME else found

    def _version(self, place: NDArray[np.int64], time_us: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the version of each key at a time; -1 where it has none."""
        rank = self._times_us.searchsorted(time_us, side="right")
        version = self._order.searchsorted(place * self._ranks + rank, side="right") - 1
        there = (place >= 0) & (version >= self.first[place])
        chosen: NDArray[np.int64] = np.where(there, version, -1)
        return chosen

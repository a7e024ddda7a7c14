"""One attribute of a dimension as an expression reads it: a value by key, and by time where it changes."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from itertools import repeat
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from feature_store.expressions.types import FieldType, column_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from feature_store.expressions.types import Value

_NONE: Final = -1
"""The place of the null behind all values."""


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
        begins_us: By key, in order: since when each of its versions is valid, rising.
        first: By key, the number of its first version.
        values: By version, laid out as `kind` says; one more at the end is null.
    """

    def __init__(self, name: str, kind: FieldType, versions: Sequence[Version], *, is_timed: bool) -> None:
        ordered = sorted(versions, key=lambda version: version[:2])
        self.name, self.kind, self.is_timed = name, kind, is_timed
        content = [str(kind), is_timed, ordered]
        text = json.dumps(content, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
        self.digest = hashlib.sha256(text.encode()).hexdigest()
        self.begins_us: dict[str, list[int]] = {}
        self.first: dict[str, int] = {}
        for number, version in enumerate(ordered):
            self.first.setdefault(version.key, number)
            self.begins_us.setdefault(version.key, []).append(version.from_us)
        self.values = column_of(kind, [*(version.value for version in ordered), None])

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
        numbers: Iterable[int]
        if as_of is None:
            sought = [keys] if isinstance(keys, str) else keys
            numbers = (self.first.get(key, _NONE) for key in sought)
        else:
            times_us = as_of.view(np.int64).tolist()
            sought = repeat(keys, len(times_us)) if isinstance(keys, str) else keys
            numbers = map(self._version, sought, times_us)
        found = self.values[np.fromiter(numbers, np.int64)]
        return found.view("m8[us]") if self.kind is FieldType.TIME else found

    def _version(self, key: str | None, time_us: int) -> int:
        """Return the number of the version that a key has at a time."""
        if key not in self.first:
            return _NONE
        begun = bisect_right(self.begins_us[key], time_us)
        return self.first[key] + begun - 1 if begun else _NONE

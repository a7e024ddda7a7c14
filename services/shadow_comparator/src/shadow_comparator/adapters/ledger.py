"""A ledger: hashes whose fields only ever move forward.

Everything this service keeps has one shape: a field is written once, or superseded by a higher rank, and a
repeat changes nothing. So any number of processes may write in any order, and crash anywhere, and end with
the same content. Each hash is one key, so a cluster needs nothing special.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CHANGES: Final = b"changes"
"""The counter, in every hash, of all changes to its fields."""


class Entry(NamedTuple):
    """What a field is to become, unless it has this rank or a higher one.

    Attributes:
        name: Of the field.
        counter: Grows by one when the field is new; none when empty.
    """

    name: bytes
    rank: int
    value: bytes
    counter: bytes = b""


@dataclass(frozen=True, slots=True)
class Write:
    """Entries for one hash.

    Attributes:
        keep_ms: The hash lives at least so long from now on.
    """

    key: bytes
    entries: Sequence[Entry]
    keep_ms: int


class Ranked(NamedTuple):
    """What a field is."""

    rank: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """A hash, whole."""

    fields: Mapping[bytes, Ranked] = field(default_factory=dict)
    counters: Mapping[bytes, int] = field(default_factory=dict)


class Ledger(Protocol):
    """Where the hashes are. Every method raises `Unavailable` when they are away; repeating is harmless."""

    async def write(self, writes: Sequence[Write], counters: Sequence[bytes] = ()) -> list[list[int]]:
        """Write, each hash in one step.

        Returns:
            For each write how many fields changed, then the hash's counters of the names asked for.
        """

    async def exchange(self, writes: Sequence[Write]) -> list[Page]:
        """Write each hash and read it whole, in one step."""

    async def read(self, keys: Sequence[bytes]) -> list[Page]:
        """Read hashes; empty ones where there are none."""

    async def drop(self, key: bytes, name: bytes, rank: int) -> None:
        """Remove a field unless its rank is higher than `rank`."""

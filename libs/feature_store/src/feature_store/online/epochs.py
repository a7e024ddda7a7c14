"""Whether the store still holds what was written: marker keys that vanish when rows do.

A store that was flushed, restarted empty, or lost a node answers every read with "no row", which a writer
cannot tell from an entity's first event. So a value, the epoch, is kept under marker keys on every node,
beside the rows. Only `tidemark features backfill` changes it once it is there:

| markers | rows are |
|---|---|
| all the same epoch | whole |
| `held:...`, or of different epochs | being made by a backfill: writers wait |
| some missing, or `lost:...` | lost: writers wait for a backfill |
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

FRESH: Final = b"fresh"
"""The epoch of a store that a group that began with its topics."""
_HELD: Final = b"held:"
_LOST: Final = b"lost:"


class Condition(Enum):
    """What the markers say of the rows."""

    UNMARKED = "unmarked"
    """There is no marker: the store is new, or everything was lost."""
    WHOLE = "whole"
    HELD = "held"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Epoch:
    """What the markers say.

    Attributes:
        condition: Of the rows.
        detail: The epoch of whole rows; of others, why they are not.
    """

    condition: Condition
    detail: str


class Epochs(Protocol):
    """The markers of one group's rows."""

    async def read(self) -> Epoch:
        """Return what the markers say.

        Raises:
            StoreUnavailable: the store is away.
        """
        ...

    async def begin(self) -> None:
        """Mark a new store; markers that are there stay.

        Raises:
            StoreUnavailable: the store is away.
        """
        ...

    async def write(self, epoch: bytes) -> None:
        """Set every marker.

        Raises:
            StoreUnavailable: the store is away; some may be set.
        """
        ...

    async def evicted(self) -> int:
        """Return how many keys the servers have evicted since each started.

        Raises:
            StoreUnavailable: the store is away.
        """
        ...


def held(by: str) -> bytes:
    """Return the epoch that makes writers wait for a backfill."""
    return _HELD + by.encode()


def lost(why: str) -> bytes:
    """Return the epoch that says that rows were lost."""
    return _LOST + why.encode()


def epoch_of(markers: Sequence[bytes | None]) -> Epoch:
    """Return what markers say."""
    found = [marker for marker in markers if marker is not None]
    if not found:
        return Epoch(Condition.UNMARKED, "there is no marker of rows")
    for marker in found:
        if marker.startswith(_LOST):
            return Epoch(Condition.LOST, marker.removeprefix(_LOST).decode())
    if len(found) < len(markers):
        missing = len(markers) - len(found)
        return Epoch(Condition.LOST, f"{missing} of {len(markers)} markers are gone")
    if found[0].startswith(_HELD) or len(set(found)) > 1:
        return Epoch(Condition.HELD, "a backfill is making rows")
    return Epoch(Condition.WHOLE, found[0].decode())


class MemoryEpochs:
    """`Epochs` in this process.

    Attributes:
        markers: What is kept; a test may change it as a flush would.
        evictions: What `evicted` answers.
    """

    def __init__(self) -> None:
        self.markers: list[bytes | None] = [None, None]
        self.evictions = 0

    async def read(self) -> Epoch:
        """See `Epochs.read`."""
        return epoch_of(self.markers)

    async def begin(self) -> None:
        """See `Epochs.begin`."""
        self.markers = [FRESH if marker is None else marker for marker in self.markers]

    async def write(self, epoch: bytes) -> None:
        """See `Epochs.write`."""
        self.markers = [epoch] * len(self.markers)

    async def evicted(self) -> int:
        """See `Epochs.evicted`."""
        return self.evictions

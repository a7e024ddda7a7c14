"""What the online store needs of a key-value server, and what a reader of rows promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class StoreUnavailable(Exception):
    """The store did not answer, or with an error: what was asked may be done. Asking again is safe."""


class FeatureRows(Protocol):
    """Rows by key, replaced by compare-and-set on their revision."""

    async def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the rows under these keys, None where there is none.

        Raises:
            StoreUnavailable: the store is away.
        """
        ...

    async def replace(
        self, keys: Sequence[bytes], expected: Sequence[bytes], rows: Sequence[bytes]
    ) -> Mapping[int, bytes | None]:
        """Set each row under its key if what is stored there still has the expected revision.

        Each key is its own decision: some may be replaced and others not.

        Args:
            keys: Distinct keys.
            expected: By key, `revision_of` the row that the new one was made from.
            rows: By key, the new row.

        Returns:
            By index, what is stored under the keys that were not replaced.

        Raises:
            StoreUnavailable: the store is away; some of the rows may have been replaced.
        """
        ...


@dataclass(frozen=True, slots=True)
class Claim:
    """Ids of records of one partition, to be claimed by their offsets.

    Attributes:
        topic: The records' topic.
        partition: Their partition.
        generation: The generation of offsets (`claims.generation_of`) that all of them belong to.
        oldest: The oldest generation of the batch's records of the partition: what these need is kept.
        ids: A digest of each record's id.
        offsets: Their offsets, rising.
    """

    topic: str
    partition: int
    generation: int
    oldest: int
    ids: Sequence[bytes]
    offsets: Sequence[int]


class Claims(Protocol):
    """Which record of a partition was the first with its id.

    The first offset to claim an id owns it. A claim is recognised through its own generation and the next,
    then it is forgotten.
    """

    async def claim(self, claims: Sequence[Claim]) -> list[list[int]]:
        """Claim ids, durably.

        Claiming again with the same offset is no repeat: a batch that is handled again after a crash finds
        its own claims.

        Returns:
            For each claim, the indexes of the records whose id is owned by another offset.

        Raises:
            StoreUnavailable: the store is away; some of the ids may have been claimed.
        """
        ...


@dataclass(frozen=True, slots=True)
class ReadRows:
    """What a reader got: a row or None by key; where `readable` is False, nothing is known of any."""

    rows: Sequence[bytes | None]
    readable: bool


class RowReader(Protocol):
    """Reads rows for scoring: within a deadline, and without ever failing."""

    async def read(self, keys: Sequence[bytes]) -> ReadRows:
        """Return the rows under these keys, or say that they could not be read in time."""
        ...

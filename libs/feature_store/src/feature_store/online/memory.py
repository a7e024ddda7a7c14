"""The online store in this process's memory: for tests, and the reference for what the Redis adapters do."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from feature_store.online.claims import GENERATIONS_KEPT
from feature_store.online.ports import ReadRows
from feature_store.rows import revision_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from feature_store.online.ports import Claim


class MemoryFeatureRows:
    """`FeatureRows` in a dict.

    Attributes:
        stored: The rows, by key.
    """

    def __init__(self) -> None:
        self.stored: dict[bytes, bytes] = {}

    async def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """See `FeatureRows.read`."""
        return [self.stored.get(key) for key in keys]

    async def replace(
        self, keys: Sequence[bytes], expected: Sequence[bytes], rows: Sequence[bytes]
    ) -> Mapping[int, bytes | None]:
        """See `FeatureRows.replace`."""
        conflicts: dict[int, bytes | None] = {}
        for index, (key, revision, row) in enumerate(zip(keys, expected, rows, strict=True)):
            if revision_of(self.stored.get(key)) == revision:
                self.stored[key] = row
            else:
                conflicts[index] = self.stored.get(key)
        return conflicts


class MemoryClaims:
    """`Claims` in a dict.

    Attributes:
        owners: The offset that owns each id, by topic, partition and generation.
    """

    def __init__(self) -> None:
        self.owners: dict[tuple[str, int, int], dict[bytes, int]] = defaultdict(dict)

    async def claim(self, claims: Sequence[Claim]) -> list[list[int]]:
        """See `Claims.claim`."""
        return [self._claim(claim) for claim in claims]

    def _claim(self, claim: Claim) -> list[int]:
        topic, partition, generation = claim.topic, claim.partition, claim.generation
        before = self.owners[topic, partition, generation - 1]
        now = self.owners[topic, partition, generation]
        repeats = []
        for index, (record_id, offset) in enumerate(zip(claim.ids, claim.offsets, strict=True)):
            owner = before.get(record_id)
            if owner is None:
                owner = now.setdefault(record_id, offset)
            if owner != offset:
                repeats.append(index)
        self.owners.pop((topic, partition, claim.oldest - GENERATIONS_KEPT), None)
        return repeats


class MemoryRowReader:
    """`RowReader` over memory rows; unreadable while `away` is set."""

    def __init__(self, rows: MemoryFeatureRows) -> None:
        self._rows = rows
        self.away = False

    async def read(self, keys: Sequence[bytes]) -> ReadRows:
        """See `RowReader.read`."""
        if self.away:
            return ReadRows([None] * len(keys), readable=False)
        return ReadRows(await self._rows.read(keys), readable=True)

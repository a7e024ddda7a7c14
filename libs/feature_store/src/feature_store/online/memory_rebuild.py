"""What a rebuild needs beside rows and claims, in this process's memory: for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from feature_store.online.staging import STAGED, staged_topic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from feature_store.online.memory import MemoryClaims, MemoryFeatureRows
    from feature_store.online.rebuild import Note, Positions


class MemoryRebuildStore:
    """`RebuildStore` over memory rows and claims."""

    def __init__(self, rows: MemoryFeatureRows, claims: MemoryClaims) -> None:
        self._rows = rows
        self._claims = claims
        self._note: Note | None = None

    async def note(self) -> Note | None:
        """See `RebuildStore.note`."""
        return self._note

    async def take_note(self, note: Note) -> None:
        """See `RebuildStore.take_note`."""
        self._note = note

    async def staged_keys(self) -> AsyncIterator[Sequence[bytes]]:
        """See `RebuildStore.staged_keys`."""
        yield [key for key in self._rows.stored if key.startswith(STAGED)]

    async def copy_claims(self, positions: Positions) -> None:
        """See `RebuildStore.copy_claims`."""
        for topic in positions:
            for (staged, partition, generation), owners in list(self._claims.owners.items()):
                if staged == staged_topic(topic):
                    self._claims.owners[topic, partition, generation].update(owners)

    async def forget(self) -> None:
        """See `RebuildStore.forget`."""
        for key in [key for key in self._rows.stored if key.startswith(STAGED)]:
            del self._rows.stored[key]
        for claimed in [one for one in self._claims.owners if one[0].startswith(staged_topic(""))]:
            del self._claims.owners[claimed]
        self._note = None

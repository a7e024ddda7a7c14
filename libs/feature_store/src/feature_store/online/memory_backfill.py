"""What a backfill needs beside rows and claims, in this process's memory: for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from feature_store.online.staging import claimed_topic, staged_name, staged_prefix

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from feature_store.online.backfill_ports import Note
    from feature_store.online.keepers import Positions
    from feature_store.online.memory import MemoryClaims, MemoryFeatureRows


class MemoryBackfillStore:
    """`BackfillStore` over memory rows and claims."""

    def __init__(self, rows: MemoryFeatureRows, claims: MemoryClaims, group: str) -> None:
        self._rows = rows
        self._claims = claims
        self._group = group
        self._staged = staged_prefix(group)
        self._note: Note | None = None

    async def note(self) -> Note | None:
        """See `BackfillStore.note`."""
        return self._note

    async def take_note(self, note: Note) -> None:
        """See `BackfillStore.take_note`."""
        self._note = note

    async def staged_keys(self) -> AsyncIterator[Sequence[bytes]]:
        """See `BackfillStore.staged_keys`."""
        yield [key for key in self._rows.stored if key.startswith(self._staged)]

    async def copy_claims(self, positions: Positions) -> None:
        """See `BackfillStore.copy_claims`."""
        for topic in positions:
            for (staged, partition, generation), owners in list(self._claims.owners.items()):
                if staged == claimed_topic(staged_name(self._group), topic):
                    self._claims.owners[claimed_topic(self._group, topic), partition, generation].update(
                        owners
                    )

    async def forget(self) -> None:
        """See `BackfillStore.forget`."""
        for key in [key for key in self._rows.stored if key.startswith(self._staged)]:
            del self._rows.stored[key]
        claimed_by_it = claimed_topic(staged_name(self._group), "")
        for claimed in [one for one in self._claims.owners if one[0].startswith(claimed_by_it)]:
            del self._claims.owners[claimed]
        self._note = None

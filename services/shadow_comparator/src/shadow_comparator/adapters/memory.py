"""The ledger in memory, for tests of everything above it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shadow_comparator.adapters.ledger import CHANGES, Page, Ranked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shadow_comparator.adapters.ledger import Write


@dataclass
class _Hash:
    fields: dict[bytes, Ranked] = field(default_factory=dict)
    counters: dict[bytes, int] = field(default_factory=dict)
    kept_until_ms: int = 0

    def write(self, write: Write, now_ms: int) -> int:
        changed = 0
        for name, rank, value, counter in write.entries:
            stored = self.fields.get(name)
            if stored is None or rank > stored.rank:
                self.fields[name] = Ranked(rank, value)
                changed += 1
                if stored is None and counter:
                    self.counters[counter] = self.counters.get(counter, 0) + 1
        if changed:
            self.counters[CHANGES] = self.counters.get(CHANGES, 0) + changed
        self.kept_until_ms = max(self.kept_until_ms, now_ms + write.keep_ms)
        return changed

    def page(self) -> Page:
        return Page(dict(self.fields), dict(self.counters))


class MemoryLedger:
    """`Ledger` in a dictionary.

    Args:
        now_ms: The time by which hashes expire.
    """

    def __init__(self, now_ms: Callable[[], int] = lambda: 0) -> None:
        self._now_ms = now_ms
        self._hashes: dict[bytes, _Hash] = {}

    async def write(self, writes: Sequence[Write], counters: Sequence[bytes] = ()) -> list[list[int]]:
        """See `Ledger.write`."""
        replies = []
        for write in writes:
            found = self._live(write.key)
            changed = found.write(write, self._now_ms())
            replies.append([changed, *(found.counters.get(name, 0) for name in counters)])
        return replies

    async def exchange(self, writes: Sequence[Write]) -> list[Page]:
        """See `Ledger.exchange`."""
        pages = []
        for write in writes:
            found = self._live(write.key)
            found.write(write, self._now_ms())
            pages.append(found.page())
        return pages

    async def read(self, keys: Sequence[bytes]) -> list[Page]:
        """See `Ledger.read`."""
        return [self._live(key).page() for key in keys]

    async def drop(self, key: bytes, name: bytes, rank: int) -> None:
        """See `Ledger.drop`."""
        fields = self._live(key).fields
        if name in fields and fields[name].rank <= rank:
            del fields[name]

    def _live(self, key: bytes) -> _Hash:
        found = self._hashes.get(key)
        if found is None or found.kept_until_ms <= self._now_ms():
            found = self._hashes[key] = _Hash()
            found.kept_until_ms = self._now_ms() + 1
        return found

"""What was said about windows, in a ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shadow_comparator.adapters import codec, wire
from shadow_comparator.adapters.ledger import Entry, Write
from shadow_comparator.domain.revisions import Stored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitoring import Differences

    from shadow_comparator.adapters.ledger import Ledger
    from shadow_comparator.adapters.logs import Keeping
    from shadow_comparator.domain.revisions import Compared, Pair
    from shadow_comparator.domain.windows import Window

_REVISION: Final = b"r"
_PUBLISHED: Final = b"p"
_DIGEST_BYTES: Final = 16


class LedgerComparisonLog:
    """`ComparisonLog`: a hash a window, whose ranks are revisions, and one a pair for its evidence."""

    def __init__(self, ledger: Ledger, keeping: Keeping) -> None:
        self._ledger = ledger
        self._keeping = keeping

    async def newest(self, window: Window) -> Mapping[Pair, Stored]:
        """See `ComparisonLog.newest`."""
        (page,) = await self._ledger.read([self._window_key(window)])
        published = {name[1:]: rank for name, (rank, _) in page.fields.items() if name.startswith(_PUBLISHED)}
        return {
            codec.pair_of(window.model, name[1:]): Stored(
                revision,
                published.get(name[1:], -1) >= revision,
                content[:_DIGEST_BYTES],
                content[_DIGEST_BYTES:],
            )
            for name, (revision, content) in sorted(page.fields.items())
            if name.startswith(_REVISION)
        }

    async def propose(self, compared: Compared) -> Stored | None:
        """See `ComparisonLog.propose`."""
        stored = Stored(
            compared.revision,
            is_published=False,
            figures=compared.figures,
            event=wire.compared_bytes(compared),
        )
        entry = Entry(
            _REVISION + codec.versions_bytes(compared.pair), stored.revision, stored.figures + stored.event
        )
        return stored if await self._write(self._window_key(compared.window), entry) else None

    async def published(self, window: Window, pair: Pair, revision: int) -> None:
        """See `ComparisonLog.published`."""
        await self._write(
            self._window_key(window), Entry(_PUBLISHED + codec.versions_bytes(pair), revision, b"")
        )

    async def evidence(self, pair: Pair) -> Mapping[int, Differences]:
        """See `ComparisonLog.evidence`."""
        (page,) = await self._ledger.read([self._pair_key(pair)])
        found = {int(name): codec.differences_of(content) for name, (_, content) in page.fields.items()}
        return {start_us: differences for start_us, differences in found.items() if differences.pairs}

    async def weigh(self, compared: Compared) -> None:
        """See `ComparisonLog.weigh`."""
        entry = Entry(
            b"%d" % compared.window.start_us, compared.revision, codec.differences_bytes(compared.weight)
        )
        await self._write(self._pair_key(compared.pair), entry)

    async def _write(self, key: bytes, entry: Entry) -> bool:
        ((changed,),) = await self._ledger.write([Write(key, [entry], self._keeping.evidence_ms)])
        return changed > 0

    def _window_key(self, window: Window) -> bytes:
        return self._keeping.key("v", window.model, str(window.start_us))

    def _pair_key(self, pair: Pair) -> bytes:
        return self._keeping.key("e", pair.model, pair.champion, pair.challenger)

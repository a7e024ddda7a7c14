"""States kept in memory, for tests: encoded, as the real ones are."""

from __future__ import annotations

from retrain_trigger.adapters.codec import decode, encode
from retrain_trigger.ports import Kept


class MemoryStates:
    """See `ports.States`."""

    def __init__(self) -> None:
        self.rows: dict[str, bytes] = {}

    def load(self, model: str) -> Kept:
        """See `States.load`."""
        row = self.rows.get(model)
        return Kept() if row is None else decode(row)

    async def save(self, model: str, kept: Kept) -> None:
        """See `States.save`."""
        self.rows[model] = encode(kept)

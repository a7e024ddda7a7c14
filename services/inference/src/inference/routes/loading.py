"""Loads that go on side by side: each once however many wait for it, so many at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inference.domain.routes import VersionRef
    from inference.ports import Versions
    from inference.routes.versions import Version

    Key = tuple[str, VersionRef]


class _Load:
    """One load and who waits for it."""

    def __init__(self) -> None:
        self.waiting = 0
        self.has_begun = False
        self.outcome: asyncio.Future[Version]


class SharedLoads:
    """`Versions` that are loaded once for all who wait, a bounded number at a time.

    A load that nobody waits for any more is given up if it has not begun; one that has goes on, for it
    cannot be stopped, and serves whoever asks for it before it ends.

    Args:
        versions: Loads them.
        at_once: How many loads may be under way.
    """

    def __init__(self, versions: Versions, at_once: int) -> None:
        self._versions = versions
        self._places = asyncio.Semaphore(at_once)
        self._loads: dict[Key, _Load] = {}

    async def load(self, model: str, ref: VersionRef) -> Version:
        """See `Versions.load`."""
        key = (model, ref)
        load = self._loads.get(key) or self._begin(key)
        load.waiting += 1
        try:
            return await asyncio.shield(load.outcome)
        finally:
            load.waiting -= 1
            if not (load.waiting or load.has_begun):
                self._forget(key, load)
                load.outcome.cancel()

    def _begin(self, key: Key) -> _Load:
        load = self._loads[key] = _Load()
        load.outcome = asyncio.ensure_future(self._load(load, key))
        load.outcome.add_done_callback(lambda _: self._forget(key, load))
        return load

    def _forget(self, key: Key, load: _Load) -> None:
        if self._loads.get(key) is load:
            del self._loads[key]
        if load.outcome.done() and not load.outcome.cancelled():
            # Nobody may be left to hear of a failure.
            load.outcome.exception()

    async def _load(self, load: _Load, key: Key) -> Version:
        async with self._places:
            load.has_begun = True
            return await self._versions.load(*key)

"""What was told of windows of monitors of the store, as their topic says."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from google.protobuf.message import DecodeError
from tidemark.monitoring.v1.monitor_pb2 import (
    MONITOR_KIND_CONSISTENCY,
    MONITOR_KIND_FRESHNESS,
    MonitorMeasured,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from bus.follow import Follower
    from bus.received import Received

_log: Final = logging.getLogger(__name__)
_KINDS: Final = {MONITOR_KIND_CONSISTENCY, MONITOR_KIND_FRESHNESS}


class KnownAudits:
    """Of each monitor the newest window that was told, and of which versions; `Follower` calls it."""

    def __init__(self) -> None:
        self._newest: dict[tuple[str, str], tuple[int, set[str]]] = {}

    async def __call__(self, received: Received) -> None:
        """Take a measurement in."""
        try:
            said = MonitorMeasured.FromString(received.event.data)
        except DecodeError as error:
            _log.warning("passed over an unreadable measurement at offset %d: %s", received.offset, error)
            return
        if said.kind not in _KINDS:
            return
        start_us = said.window_start.ToMicroseconds()
        newest_us, versions = self._newest.get((said.model, said.monitor), (start_us, set[str]()))
        if start_us < newest_us:
            return
        kept = versions if start_us == newest_us else set[str]()
        self._newest[said.model, said.monitor] = start_us, kept | {said.version}

    def newest_us(self, model: str, monitor: str) -> int | None:
        """See `Told.newest_us`."""
        known = self._newest.get((model, monitor))
        return None if known is None else known[0]

    def versions(self, model: str, monitor: str) -> Collection[str]:
        """See `Told.versions`."""
        return self._newest.get((model, monitor), (0, set[str]()))[1]


class BusTold:
    """`Told` on the bus.

    Args:
        known: What `follower` fills.
    """

    def __init__(self, follower: Follower, known: KnownAudits) -> None:
        self._follower = follower
        self._known = known

    async def caught_up(self) -> None:
        """See `Told.caught_up`."""
        await self._follower.caught_up()

    def newest_us(self, model: str, monitor: str) -> int | None:
        """See `Told.newest_us`."""
        return self._known.newest_us(model, monitor)

    def versions(self, model: str, monitor: str) -> Collection[str]:
        """See `Told.versions`."""
        return self._known.versions(model, monitor)

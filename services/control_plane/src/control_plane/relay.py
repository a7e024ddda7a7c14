"""The relay: what was committed to the outbox gets onto the bus, in order, at least once.

It holds no state of its own: after a crash the next relay finds the same rows unsent. What happens when a
relay publishes after its turn is over stands in docs/adr/0008-outbox.md.
"""

import asyncio
import logging
from collections.abc import Sequence
from itertools import groupby

from bus.clocks import Clock
from bus.errors import Unavailable
from bus.producer import Publisher
from prometheus_client import Counter, Gauge

from control_plane.ports import Lease, Outbox, Pending

_log = logging.getLogger(__name__)
_LEASE_US = 10_000_000
_LIMIT = 100
_IDLE_SECONDS = 0.5
_RETRY_SECONDS = 1.0
_SETTLE_SECONDS = 5.0

_unsent = Gauge(
    "control_plane_outbox_unsent", "Events that the relay holds and has not got onto the bus yet."
)
_published = Counter("control_plane_outbox_published", "Events that the outbox put on the bus.")
_overstayed = Counter(
    "control_plane_outbox_overstayed", "Times that a relay published after its turn, and repeated the latest."
)


class OutboxRelay:
    """Publishes the outbox, one relay at a time among all processes."""

    def __init__(self, *, outbox: Outbox, publisher: Publisher, holder: str, clock: Clock) -> None:
        self._outbox = outbox
        self._publisher = publisher
        self._holder = holder
        self._clock = clock
        self._woken = asyncio.Event()
        self._passed = asyncio.Condition()
        self._over = False

    def wake(self) -> None:
        """Says that something was committed, so that the relay need not find out by itself."""
        self._woken.set()

    async def settled(self) -> None:
        """Returns when everything that is committed now is on the bus, whoever put it there.

        When this relay is over it returns at once: the next one publishes what is left.

        Raises:
            Unavailable: that takes longer than a few seconds, so the bus is away.
        """
        try:
            async with asyncio.timeout(_SETTLE_SECONDS):
                while not self._over and await self._outbox.unsent():
                    self.wake()
                    async with self._passed:
                        await self._passed.wait()
        except TimeoutError as error:
            raise Unavailable(
                "what was committed does not get onto the bus: it waits in the outbox"
            ) from error

    async def run(self, stop: asyncio.Event) -> None:
        """Publishes until `stop`; what is away is waited for."""
        while not stop.is_set():
            self._woken.clear()
            try:
                pause_seconds = 0.0 if await self.publish_some() else _IDLE_SECONDS
            except Unavailable as error:
                _log.warning("the outbox waits: %s", error)
                pause_seconds = _RETRY_SECONDS
            await self._tell_passed()
            await self._pause(pause_seconds)
        self._over = True
        await self._tell_passed()

    async def publish_some(self) -> int:
        """Publishes the oldest unsent events if it is this relay's turn; returns how many."""
        now_us = self._clock()
        lease = Lease(self._holder, now_us, now_us + _LEASE_US)
        pending = await self._outbox.claim(lease, _LIMIT)
        _unsent.set(len(pending))
        if pending:
            await self._publish(pending)
            await self._settle(pending, lease)
        return len(pending)

    async def _tell_passed(self) -> None:
        async with self._passed:
            self._passed.notify_all()

    async def _publish(self, pending: Sequence[Pending]) -> None:
        for topic, items in groupby(pending, key=lambda item: item.topic):
            await self._publisher.publish_all(topic, [item.event for item in items])
        _published.inc(len(pending))
        _unsent.set(0)

    async def _settle(self, pending: Sequence[Pending], lease: Lease) -> None:
        numbers = [item.number for item in pending]
        if not await self._outbox.mark_sent(numbers, lease, self._clock()):
            _overstayed.inc()
            _log.warning("published %d events after the turn was over, repeating the latest", len(pending))
            await self._outbox.repeat(pending)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return

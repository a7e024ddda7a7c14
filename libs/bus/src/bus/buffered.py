"""Publishing that never waits: a bounded buffer off the request path.

Whoever offers an event goes on at once. While the broker is away the buffer fills to its bound; beyond it
events are refused and counted, and what is buffered is delivered, in order, when the broker returns.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from contextlib import suppress
from itertools import groupby, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Final, Protocol, Self

from prometheus_client import REGISTRY, CollectorRegistry

from bus.errors import EventTooLarge, Unavailable
from bus.metrics import PublisherMetrics
from bus.retrying import Retry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from bus.events import Event
    from bus.positions import Position

_log = logging.getLogger(__name__)
_JITTER: Final = secrets.SystemRandom().random
_AT_ONCE: Final = 1_000
FULL: Final = "FULL"
TOO_LARGE: Final = "TOO_LARGE"
CLOSED: Final = "CLOSED"
FAILED: Final = "FAILED"


class ClosablePublisher(Protocol):
    """What a buffer delivers to, and closes with itself."""

    async def publish_all(self, topic: str, events: Sequence[Event]) -> list[Position]:
        """See `bus.producer.Publisher`."""

    async def close(self) -> None:
        """Disconnect."""


class BufferedPublisher:
    """Takes events without waiting and delivers them beside the work, in order.

    Args:
        publisher: Delivers them; need not be connected yet, and is closed with this.
        name: Labels the metrics.
        max_events: The bound: waiting and being delivered together.
        close_seconds: How long closing may take to deliver the rest.
    """

    def __init__(
        self,
        publisher: ClosablePublisher,
        *,
        name: str,
        max_events: int = 20_000,
        close_seconds: float = 5.0,
        retry: Retry = Retry(longest_wait_ms=2_000),  # noqa: B008 - frozen
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        self._publisher = publisher
        self._max_events = max_events
        self._close_seconds = close_seconds
        self._retry = retry
        self._metrics = PublisherMetrics(name, registry)
        self._waiting: deque[tuple[str, Event]] = deque()
        self._filled = asyncio.Event()
        self._empty = asyncio.Event()
        self._closed = True
        self._reason: str | None = None
        self._draining: asyncio.Future[None] | None = None
        self._metrics.buffered(lambda: len(self._waiting))

    @property
    def depth(self) -> int:
        """How many events the broker does not have yet."""
        return len(self._waiting)

    @property
    def away_because(self) -> str | None:
        """Why nothing is being delivered at the moment, in words; None when delivery goes on."""
        return self._reason

    async def __aenter__(self) -> Self:
        self._closed = False
        self._empty.set()
        self._draining = asyncio.ensure_future(self._drain())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def offer(self, topic: str, event: Event) -> bool:
        """Take an event for delivery, at once.

        Returns:
            False when it was dropped, and counted: the buffer is full, or closed.
        """
        if self._closed or len(self._waiting) >= self._max_events:
            self._metrics.dropped(CLOSED if self._closed else FULL)
            return False
        self._waiting.append((topic, event))
        self._metrics.offered()
        self._empty.clear()
        self._filled.set()
        return True

    async def flush(self) -> None:
        """Return when the broker has everything that was offered."""
        await self._empty.wait()

    async def close(self) -> None:
        """Take no more, deliver what is buffered within the deadline, drop and count the rest."""
        self._closed = True
        with suppress(TimeoutError):
            async with asyncio.timeout(self._close_seconds):
                await self.flush()
        if self._draining is not None:
            self._draining.cancel()
            with suppress(asyncio.CancelledError):
                await self._draining
        if self._waiting:
            _log.error("%d buffered events are lost: %s", len(self._waiting), self._reason)
            self._metrics.dropped(CLOSED, len(self._waiting))
            self._waiting.clear()
        await self._publisher.close()

    async def _drain(self) -> None:
        while True:
            await self._filled.wait()
            await self._gathered()
            for topic, offered in groupby(list(islice(self._waiting, _AT_ONCE)), key=itemgetter(0)):
                await self._deliver(topic, [event for _, event in offered])
            if not self._waiting:
                self._filled.clear()
                self._empty.set()

    async def _gathered(self) -> None:
        """Return when a turn of the loop added nothing: what is offered in slices is delivered together."""
        seen = 0
        while seen < len(self._waiting) < _AT_ONCE:
            seen = len(self._waiting)
            await asyncio.sleep(0)

    async def _deliver(self, topic: str, events: Sequence[Event]) -> None:
        try:
            await self._publish(topic, events)
        except EventTooLarge as error:
            if len(events) > 1:
                middle = len(events) // 2
                await self._deliver(topic, events[:middle])
                await self._deliver(topic, events[middle:])
                return
            _log.error("dropped: %s", error)
            self._metrics.dropped(TOO_LARGE)
        except Exception:  # noqa: BLE001
            # Scoring goes on whatever becomes of its log: a fault costs its events, not those behind them.
            _log.exception("dropped %d events for %s", len(events), topic)
            self._metrics.dropped(FAILED, len(events))
        for _ in events:
            self._waiting.popleft()

    async def _publish(self, topic: str, events: Sequence[Event]) -> None:
        failures = 0
        while True:
            try:
                await self._publisher.publish_all(topic, events)
            except Unavailable as error:
                failures += 1
                self._reason = str(error)
                _log.warning("%d events wait: %s", len(self._waiting), error)
                await asyncio.sleep(self._retry.wait_ms(failures, _JITTER()) / 1000)
            else:
                self._reason = None
                return

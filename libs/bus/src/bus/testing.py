"""A bus in memory and a handler that notes what happens: for tests of whatever consumes or publishes."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import CollectorRegistry

from bus.memory import MemoryLog, MemoryPublisher
from bus.memory_feed import MemoryFeed
from bus.runner import ConsumerRunner, Retry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from bus.received import Handler, Received, Rejection

    Behaviour = Callable[[Sequence[Received]], Awaitable[Sequence[Rejection] | None]]

IMPATIENT: Final = Retry(attempts=3, first_wait_ms=1, longest_wait_ms=2)
_DEADLINE_SECONDS: Final = 30.0


class NotingHandler:
    """A handler that notes ids: call by call those it was given, and all whose effect it made.

    Args:
        behave: What it does between; may wait, fail or reject.
    """

    def __init__(self, behave: Behaviour | None = None) -> None:
        self.calls: list[list[str]] = []
        self.ids: list[str] = []
        self.behave = behave
        self._noted = asyncio.Condition()

    async def __call__(self, batch: Sequence[Received]) -> Sequence[Rejection] | None:
        """See `bus.received.Handler`."""
        self.calls.append([one.event.id for one in batch])
        await self._notify()
        rejections = None if self.behave is None else await self.behave(batch)
        self.ids += [one.event.id for one in batch]
        await self._notify()
        return rejections

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once something noted makes the condition true.

        Raises:
            TimeoutError: it stays false.
        """
        async with asyncio.timeout(_DEADLINE_SECONDS), self._noted:
            await self._noted.wait_for(condition)

    async def _notify(self) -> None:
        async with self._noted:
            self._noted.notify_all()


@dataclass
class MemoryBus:
    """A log in memory, with publishers and consumers on it.

    Attributes:
        partitions: How many every topic has.
        registry: Where the consumers count.
    """

    partitions: int = 1
    log: MemoryLog = field(init=False)
    publisher: MemoryPublisher = field(init=False)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self.log = MemoryLog(partitions=self.partitions)
        self.publisher = MemoryPublisher(self.log)

    def feed(self, *topics: str) -> MemoryFeed:
        """Give the one member of a group; its commits outlive the consumer that uses it."""
        return MemoryFeed(self.log, topics)

    @asynccontextmanager
    async def consuming(
        self, feed: MemoryFeed, handler: Handler, **options: Any
    ) -> AsyncIterator[ConsumerRunner]:
        """Run a consumer for the block, then stop and drain it; `options` are `ConsumerRunner`'s."""
        plain = {"bootstrap": "memory", "group": "group", "service": "service", "retry": IMPATIENT}
        given = {
            "feed": feed,
            "handler": handler,
            "topics": (),
            "publisher": self.publisher,
            "registry": self.registry,
        }
        runner = ConsumerRunner(**{**plain, **given, **options})
        stop = asyncio.Event()
        async with asyncio.timeout(_DEADLINE_SECONDS), asyncio.TaskGroup() as tasks:
            task = tasks.create_task(runner.run(stop))
            yield runner
            stop.set()
            await task

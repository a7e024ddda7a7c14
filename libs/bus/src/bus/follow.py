"""Following a topic whole: every process sees every event from the beginning on, and knows when it caught up.

For small, mostly compacted topics that every replica keeps a picture of, such as routes. There is no consumer
group, so nothing is committed, and no dead-letter twin: a record without an envelope is logged and passed
over.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, Protocol

from bus.errors import MalformedEvent, Unavailable
from bus.events import from_record
from bus.positions import TopicPartition
from bus.received import Received
from bus.retrying import Retry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bus.memory import MemoryLog
    from bus.records import LogRecord

_log = logging.getLogger(__name__)
_POLL_MS: Final = 100
_JITTER: Final = secrets.SystemRandom().random

OnEvent = Callable[[Received], Awaitable[None]]


class Tail(Protocol):
    """A topic's records, of all partitions, in order within each."""

    async def open(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Begin to read; from the beginning where no offset is given.

        Raises:
            Unavailable: the broker is away, or the topic does not exist.
        """

    async def close(self) -> None:
        """Stop reading."""

    async def poll(self, timeout_ms: int) -> Sequence[LogRecord]:
        """Return what has arrived since, waiting at most so long for something."""

    async def positions(self) -> Mapping[TopicPartition, int]:
        """Give the offset of what `poll` returns next; it passes over what was compacted away."""

    async def ends(self) -> Mapping[TopicPartition, int]:
        """Ask for the offset after each partition's last record."""


class Follower:
    """Hands a topic's events over one by one, and goes on as they arrive.

    Args:
        tail: Where they are read.
        on_event: Called in order within a partition. What it raises ends `run`.
        retry: How patiently it comes back to a broker that is away; nothing is handed over twice.
    """

    def __init__(self, tail: Tail, on_event: OnEvent, *, retry: Retry = Retry()) -> None:  # noqa: B008 - frozen
        self._tail = tail
        self._on_event = on_event
        self._retry = retry
        self._handled: dict[TopicPartition, int] = {}
        self._advanced = asyncio.Condition()
        self._read_once = asyncio.Event()
        self._reason: str | None = "has not begun to read yet"

    @property
    def not_ready_because(self) -> str | None:
        """Why the picture may lack something, in words; None once read to the end, broker answering."""
        return self._reason

    async def read_once(self) -> None:
        """Return once everything that was in the topic when it was opened has been handed over."""
        await self._read_once.wait()

    async def run(self, stop: asyncio.Event) -> None:
        """Follow until `stop`."""
        failures = 0
        while not stop.is_set():
            try:
                await self._tail.open(self._handled)
                await self._follow(stop)
            except Unavailable as error:
                failures += 1
                self._reason = str(error)
                _log.warning("%s", error)
                await _sleep(stop, self._retry.wait_ms(failures, _JITTER()))
            finally:
                await self._tail.close()

    async def caught_up(self) -> None:
        """Return once everything that is in the topic now has been handed over.

        Raises:
            Unavailable: the broker cannot say where the topic ends.
        """
        await self.reached(await self._tail.ends())

    async def reached(self, ends: Mapping[TopicPartition, int]) -> None:
        """Return once everything before these offsets has been handed over.

        For who asks often and must not wait: the tail answers `ends` between two of its polls, a client of
        its own (`bus.ends`) at once.
        """
        async with self._advanced:
            await self._advanced.wait_for(lambda: self._has_reached(ends))

    def _has_reached(self, ends: Mapping[TopicPartition, int]) -> bool:
        return all(self._handled.get(where, 0) >= end for where, end in ends.items())

    async def _follow(self, stop: asyncio.Event) -> None:
        ends = await self._tail.ends()
        while not stop.is_set():
            for record in await self._tail.poll(_POLL_MS):
                await self._hand_over(record)
            async with self._advanced:
                self._handled.update(await self._tail.positions())
                self._advanced.notify_all()
            if self._has_reached(ends):
                self._reason = None
                self._read_once.set()

    async def _hand_over(self, record: LogRecord) -> None:
        where = TopicPartition(record.topic, record.partition)
        try:
            event = from_record(record.key, record.value, record.headers, timestamp_ms=record.timestamp)
        except MalformedEvent as wrong:
            _log.warning("passed over %s@%d: %s", where, record.offset, wrong)
        else:
            await self._on_event(Received(record.topic, record.partition, record.offset, event))
        self._handled[where] = record.offset + 1


class MemoryTail:
    """A `MemoryLog`'s topic as a tail."""

    def __init__(self, log: MemoryLog, topic: str) -> None:
        self._log = log
        self._topic = topic
        self._next: dict[TopicPartition, int] = {}

    async def open(self, offsets: Mapping[TopicPartition, int]) -> None:
        """See `Tail.open`."""
        self._next = {where: offsets.get(where, 0) for where in self._log.partitions_in(self._topic)}

    async def close(self) -> None:
        """See `Tail.close`."""

    async def poll(self, timeout_ms: int) -> Sequence[LogRecord]:
        """See `Tail.poll`; it waits a turn of the loop when there is nothing."""
        found = [record for where in self._next for record in self._log.read(where, self._next[where])]
        for record in found:
            self._next[TopicPartition(record.topic, record.partition)] = record.offset + 1
        if not found:
            await asyncio.sleep(timeout_ms / 10_000)
        return found

    async def positions(self) -> Mapping[TopicPartition, int]:
        """See `Tail.positions`."""
        return dict(self._next)

    async def ends(self) -> Mapping[TopicPartition, int]:
        """See `Tail.ends`."""
        return {where: len(self._log.read(where)) for where in self._log.partitions_in(self._topic)}


async def _sleep(stop: asyncio.Event, wait_ms: float) -> None:
    try:
        async with asyncio.timeout(wait_ms / 1000):
            await stop.wait()
    except TimeoutError:
        return

"""A `MemoryLog` read as one member of a group: runs a service's whole consumer without Kafka."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from bus.feeds import PartitionsLost

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from bus.feeds import Rebalances
    from bus.memory import MemoryLog
    from bus.positions import Position, TopicPartition
    from bus.records import LogRecord


class MemoryFeed:
    """Delivers all partitions of its topics to the one member there is.

    Attributes:
        committed: The group's offsets; they outlive the member, as on a broker.
        commits: Every commit, in order.
    """

    def __init__(self, log: MemoryLog, topics: Sequence[str]) -> None:
        self.committed: dict[TopicPartition, int] = {}
        self.commits: list[dict[TopicPartition, int]] = []
        self._log = log
        self._topics = topics
        self._next: dict[TopicPartition, int] = {}
        self._lost = False
        self._moved = asyncio.Event()
        self._rebalances: Rebalances | None = None

    async def open(self, rebalances: Rebalances) -> None:
        """See `Feed.open`."""
        self._rebalances = rebalances
        self._next = {}
        rebalances.on_assigned([where for topic in self._topics for where in self._log.partitions_in(topic)])

    async def close(self) -> None:
        """See `Feed.close`."""
        self._rebalances = None
        self._next = {}

    async def rebalance(self, partitions: Collection[TopicPartition]) -> None:
        """Take all partitions away and give these instead, as when members come and go."""
        assert self._rebalances is not None, "open the feed first"
        await self._rebalances.on_revoked()
        self._next = {}
        self._rebalances.on_assigned(partitions)

    def expel(self) -> None:
        """Refuse this member's commits from now on, as with one that was silent too long."""
        self._lost = True

    async def start_from(
        self, partitions: Collection[TopicPartition], offsets: Mapping[TopicPartition, int] | None
    ) -> Mapping[TopicPartition, int]:
        """See `Feed.start_from`."""
        known = self.committed if offsets is None else offsets
        self._next = {where: known.get(where, 0) for where in partitions}
        self._moved.set()
        return dict(self._next)

    async def poll(
        self, timeout_ms: int, only: Collection[TopicPartition] | None = None
    ) -> Mapping[TopicPartition, Sequence[LogRecord]]:
        """See `Feed.poll`."""
        wanted = {where: at for where, at in self._next.items() if only is None or where in only}
        found = {where: self._log.read(where, offset) for where, offset in wanted.items()}
        found = {where: records for where, records in found.items() if records}
        for where, records in found.items():
            self._next[where] = records[-1].offset + 1
        if found:
            self._moved.set()
        if not found:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_ms / 1000):
                    await self._log.appended()
        return found

    async def caught_up(self) -> None:
        """Return when the member has been given everything there is, whether or not it has dealt with it."""
        while not self._next or self._waiting():
            self._moved.clear()
            await self._moved.wait()

    async def committed_to(self, position: Position) -> None:
        """Return when the group's commits have passed a record."""
        while self.committed.get(position.topic_partition, 0) <= position.offset:
            self._moved.clear()
            await self._moved.wait()

    def _waiting(self) -> bool:
        return any(self._log.read(where, offset) for where, offset in self._next.items())

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """See `Feed.commit`."""
        if self._lost:
            raise PartitionsLost("this member was expelled")
        self.commits.append(dict(offsets))
        self.committed.update(offsets)
        self._moved.set()

    def positions(self) -> Mapping[TopicPartition, int]:
        """See `Feed.positions`."""
        return dict(self._next)

    def end_offset(self, where: TopicPartition) -> int | None:
        """See `Feed.end_offset`."""
        return len(self._log.read(where))

    def silent_ms(self) -> int:
        """See `Feed.silent_ms`: memory always answers."""
        return 0

    async def keep_alive(self) -> None:
        """See `Feed.keep_alive`."""

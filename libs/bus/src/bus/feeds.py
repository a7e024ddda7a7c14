"""The port through which the runner reads a log as one member of a group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bus.errors import BusError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from bus.positions import TopicPartition
    from bus.records import LogRecord


class PartitionsLost(BusError):
    """A commit was refused because the group moved on: another member has, or will have, the partitions."""


class Rebalances(Protocol):
    """What a feed tells the runner about its partitions."""

    async def on_revoked(self) -> None:
        """All partitions are about to be taken away; the feed waits for this to return."""

    def on_assigned(self, partitions: Collection[TopicPartition]) -> None:
        """These, and only these, are now ours, paused until `Feed.start_from`."""


class Feed(Protocol):
    """Records of a group's topics, as one member sees them."""

    async def open(self, rebalances: Rebalances) -> None:
        """Join the group.

        Raises:
            Unavailable: the broker is away, or a topic does not exist.
        """

    async def close(self) -> None:
        """Leave the group."""

    async def start_from(
        self, partitions: Collection[TopicPartition], offsets: Mapping[TopicPartition, int] | None
    ) -> Mapping[TopicPartition, int]:
        """Begin to deliver what was assigned; return the offset at which each partition begins.

        Args:
            partitions: What was assigned.
            offsets: Where to begin; at the group's commits when None. What is not in them begins at the
                beginning.

        Raises:
            PartitionsLost: they have moved on already.
        """

    async def poll(
        self, timeout_ms: int, only: Collection[TopicPartition] | None = None
    ) -> Mapping[TopicPartition, Sequence[LogRecord]]:
        """Return what has arrived since, waiting at most so long for something.

        Args:
            timeout_ms: 0 returns what is there.
            only: Of these partitions; what has arrived of the others is kept for another time.
        """

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Store the group's next offsets.

        Raises:
            PartitionsLost: the group moved on.
        """

    def positions(self) -> Mapping[TopicPartition, int]:
        """Give the offset of what `poll` returns next of each partition that is being delivered.

        It passes over what holds no records: the ends of transactions, aborted ones, compacted stretches.
        """

    def end_offset(self, where: TopicPartition) -> int | None:
        """Give the last known end of an assigned partition; None before its first fetch and out of the group.

        Asked at any time, also by others than who polls, while the group is joined again.
        """

    def silent_ms(self) -> int:
        """Say how long the log has not answered; 0 when nothing is being asked of it."""

    async def keep_alive(self) -> None:
        """Tell the group that this member lives although it does not poll; never fails."""

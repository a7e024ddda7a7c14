"""Transactions in memory: the same promises as on Kafka, for tests of whoever answers events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bus.transactions import TransactionFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bus.memory import MemoryLog
    from bus.positions import TopicPartition
    from bus.transactions import Work


@dataclass
class MemoryGroup:
    """What outlives a group's members: where they have come, and who owns what.

    Attributes:
        committed: By partition, where it is read on.
    """

    log: MemoryLog
    committed: dict[TopicPartition, int] = field(default_factory=dict)
    _owners: dict[TopicPartition, MemoryTransactions] = field(default_factory=dict)

    def member(self) -> MemoryTransactions:
        """Give a new member's transactions."""
        return MemoryTransactions(self)

    def hand_over(self, partitions: Sequence[TopicPartition], to: MemoryTransactions) -> None:
        """Make somebody the owner of these partitions, and of no others."""
        self._owners = {where: owner for where, owner in self._owners.items() if owner is not to}
        self._owners.update(dict.fromkeys(partitions, to))

    def is_owner(self, where: TopicPartition, who: MemoryTransactions) -> bool:
        """Say whether somebody may write a partition's work."""
        return self._owners.get(where) is who


class MemoryTransactions:
    """See `bus.transactions.Transactions`."""

    def __init__(self, group: MemoryGroup) -> None:
        self._group = group

    async def take_over(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """See `Transactions.take_over`."""
        self._group.hand_over(partitions, self)
        committed = self._group.committed
        return {where: committed[where] for where in partitions if where in committed}

    async def write(self, works: Mapping[TopicPartition, Work]) -> None:
        """See `Transactions.write`."""
        for where, work in works.items():
            if not self._group.is_owner(where, self):
                raise TransactionFailed(f"{where} was taken over by another member")
            for topic, records in work.records.items():
                for record in records:
                    self._group.log.append(topic, record)
            self._group.committed[where] = work.next_offset

    async def close(self) -> None:
        """See `Transactions.close`."""
        self._group.hand_over([], self)

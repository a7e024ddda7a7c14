"""Transactions: what a handler makes of records, its dead letters and the group's offsets, all or nothing.

A partition's work is one transaction: written whole and once, whoever dies in the middle of it. Why a
partition, and why it is safe whatever the group believes, stands in docs/adr/0032-exactly-once.md.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from bus.errors import Unavailable

if TYPE_CHECKING:
    from bus.events import Event
    from bus.positions import TopicPartition
    from bus.received import Received, Rejection
    from bus.records import OutgoingRecord


@dataclass(slots=True)
class Made:
    """An event that a received one leads to; it is not published yet."""

    cause: Received
    topic: str
    event: Event


Answering = Callable[[Sequence["Received"]], Awaitable[Sequence["Made | Rejection"]]]
"""Says what a batch leads to, and does nothing: it may be called again with the same events, or in halves.

What it raises is treated as of `bus.received.Handler`.
"""


@dataclass(slots=True)
class Work:
    """What one transaction writes.

    Attributes:
        next_offset: Where the partition is read on once it is done.
        records: By topic, in order.
    """

    next_offset: int
    records: dict[str, list[OutgoingRecord]] = field(default_factory=dict)


class TransactionFailed(Unavailable):
    """It is not known whether a transaction was written: taking the partitions over again tells.

    The runner gives up what it has in hand, joins the group again and reads on from what is written.
    """


class Transactions(Protocol):
    """Transactions of one member of a group, a partition at a time."""

    async def take_over(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Become the only writer of these partitions' work, and of no other's; return where each is read on.

        When it returns, nothing that an earlier owner began will be written any more, and what is returned
        counts all that was. A partition of which nothing was written is left out.

        Raises:
            Unavailable: the broker is away.
        """

    async def write(self, works: Mapping[TopicPartition, Work]) -> None:
        """Write each partition's work, whole.

        Raises:
            TransactionFailed: some of it may not be written: this member is no longer the owner, or the
                broker is away.
        """

    async def close(self) -> None:
        """Disconnect; what is not written by then never will be."""

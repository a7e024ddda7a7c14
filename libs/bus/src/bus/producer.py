"""Publishing: the port, and its memory adapter's twin on Kafka.

`publish` and `publish_all` return when the broker has the events, however long that takes; a caller with a
deadline wraps them in `asyncio.timeout` and must then expect that the event may still arrive. For publishing
that may never wait, see `bus.buffered`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bus.kafka.publisher import KafkaPublisher
from bus.memory import MemoryLog, MemoryPublisher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bus.events import Event
    from bus.positions import Position

__all__ = ["KafkaPublisher", "MemoryLog", "MemoryPublisher", "Publisher"]


class Publisher(Protocol):
    """Where facts go."""

    async def publish(self, topic: str, event: Event) -> None:
        """Return when the broker has the event.

        Raises:
            EventTooLarge: the event exceeds the publisher's bound; nothing was sent.
            Unavailable: the broker refused or the topic does not exist.
        """

    async def publish_all(self, topic: str, events: Sequence[Event]) -> list[Position]:
        """Publish in order, pipelined; return each event's position when the broker has them all.

        Raises:
            EventTooLarge: one of the events exceeds the publisher's bound; nothing was sent.
            Unavailable: as for `publish`; some of the events may have arrived.
        """

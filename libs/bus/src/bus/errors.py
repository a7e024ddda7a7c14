"""What can go wrong on the bus, by name."""

from __future__ import annotations


class BusError(Exception):
    """Anything the bus raises on purpose."""


class Unavailable(BusError):
    """A dependency is away: the runner waits and retries, keeps order, and is not ready meanwhile.

    Handlers raise it for their own dependencies; publishers raise it for the broker.
    """


class EventTooLarge(BusError):
    """An event exceeds the bound of the edge it was offered to."""

    def __init__(self, topic: str, detail: str) -> None:
        super().__init__(
            f"too large for {topic}: {detail}; send a reference to the data, or raise max_event_bytes here "
            "and max.message.bytes on the topic"
        )


class MalformedEvent(BusError):
    """A record is not a CloudEvent 1.0 in Kafka binary mode."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

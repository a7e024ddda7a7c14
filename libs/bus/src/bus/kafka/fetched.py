"""Records as they are handed over by the client's fetcher, made in half of its time.

The client makes a dataclass of eleven attributes for each record, behind two calls. Here it is a tuple of
those that somebody reads; the others follow from them. There is no other way in than the name by which the
fetcher finds its class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from aiokafka.consumer import fetcher

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def hand_over_plain_records() -> None:
    """Let every consumer of this process hand over `Fetched` records."""
    fetcher.PartitionRecords = _PlainRecords


class Fetched(NamedTuple):
    """See `bus.records.LogRecord`; with all that the client's own record tells, for who expects that."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    key: Any
    value: Any
    headers: Sequence[tuple[str, bytes]]

    @property
    def checksum(self) -> None:
        """What the format no longer has."""

    @property
    def serialized_key_size(self) -> int:
        """Bytes of the key; -1 where there is none."""
        return -1 if self.key is None else len(self.key)

    @property
    def serialized_value_size(self) -> int:
        """Bytes of the value; -1 where there is none."""
        return -1 if self.value is None else len(self.value)


class _PlainRecords(fetcher.PartitionRecords):  # type: ignore[misc] # the client is untyped
    def __iter__(self) -> Iterator[Fetched]:
        # What it iterates over itself, without a call a record; it goes on there if it was left.
        return self._records_iterator or iter(())

    def _consumer_record(self, where: Any, record: Any) -> Any:
        if self._key_deserializer or self._value_deserializer:
            return super()._consumer_record(where, record)
        return Fetched(
            where.topic,
            where.partition,
            record.offset,
            record.timestamp,
            record.timestamp_type,
            record.key,
            record.value,
            record.headers,
        )

"""Handing records to the client: a few one by one, many as batches made here.

One by one, the client spends some ten calls and a future on each record, and others' records travel in the
same batch. Many records of one call fill batches of their own: then it is one call a record, and one future a
batch.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final, Protocol

from aiokafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    UnknownTopicOrPartitionError,
)

from bus.kafka.partitioning import partition_of_key
from bus.positions import Position

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiokafka import AIOKafkaProducer

    from bus.records import OutgoingRecord

    class _Sent(Protocol):
        """What the untyped client says of an acknowledged record, or of a batch's first."""

        partition: int
        offset: int


BATCH_BYTES: Final = 128 * 1024
_MANY: Final = 32
"""Fewer than so many are better off in a batch with others'."""


class NeverSent(Exception):
    """Refused on this side, by its cause: no sequence number was used up."""


async def send_all(
    producer: AIOKafkaProducer, topic: str, records: Sequence[OutgoingRecord]
) -> list[Position | BaseException]:
    """Send records in order; return where each is, or what became of it, once that is known."""
    if len(records) < _MANY or any(len(record.value or b"") > BATCH_BYTES for record in records):
        return await _one_by_one(producer, topic, records)
    try:
        partitions = sorted(await producer.partitions_for(topic))
    except UnknownTopicOrPartitionError as error:
        return [_never(error)] * len(records)
    except KafkaError as error:
        return [error] * len(records)
    chosen: dict[int, list[int]] = {partition: [] for partition in partitions}
    for index, record in enumerate(records):
        chosen[partition_of_key(record.key, partitions, partitions)].append(index)
    outcomes: list[Position | BaseException] = [NeverSent()] * len(records)
    parts = [(partition, indexes) for partition, indexes in chosen.items() if indexes]
    sent = [
        _in_batches(producer, topic, partition, [records[index] for index in indexes])
        for partition, indexes in parts
    ]
    for (_, indexes), told in zip(parts, await asyncio.gather(*sent), strict=True):
        for index, outcome in zip(indexes, told, strict=True):
            outcomes[index] = outcome
    return outcomes


async def _in_batches(
    producer: AIOKafkaProducer, topic: str, partition: int, records: Sequence[OutgoingRecord]
) -> list[Position | BaseException]:
    """Send one partition's records; what comes after a refused batch must not overtake it."""
    counts: list[int] = []
    sent: list[asyncio.Future[_Sent]] = []
    refused: list[KafkaError] = []
    first = 0
    while first < len(records) and not refused:
        batch, count = _filled(producer, records, first)
        try:
            sent.append(await _send_batch(producer, batch, topic, partition))
        except KafkaError as error:
            refused.append(error)
        else:
            counts.append(count)
            first += count
    outcomes: list[Position | BaseException] = []
    for count, told in zip(counts, await asyncio.gather(*sent, return_exceptions=True), strict=True):
        if isinstance(told, BaseException):
            outcomes.extend(repeat(told, count))
        else:
            offsets = range(told.offset, told.offset + count)
            outcomes.extend(Position(topic, partition, offset) for offset in offsets)
    outcomes.extend(repeat(refused[0], len(records) - first) if refused else ())
    return outcomes


def _filled(producer: AIOKafkaProducer, records: Sequence[OutgoingRecord], first: int) -> tuple[Any, int]:
    """Return a batch of the records from `first` on, as many as it holds, and how many those are."""
    batch = producer.create_batch()
    append = batch.append
    end = first
    while end < len(records):
        key, value, headers = records[end]
        if append(timestamp=None, key=key, value=value, headers=headers) is None:
            break
        end += 1
    batch.close()
    return batch, end - first


async def _send_batch(
    producer: AIOKafkaProducer, batch: Any, topic: str, partition: int
) -> asyncio.Future[_Sent]:
    while True:
        # Its own buffer is full because the broker is away, and the batch was not taken: offer it again.
        with suppress(KafkaTimeoutError):
            sent: asyncio.Future[_Sent] = await producer.send_batch(batch, topic, partition=partition)
            return sent


async def _one_by_one(
    producer: AIOKafkaProducer, topic: str, records: Sequence[OutgoingRecord]
) -> list[Position | BaseException]:
    sent: list[asyncio.Future[_Sent]] = []
    refused: BaseException | None = None
    for record in records:
        try:
            sent.append(await _send(producer, topic, record))
        except (MessageSizeTooLargeError, UnknownTopicOrPartitionError) as error:
            refused = _never(error)
            break
        except KafkaError as error:
            refused = error
            break
    outcomes: list[Position | BaseException] = [
        told if isinstance(told, BaseException) else Position(topic, told.partition, told.offset)
        for told in await asyncio.gather(*sent, return_exceptions=True)
    ]
    # What comes after a refused record must not overtake it.
    return outcomes + [refused] * (len(records) - len(sent)) if refused else outcomes


async def _send(producer: AIOKafkaProducer, topic: str, record: OutgoingRecord) -> asyncio.Future[_Sent]:
    while True:
        # As `_send_batch` does.
        with suppress(KafkaTimeoutError):
            sent: asyncio.Future[_Sent] = await producer.send(
                topic, value=record.value, key=record.key, headers=record.headers
            )
            return sent


def _never(error: KafkaError) -> NeverSent:
    never = NeverSent()
    never.__cause__ = error
    return never

"""Transactions on Kafka: a producer a partition, whose transactional id is that partition's."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from aiokafka import AIOKafkaProducer
from aiokafka import TopicPartition as KafkaTopicPartition
from aiokafka.errors import KafkaError, ProducerClosed
from prometheus_client import REGISTRY, CollectorRegistry

from bus.errors import Unavailable
from bus.kafka.admin import committed_offsets
from bus.kafka.partitioning import partition_of_key
from bus.kafka.publisher import MAX_REQUEST_BYTES
from bus.kafka.sending import BATCH_BYTES, send_all
from bus.metrics import PublisherMetrics
from bus.transactions import TransactionFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bus.positions import TopicPartition
    from bus.records import OutgoingRecord
    from bus.transactions import Work

_log = logging.getLogger(__name__)
_CLOSE_SECONDS: Final = 1.0
# Either is less than a runner's time to drain: a broker that hangs must not keep a process from its end.
_FENCE_SECONDS: Final = 15.0
_WRITE_SECONDS: Final = 15.0


class KafkaTransactions:
    """See `bus.transactions.Transactions`; `acks=all`, lz4.

    Args:
        group: Whose offsets are moved.
        write_seconds: How long a transaction may take before it is given up; less than the broker's patience,
            which ends it a minute after it began.
    """

    def __init__(
        self,
        bootstrap: str,
        group: str,
        *,
        write_seconds: float = _WRITE_SECONDS,
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        self._bootstrap = bootstrap
        self._group = group
        self._write_seconds = write_seconds
        self._metrics = PublisherMetrics(f"{group}-transactions", registry)
        self._producers: dict[TopicPartition, AIOKafkaProducer] = {}

    async def take_over(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """See `Transactions.take_over`."""
        await self.close()
        # The order matters: what the group has committed is final only once nobody else can commit.
        outcomes = await asyncio.gather(*[self._fence(where) for where in partitions], return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        committed = await committed_offsets(self._bootstrap, self._group)
        return {where: committed[where] for where in partitions if where in committed}

    async def write(self, works: Mapping[TopicPartition, Work]) -> None:
        """See `Transactions.write`."""
        outcomes = await asyncio.gather(
            *[self._write(where, work) for where, work in works.items()], return_exceptions=True
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def close(self) -> None:
        """See `Transactions.close`."""
        producers, self._producers = self._producers, {}
        await asyncio.gather(*[_discard(one) for one in producers.values()])

    async def _fence(self, where: TopicPartition) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            client_id=f"{self._group}-{where.partition}",
            transactional_id=f"{self._group}:{where.topic}:{where.partition}",
            acks="all",
            compression_type="lz4",
            max_batch_size=BATCH_BYTES,
            max_request_size=MAX_REQUEST_BYTES,
            partitioner=partition_of_key,
        )
        # Kept before it is started: whatever becomes of the start, it is closed.
        self._producers[where] = producer
        try:
            # Returns once the broker has ended what the id's last owner had begun, and refuses its producer.
            async with asyncio.timeout(_FENCE_SECONDS):
                await producer.start()
        except (KafkaError, OSError) as error:
            raise Unavailable(f"Kafka at {self._bootstrap} does not hand over {where}: {error!r}") from error

    async def _write(self, where: TopicPartition, work: Work) -> None:
        producer = self._producers.get(where)
        if producer is None:
            raise TransactionFailed(f"{where} was not taken over by this member of {self._group}")
        try:
            async with asyncio.timeout(self._write_seconds):
                await producer.begin_transaction()
                async with asyncio.TaskGroup() as sending:
                    for topic, records in work.records.items():
                        sending.create_task(_send(producer, topic, records))
                    offsets = {KafkaTopicPartition(*where): work.next_offset}
                    sending.create_task(_commit(producer, offsets, self._group))
                await producer.commit_transaction()
        # The client asserts that its own state fits, which after a failure it may not.
        except (KafkaError, OSError, TimeoutError, AssertionError, ExceptionGroup) as error:
            raise TransactionFailed(
                f"the work on {where} up to {work.next_offset}: {_cause(error)}"
            ) from error
        for topic, records in work.records.items():
            self._metrics.published(topic, len(records))


async def _discard(producer: AIOKafkaProducer) -> None:
    stopping = asyncio.ensure_future(producer.stop())
    _, late = await asyncio.wait([stopping], timeout=_CLOSE_SECONDS)
    if late:
        # It waits for a broker that is away; what it has is written by whoever takes the partition over.
        producer._message_accumulator.fail_all(ProducerClosed())  # noqa: SLF001
        stopping.cancel()
        await asyncio.wait([stopping], timeout=_CLOSE_SECONDS)
    if stopping.done() and not stopping.cancelled() and (error := stopping.exception()):
        _log.debug("a producer ended with %r", error)
    await producer.client.close()


async def _send(producer: AIOKafkaProducer, topic: str, records: Sequence[OutgoingRecord]) -> None:
    for outcome in await send_all(producer, topic, records):
        if isinstance(outcome, BaseException):
            raise outcome.__cause__ or outcome


async def _commit(producer: AIOKafkaProducer, offsets: Mapping[KafkaTopicPartition, int], group: str) -> None:
    await producer.send_offsets_to_transaction(offsets, group)


def _cause(error: Exception) -> str:
    return repr(error.exceptions[0] if isinstance(error, ExceptionGroup) else error)

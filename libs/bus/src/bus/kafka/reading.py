"""Reading stretches of topics outside any group: for tools, not for services."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaTopicPartition
from aiokafka.errors import KafkaError

from bus.errors import Unavailable
from bus.positions import TopicPartition

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from bus.records import LogRecord

_POLL_MS: Final = 200


class TopicReader:
    """Reads topics by offsets."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer

    async def topics(self) -> dict[str, list[TopicPartition]]:
        """List all topics and their partitions."""
        # `Consumer.topics()` keeps the partitions to itself.
        cluster = await self._consumer._client.fetch_all_metadata()  # noqa: SLF001
        return {
            name: [
                TopicPartition(name, number) for number in sorted(cluster.partitions_for_topic(name) or ())
            ]
            for name in cluster.topics()
        }

    async def partitions(self, topic: str) -> list[TopicPartition]:
        """List a topic's partitions.

        Raises:
            Unavailable: there is no such topic.
        """
        topics = await self.topics()
        if topic not in topics:
            raise Unavailable(f"topic {topic} does not exist")
        return topics[topic]

    async def begin_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Ask for the first offsets still held."""
        found = await self._consumer.beginning_offsets([KafkaTopicPartition(*where) for where in partitions])
        return {TopicPartition(*where): offset for where, offset in found.items()}

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Ask for the offsets after the last records."""
        found = await self._consumer.end_offsets([KafkaTopicPartition(*where) for where in partitions])
        return {TopicPartition(*where): offset for where, offset in found.items()}

    async def read(
        self, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int] | None = None
    ) -> AsyncIterator[LogRecord]:
        """Yield records from `starts` up to `ends`, exclusive; for ever when `ends` is None."""
        partitions = [KafkaTopicPartition(*where) for where in starts]
        self._consumer.assign(partitions)
        for where, offset in starts.items():
            self._consumer.seek(KafkaTopicPartition(*where), offset)
        while ends is None or await self._before(ends):
            for records in (await self._consumer.getmany(timeout_ms=_POLL_MS)).values():
                for record in records:
                    if ends is None or record.offset < ends[TopicPartition(record.topic, record.partition)]:
                        yield record

    async def _before(self, ends: Mapping[TopicPartition, int]) -> bool:
        for where, end in ends.items():
            if await self._consumer.position(KafkaTopicPartition(*where)) < end:
                return True
        return False


@asynccontextmanager
async def topic_reader(bootstrap: str) -> AsyncIterator[TopicReader]:
    """Open a reader.

    Raises:
        Unavailable: the broker is away; any Kafka error inside becomes one too.
    """
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    try:
        await consumer.start()
        yield TopicReader(consumer)
    except (KafkaError, OSError) as error:
        raise Unavailable(f"Kafka at {bootstrap}: {error!r}") from error
    finally:
        await consumer.stop()

"""Reading a whole topic on Kafka, outside any consumer group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaTopicPartition
from aiokafka.errors import KafkaError

from bus.errors import Unavailable
from bus.kafka.admin import admin_client
from bus.positions import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bus.records import LogRecord


class KafkaTail:
    """See `bus.follow.Tail`."""

    def __init__(self, bootstrap: str, topic: str, *, client_id: str) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._client_id = client_id
        self._consumer: AIOKafkaConsumer | None = None

    async def open(self, offsets: Mapping[TopicPartition, int]) -> None:
        """See `Tail.open`."""
        # The client would wait for ever for a topic that does not exist.
        async with admin_client(self._bootstrap) as admin:
            if self._topic not in await admin.list_topics():
                raise Unavailable(f"topic {self._topic} does not exist yet: create it with ensure_topics")
        consumer = AIOKafkaConsumer(
            self._topic,
            bootstrap_servers=self._bootstrap,
            client_id=self._client_id,
            group_id=None,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        )
        try:
            await consumer.start()
            for where in consumer.assignment():
                consumer.seek(where, offsets.get(TopicPartition(*where), 0))
        except (KafkaError, OSError) as error:
            await consumer.stop()
            raise Unavailable(f"Kafka at {self._bootstrap}: {error!r}") from error
        self._consumer = consumer

    async def close(self) -> None:
        """See `Tail.close`."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()

    async def poll(self, timeout_ms: int) -> Sequence[LogRecord]:
        """See `Tail.poll`."""
        try:
            fetched = await self._opened.getmany(timeout_ms=timeout_ms)
        except KafkaError as error:
            raise Unavailable(f"could not read {self._topic}: {error!r}") from error
        return [record for records in fetched.values() for record in records]

    async def positions(self) -> Mapping[TopicPartition, int]:
        """See `Tail.positions`."""
        consumer = self._opened
        return {TopicPartition(*where): await consumer.position(where) for where in consumer.assignment()}

    async def ends(self) -> Mapping[TopicPartition, int]:
        """See `Tail.ends`."""
        consumer = self._opened
        try:
            ends: Mapping[KafkaTopicPartition, int] = await consumer.end_offsets(consumer.assignment())
        except KafkaError as error:
            raise Unavailable(f"could not read the end of {self._topic}: {error!r}") from error
        return {TopicPartition(*where): end for where, end in ends.items()}

    @property
    def _opened(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise Unavailable(f"{self._topic} is not open: Kafka at {self._bootstrap} has not answered yet")
        return self._consumer

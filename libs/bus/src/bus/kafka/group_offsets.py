"""Some topics, and how far groups have come in them: for who decides where a group goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaTopicPartition
from aiokafka.errors import KafkaError

from bus.errors import Unavailable
from bus.kafka.admin import committed_offsets
from bus.kafka.reading import topic_reader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bus.positions import TopicPartition

Positions = Mapping[str, Mapping[int, int]]
"""An offset by topic and partition."""


class GroupOffsets:
    """Asks about topics and groups, and moves groups; every call connects anew.

    Args:
        bootstrap: The brokers.
        topics: The topics' names; each must exist.
    """

    def __init__(self, bootstrap: str, topics: Sequence[str]) -> None:
        self._bootstrap = bootstrap
        self._topics = topics

    async def begins(self) -> Positions:
        """Return the first offset that each partition still holds; where it holds nothing, the next one.

        Raises:
            Unavailable: the broker is away, or a topic does not exist.
        """
        begins, _ = await self._bounds()
        return by_topic(begins)

    async def ends(self) -> Positions:
        """Return the offset after each partition's last record; 0 where it holds nothing.

        Raises:
            Unavailable: the broker is away, or a topic does not exist.
        """
        begins, ends = await self._bounds()
        return by_topic({where: end if end > begins[where] else 0 for where, end in ends.items()})

    async def commits(self, group: str) -> Positions:
        """Return what a group has committed in these topics; nothing of partitions where it has not.

        Raises:
            Unavailable: the broker is away.
        """
        found = await committed_offsets(self._bootstrap, group)
        return by_topic({where: offset for where, offset in found.items() if where.topic in self._topics})

    async def commit(self, group: str, positions: Positions) -> None:
        """Set where a group goes on.

        Raises:
            Unavailable: the broker is away, or the group has members, who alone may commit for it.
        """
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap, group_id=group, enable_auto_commit=False
        )
        offsets = {
            KafkaTopicPartition(topic, partition): offset
            for topic, ends in positions.items()
            for partition, offset in ends.items()
        }
        try:
            await consumer.start()
            consumer.assign(list(offsets))
            await consumer.commit(offsets)
        except (KafkaError, OSError, TimeoutError) as error:
            raise Unavailable(f"group {group} cannot be set to where it goes on: {error!r}") from error
        finally:
            await consumer.stop()

    async def _bounds(self) -> tuple[Mapping[TopicPartition, int], Mapping[TopicPartition, int]]:
        async with topic_reader(self._bootstrap) as reader:
            partitions = [where for name in self._topics for where in await reader.partitions(name)]
            # The ends first: a partition that is filled meanwhile must not look empty.
            ends = await reader.end_offsets(partitions)
            return await reader.begin_offsets(partitions), ends


def by_topic(offsets: Mapping[TopicPartition, int]) -> Positions:
    """Return offsets by topic, then by partition."""
    found: dict[str, dict[int, int]] = {}
    for where, offset in offsets.items():
        found.setdefault(where.topic, {})[where.partition] = offset
    return found

"""What happens to a batch: its records become rows, and each topic's rows enter their table in one commit."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from bus.errors import Unavailable
from bus.positions import TopicPartition
from bus.received import Received, Rejection

from archiver.domain.tables import SchemaError
from archiver.keeping import Keeper
from archiver.metrics import Metrics
from archiver.ports import Lake, LakeUnavailable, TableRewound


class Archive:
    """Keeps every record of its topics in the lake, once; one batch at a time.

    Args:
        lake: Where the keepers' tables are, prepared.
        keepers: One a topic.
        metrics: What is counted.
        stop: Set when the process must not go on, `ended_by` then saying why.
        erased_known: Returns once everybody who was erased before it was called is known to the keepers.
    """

    def __init__(
        self,
        lake: Lake,
        keepers: Iterable[Keeper],
        metrics: Metrics,
        stop: asyncio.Event,
        erased_known: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._erased_known = erased_known
        self._lake = lake
        self._keepers = {keeper.table.topic: keeper for keeper in keepers}
        self._metrics = metrics
        self._stop = stop
        self.ended_by: TableRewound | SchemaError | None = None

    async def resume_from(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Where to begin to read what was assigned, from the tables' own logs.

        Raises:
            Unavailable: the lake cannot be read.
        """
        by_topic: dict[str, list[int]] = defaultdict(list)
        for where in partitions:
            by_topic[where.topic].append(where.partition)
        try:
            return await asyncio.to_thread(self._resume_from, by_topic)
        except LakeUnavailable as error:
            raise Unavailable(str(error)) from error

    async def on_records(self, batch: Sequence[Received]) -> Sequence[Rejection]:
        """Return when the batch is in the lake.

        Raises:
            Unavailable: part of it may not be; offered again, what is in is skipped.
        """
        by_topic: dict[str, list[Received]] = defaultdict(list)
        for record in batch:
            by_topic[record.topic].append(record)
        if self._erased_known is not None:
            await self._erased_known()
        try:
            return await asyncio.to_thread(self._keep, by_topic)
        except (TableRewound, SchemaError) as error:
            self.ended_by = error
            self._stop.set()
            raise Unavailable(str(error)) from error
        except LakeUnavailable as error:
            raise Unavailable(str(error)) from error

    def _resume_from(self, by_topic: Mapping[str, Sequence[int]]) -> dict[TopicPartition, int]:
        return {
            TopicPartition(topic, partition): offset
            for topic, partitions in by_topic.items()
            for partition, offset in self._lake.resume_from(self._keepers[topic].table, partitions).items()
        }

    def _keep(self, by_topic: Mapping[str, Sequence[Received]]) -> list[Rejection]:
        rejections: list[Rejection] = []
        for topic, records in by_topic.items():
            keeper = self._keepers[topic]
            kept = keeper.keep(records)
            with self._metrics.append_seconds.labels(keeper.table.path).time():
                appended = self._lake.append(keeper.table, kept.rows, _reached(records))
            self._metrics.count(keeper.table.path, appended, kept)
            rejections.extend(kept.rejections)
        return rejections


def _reached(records: Sequence[Received]) -> dict[int, int]:
    reached: dict[int, int] = {}
    for record in records:
        reached[record.partition] = max(record.offset + 1, reached.get(record.partition, 0))
    return reached

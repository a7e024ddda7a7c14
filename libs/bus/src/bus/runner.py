"""The consumer runner: a handler fed from topics, with effects before commits.

Order of a batch: envelopes parsed, handler, rejections to the dead-letter twin, progress published, offsets
committed. Why it is so stands in docs/adr/0003-consumer-runner.md; what happens in each failure, in the
README.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import TYPE_CHECKING, Final

from bus.batching import Backlog, Batching
from bus.clocks import Clock, wall_clock_us
from bus.dead_letters import MALFORMED_ENVELOPE, Refusal, Undertaker
from bus.delivery import Delivery, Interrupted
from bus.errors import MalformedEvent, Unavailable
from bus.events import from_record
from bus.feeds import Feed, PartitionsLost
from bus.kafka.feed import KafkaFeed, Membership
from bus.positions import TopicPartition
from bus.progress import progress_event
from bus.received import Handler, Received, Rejection
from bus.retrying import Retry
from bus.topics import PROGRESSED, dead_letter_of
from bus.watermarks import Watermark, low_watermark

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from bus.producer import KafkaPublisher, MemoryPublisher
    from bus.records import LogRecord, OutgoingRecord

    Positions = Callable[[Sequence[TopicPartition]], Awaitable[Mapping[TopicPartition, int]]]

__all__ = [
    "Batching",
    "ConsumerRunner",
    "Handler",
    "Membership",
    "Received",
    "Rejection",
    "Retry",
    "Unavailable",
    "Watermark",
]

_log = logging.getLogger(__name__)
_POLL_MS: Final = 100
_JITTER: Final = secrets.SystemRandom().random


class ConsumerRunner:
    """Feeds a handler from topics as one member of a group."""

    def __init__(  # noqa: PLR0913 - one keyword a decision its caller takes
        self,
        *,
        bootstrap: str,
        group: str,
        topics: Sequence[str],
        handler: Handler,
        publisher: KafkaPublisher | MemoryPublisher,
        service: str,
        batching: Batching = Batching(),  # noqa: B008 - frozen
        retry: Retry = Retry(),  # noqa: B008 - frozen
        positions: Positions | None = None,
        publish_progress: bool = True,
        stack: str = "local",
        clock: Clock = wall_clock_us,
        membership: Membership = Membership(),  # noqa: B008 - frozen
        feed: Feed | None = None,
    ) -> None:
        self._group = group
        self._service = service
        self._publisher = publisher
        self._batching = batching
        self._retry = retry
        self._positions = positions
        self._publish_progress = publish_progress
        self._clock = clock
        self._feed: Feed = feed or KafkaFeed(bootstrap, group, topics, membership)
        self._delivery = Delivery(handler, retry, self)
        self._undertaker = Undertaker(service, stack)
        self._backlog = Backlog()
        self._hand = asyncio.Lock()
        self._interrupt = asyncio.Event()
        self._stopping = False
        self._unpositioned: list[TopicPartition] | None = None
        self._marks: dict[TopicPartition, Watermark] = {}
        self._reasons: dict[str, str] = {"group": "has not joined its group yet"}

    @property
    def ready(self) -> bool:
        """Whether the runner has its partitions and waits for nothing that is away."""
        return not self._reasons

    @property
    def not_ready_because(self) -> str | None:
        """Why `ready` is false, in words; None when it is true."""
        return "; ".join(self._reasons.values()) or None

    @property
    def watermarks(self) -> Mapping[TopicPartition, Watermark]:
        """What of each assigned partition has had its effect."""
        return self._marks

    @property
    def low_watermark(self) -> tuple[int, int]:
        """The (recorded, event) time before which nothing more is expected; see `bus.watermarks`."""
        idle = {where for where, mark in self._marks.items() if self._lag(where, mark) == 0}
        return low_watermark(self._marks, idle)

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop`; then finish and commit the batch in hand, and leave the group."""
        async with asyncio.TaskGroup() as tasks:
            watcher = tasks.create_task(self._watch(stop))
            try:
                await self._live()
            finally:
                watcher.cancel()

    async def _watch(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._stopping = True
        self._interrupt.set()

    async def _live(self) -> None:
        failures = 0
        while not self._stopping:
            try:
                await self._feed.open(self)
                await self._consume()
            except Unavailable as error:
                failures += 1
                self._reasons["kafka"] = str(error)
                _log.warning("%s: %s", self._group, error)
            finally:
                self._backlog.clear()
                await self._feed.close()
            if not self._stopping:
                await self._sleep(self._retry.wait_ms(failures, _JITTER()))

    async def _consume(self) -> None:
        while not self._stopping:
            if self._unpositioned is not None:
                await self._start(self._unpositioned)
            await self._gather()
            async with self._hand:
                await self._process_next()
        if self._batching.max_wait_ms:
            async with self._hand:
                await self._process_next()

    async def _start(self, partitions: list[TopicPartition]) -> None:
        offsets = None if self._positions is None else await self._positions(partitions)
        if self._unpositioned is partitions:
            await self._feed.start_from(offsets)
            self._unpositioned = None
            self._reasons.clear()

    async def _gather(self) -> None:
        loop = asyncio.get_running_loop()
        deadline: float | None = None
        while len(self._backlog) < self._batching.max_records:
            if self._backlog and deadline is None:
                deadline = loop.time() + self._batching.max_wait_ms / 1000
            left_ms = _POLL_MS if deadline is None else min(_POLL_MS, int((deadline - loop.time()) * 1000))
            self._backlog.add(await self._feed.poll(max(0, left_ms)))
            if self._interrupt.is_set() or self._unpositioned is not None or (deadline and left_ms <= 0):
                return
            if self._backlog and not self._batching.max_wait_ms:
                return

    async def _process_next(self) -> None:
        batch = self._backlog.take(self._batching.max_records)
        if not batch:
            return
        try:
            await self._process(batch)
        except Interrupted:
            # What follows the abandoned batch must not overtake it.
            self._backlog.clear()
            _log.info(
                "%s: abandoned %d records uncommitted; they will be read again", self._group, len(batch)
            )
        except PartitionsLost as lost:
            self._backlog.clear()
            _log.warning("%s: %s", self._group, lost)
        await self._feed.keep_alive()

    async def _process(self, batch: Sequence[LogRecord]) -> None:
        received, refusals = _parse(batch)
        if received:
            rejections = await self._delivery.deliver(received)
            refusals.extend(_refusals(batch, rejections))
        marks = self._advance(batch, received)
        await self._patiently(lambda: self._bury(refusals))
        if self._publish_progress:
            progress = progress_event(self._group, self._service, marks, self._clock())
            await self._patiently(lambda: self._publisher.publish(PROGRESSED.name, progress))
        await self._patiently(
            lambda: self._feed.commit({where: mark.next_offset for where, mark in marks.items()})
        )
        self._marks.update(marks)

    async def _bury(self, refusals: Sequence[Refusal]) -> None:
        now_us = self._clock()
        by_topic: dict[str, list[OutgoingRecord]] = {}
        for refusal in refusals:
            by_topic.setdefault(dead_letter_of(refusal.record.topic), []).append(
                self._undertaker.bury(refusal, now_us)
            )
        for topic, records in by_topic.items():
            await self._publisher.publish_records(topic, records)

    async def _patiently(self, step: Callable[[], Awaitable[None]]) -> None:
        failures = 0
        while True:
            try:
                return await step()
            except Unavailable as error:
                failures += 1
                await self.wait(failures, str(error))

    def _advance(
        self, batch: Sequence[LogRecord], received: Sequence[Received]
    ) -> dict[TopicPartition, Watermark]:
        marks: dict[TopicPartition, Watermark] = {}
        for record in batch:
            where = TopicPartition(record.topic, record.partition)
            mark = marks.get(where) or self._marks.get(where) or Watermark(0)
            marks[where] = mark.advanced(record.offset + 1, 0, 0)
        for one in received:
            where = TopicPartition(one.topic, one.partition)
            marks[where] = marks[where].advanced(0, one.event.recorded_time_us, one.event.time_us)
        return marks

    async def wait(self, failures: int, reason: str | None) -> None:
        """See `bus.delivery.Patience`."""
        if self._interrupt.is_set():
            raise Interrupted
        if reason is not None:
            self._reasons["dependency"] = reason
            _log.warning("%s waits: %s", self._group, reason)
        await self._sleep(self._retry.wait_ms(failures, _JITTER()))
        if self._interrupt.is_set():
            raise Interrupted
        await self._feed.keep_alive()
        self._reasons.pop("dependency", None)

    async def _sleep(self, wait_ms: float) -> None:
        try:
            async with asyncio.timeout(wait_ms / 1000):
                await self._interrupt.wait()
        except TimeoutError:
            return

    async def on_revoked(self) -> None:
        """See `bus.feeds.Rebalances`."""
        self._interrupt.set()
        self._reasons["group"] = "its partitions are being moved"
        async with self._hand:
            if self._batching.max_wait_ms:
                await self._process_next()
            self._backlog.clear()

    def on_assigned(self, partitions: Collection[TopicPartition]) -> None:
        """See `bus.feeds.Rebalances`."""
        if not self._stopping:
            self._interrupt.clear()
        self._marks = {where: mark for where, mark in self._marks.items() if where in partitions}
        self._unpositioned = list(partitions)
        _log.info("%s was assigned %s", self._group, sorted(map(str, partitions)))

    def _lag(self, where: TopicPartition, mark: Watermark) -> int | None:
        end = self._feed.end_offset(where)
        return None if end is None else max(0, end - mark.next_offset)


def _parse(batch: Sequence[LogRecord]) -> tuple[list[Received], list[Refusal]]:
    received: list[Received] = []
    refusals: list[Refusal] = []
    for record in batch:
        try:
            event = from_record(record.key, record.value, record.headers, timestamp_ms=record.timestamp)
        except MalformedEvent as wrong:
            refusals.append(Refusal(record, MALFORMED_ENVELOPE, str(wrong)))
        else:
            received.append(Received(record.topic, record.partition, record.offset, event))
    return received, refusals


def _refusals(batch: Sequence[LogRecord], rejections: Sequence[Rejection]) -> list[Refusal]:
    if not rejections:
        return []
    records = {(record.topic, record.partition, record.offset): record for record in batch}
    return [
        Refusal(
            records[one.received.topic, one.received.partition, one.received.offset], one.reason, one.detail
        )
        for one in rejections
    ]

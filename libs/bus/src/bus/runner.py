"""The consumer runner: a handler fed from topics, with effects before commits.

Order of a batch: envelopes parsed, handler, rejections to the dead-letter twin; then, beside the next batch,
progress published, offsets committed. Why it is so stands in docs/adr/0003-consumer-runner.md; what happens
in each failure, in the README.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from prometheus_client import REGISTRY, CollectorRegistry

from bus.batching import Backlog, Batching, Bites, Gathering
from bus.clocks import Clock, wall_clock_us
from bus.dead_letters import Undertaker
from bus.delivery import Delivery
from bus.errors import BusError, Unavailable
from bus.feeds import PartitionsLost
from bus.kafka.feed import KafkaFeed, Membership
from bus.metrics import ConsumerMetrics
from bus.patience import Interrupted, Patience, Readiness
from bus.pipeline import Pipeline
from bus.progress import progress_event
from bus.received import Handler, Received, Rejection
from bus.retrying import Retry
from bus.topics import PROGRESSED
from bus.trail import Trail
from bus.transactional import TransactionalPipeline
from bus.watermarks import Watermark, low_watermark

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from bus.feeds import Feed
    from bus.pipeline import RunnerPublisher
    from bus.positions import TopicPartition
    from bus.records import LogRecord
    from bus.trail import Marks
    from bus.transactions import Answering, Transactions

    Positions = Callable[[Sequence[TopicPartition]], Awaitable[Mapping[TopicPartition, int]]]

__all__ = [
    "Batching",
    "ConsumerRunner",
    "DrainTimeoutError",
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
_DRAIN_SECONDS: Final = 25.0
_SILENT_MS: Final = 5_000
_GROUP: Final = "group"
_KAFKA: Final = "kafka"


class DrainTimeoutError(BusError):
    """The batch in hand could not be finished and committed in time; it will be read again."""


class ConsumerRunner:
    """Feeds a handler from topics as one member of a group.

    Args:
        handler: With `transactions`, one that only answers.
        positions: Where to resume; at the group's commits where None.
        transactions: Write what the handler answers together with the group's offsets; see
            `bus.transactions`. They also say where to resume.
        concealed: Topics with sensitive fields: their dead letters keep no key, value or header of an
            original.
        buried_elsewhere: Topics whose malformed records another group dead-letters: here they are counted and
            passed over, so that one record is one dead letter. What the handler refuses is buried anyway.
    """

    def __init__(  # noqa: PLR0913 - one keyword a decision that its caller takes
        self,
        *,
        bootstrap: str,
        group: str,
        topics: Sequence[str],
        handler: Handler | Answering,
        publisher: RunnerPublisher,
        service: str,
        batching: Batching = Batching(),  # noqa: B008 - frozen
        retry: Retry = Retry(),  # noqa: B008 - frozen
        positions: Positions | None = None,
        transactions: Transactions | None = None,
        publish_progress: bool = True,
        buried_elsewhere: Collection[str] = (),
        concealed: Collection[str] = (),
        stack: str = "local",
        clock: Clock = wall_clock_us,
        membership: Membership = Membership(),  # noqa: B008 - frozen
        drain_seconds: float = _DRAIN_SECONDS,
        registry: CollectorRegistry = REGISTRY,
        feed: Feed | None = None,
    ) -> None:
        self._group = group
        self._batching = batching
        self._positions = positions if transactions is None else transactions.take_over
        self._commits = transactions is None
        self._drain_seconds = drain_seconds
        self._publisher = publisher
        self._publish_progress = publish_progress
        self._service = service
        self._clock = clock
        self._metrics = ConsumerMetrics(group, registry)
        self._feed: Feed = feed or KafkaFeed(bootstrap, group, topics, membership)
        self._readiness = Readiness()
        self._readiness.lost(_GROUP, f"has not joined group {group} yet")
        self._patience = Patience(retry, self._readiness, self._feed.keep_alive, self._metrics)
        self._told = Trail(self._tell)
        self._committed = Trail(self._commit)
        self._bites = Bites(batching.max_records, len(topics))
        steps = Pipeline if transactions is None else partial(TransactionalPipeline, transactions)
        self._pipeline = steps(
            delivery=Delivery(handler, retry.attempts, self._patience, self._metrics),
            undertaker=Undertaker(service, stack),
            publisher=publisher,
            patience=self._patience,
            metrics=self._metrics,
            buried_elsewhere=buried_elsewhere,
            concealed=concealed,
            clock=clock,
            bites=self._bites,
            done=self._had_effect,
        )
        self._backlog = Backlog()
        self._hand = asyncio.Lock()
        self._stopping = False
        self._unpositioned: list[TopicPartition] | None = None
        self._marks: dict[TopicPartition, Watermark] = {}

    @property
    def ready(self) -> bool:
        """Whether the runner has its partitions and waits for nothing that is away."""
        return self._readiness.reason is None

    @property
    def not_ready_because(self) -> str | None:
        """Why `ready` is false, in words; None when it is true: what a health check answers."""
        return self._readiness.reason

    @property
    def watermarks(self) -> Mapping[TopicPartition, Watermark]:
        """What of each assigned partition has had its effect."""
        return self._marks

    @property
    def low_watermark(self) -> tuple[int, int]:
        """The (recorded, event) time before which nothing more is expected; see `bus.watermarks`."""
        idle = {where for where, mark in self._marks.items() if self._lag(where, mark) == 0}
        return low_watermark(self._marks, idle)

    def end_offset(self, where: TopicPartition) -> int | None:
        """Give the last known end of an assigned partition; None where it is not known."""
        return self._feed.end_offset(where)

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop`; then finish and commit the batch in hand, and leave the group.

        Raises:
            DrainTimeoutError: that could not be done within `drain_seconds`.
        """
        deadline = asyncio.timeout(None)
        try:
            async with asyncio.TaskGroup() as tasks, deadline:
                beside = [
                    tasks.create_task(self._watch(stop, deadline)),
                    tasks.create_task(self._told.run()),
                    tasks.create_task(self._committed.run()),
                ]
                await self._live()
                for task in beside:
                    task.cancel()
        except BaseExceptionGroup as group:
            if deadline.expired():
                late = (
                    f"{self._group} did not drain in {self._drain_seconds:g} s; its batch will be read again"
                )
                raise DrainTimeoutError(late) from None
            # The caller runs one thing and is told of one failure, not of a group.
            raise group.exceptions[0] from group

    async def _watch(self, stop: asyncio.Event, deadline: asyncio.Timeout) -> None:
        await stop.wait()
        self._stopping = True
        self._patience.interrupt.set()
        deadline.reschedule(asyncio.get_running_loop().time() + self._drain_seconds)

    async def _live(self) -> None:
        failures = 0
        while not self._stopping:
            self._readiness.lost(_GROUP, f"has not joined group {self._group} yet")
            try:
                await self._feed.open(self)
                failures = 0
                await self._consume()
            except Unavailable as error:
                failures += 1
                self._readiness.lost(_KAFKA, str(error))
                _log.warning("%s: %s", self._group, error)
            finally:
                self._backlog.clear()
                await self._pipeline.abandon()
                await self._feed.close()
            if not self._stopping:
                await self._patience.rest(failures)

    async def _consume(self) -> None:
        while not self._stopping:
            if self._unpositioned is not None:
                await self._start(self._unpositioned)
            await self._gather()
            await self._process_next()
        await self._pipeline.settle()
        await self._settled()

    async def _start(self, partitions: list[TopicPartition]) -> None:
        try:
            offsets = await self._patience.until_available(lambda: self._resume_at(partitions))
            begins = await self._feed.start_from(partitions, offsets)
        except (Interrupted, PartitionsLost):
            return
        # They may have moved on while the answers were on their way.
        if self._unpositioned is partitions:
            marks = {where: self._marks.get(where, Watermark(begin)) for where, begin in begins.items()}
            for where, mark in marks.items():
                self._mark(where, mark)
            # Whoever died between an effect and telling of it left nothing to read again: it is told now.
            self._told.add({where: marks[where] for where in offsets or () if where in marks})
            self._unpositioned = None
            self._readiness.regained(_GROUP)

    async def _resume_at(self, partitions: list[TopicPartition]) -> Mapping[TopicPartition, int] | None:
        return None if self._positions is None else await self._positions(partitions)

    async def _gather(self) -> None:
        loop = asyncio.get_running_loop()
        gathering = Gathering(self._batching)
        while len(self._backlog) < self._batching.max_records:
            left_ms = gathering.left_ms(len(self._backlog), loop.time() * 1000)
            self._backlog.add(await self._feed.poll(max(0, int(min(left_ms, _POLL_MS)))))
            self._listen()
            if self._patience.interrupt.is_set() or self._unpositioned is not None:
                return
            if not self._backlog:
                if self._pipeline.is_idle:
                    await self._pipeline.settle()
                    self._pass_over()
            elif left_ms <= 0 or not self._batching.max_wait_ms:
                return
        await self._look_beside()

    async def _look_beside(self) -> None:
        """Take in what has come of topics of which nothing waits: what does may be of one that is flooded."""
        quiet = [where for where in self._marks if where.topic not in self._backlog.topics]
        if quiet:
            self._backlog.add(await self._feed.poll(0, quiet))

    def _listen(self) -> None:
        silent_ms = self._feed.silent_ms()
        if silent_ms > _SILENT_MS:
            self._readiness.lost(_KAFKA, f"Kafka has not answered for {silent_ms / 1000:.0f} s")
        else:
            self._readiness.regained(_KAFKA)

    async def _process_next(self) -> None:
        async with self._hand:
            batch = self._backlog.take(self._batching.max_records, self._bites.most_of)
            if batch:
                await self._process(batch)
                await self._feed.keep_alive()

    async def _process(self, batch: Sequence[LogRecord]) -> None:
        try:
            await self._pipeline.process(batch, self._marks)
        except Interrupted:
            # What follows the abandoned batch must not overtake it.
            self._backlog.clear()
            self._metrics.abandoned.inc(len(batch))
            _log.info(
                "%s: abandoned %d records uncommitted; they will be read again", self._group, len(batch)
            )
            return
        except Unavailable:
            # Only what is written in transactions comes here: all is read again from what was written.
            self._backlog.clear()
            raise

    def _had_effect(self, marks: Marks) -> None:
        self._told.add(marks)
        for where, mark in {**self._marks, **marks}.items():
            self._mark(where, mark)

    def _pass_over(self) -> None:
        """Move on over what holds no records, such as ends of transactions, once nothing is in hand.

        Whoever waits for this group to reach a topic's end would wait for ever otherwise.
        """
        passed = {
            where: replace(self._marks[where], next_offset=at)
            for where, at in self._feed.positions().items()
            if where in self._marks and at > self._marks[where].next_offset
        }
        if passed:
            self._told.add(passed)
            for where, mark in passed.items():
                self._mark(where, mark)

    def _mark(self, where: TopicPartition, mark: Watermark) -> None:
        self._marks[where] = mark
        self._metrics.at(where, mark, self._lag(where, mark))

    async def _tell(self, marks: Marks) -> None:
        if self._publish_progress:
            progress = progress_event(self._group, self._service, marks, self._clock())
            await self._patience.until_available(lambda: self._publisher.publish(PROGRESSED.name, progress))
        self._committed.add(marks)

    async def _commit(self, marks: Marks) -> None:
        if not self._commits:
            return
        offsets = {where: mark.next_offset for where, mark in marks.items()}
        await self._patience.until_available(lambda: self._feed.commit(offsets))

    async def _settled(self) -> None:
        """Return when all that has had its effect is told and committed."""
        await self._told.flush()
        await self._committed.flush()

    async def on_revoked(self) -> None:
        """See `bus.feeds.Rebalances`."""
        self._patience.interrupt.set()
        self._readiness.lost(_GROUP, "its partitions are being moved")
        if self._batching.max_wait_ms:
            await self._process_next()
        async with self._hand:
            self._backlog.clear()
            try:
                await self._pipeline.settle()
            except Unavailable as error:
                # Whoever takes the partitions over, this member too, is told what was written.
                _log.warning("%s: %s", self._group, error)
        await self._settled()

    def on_assigned(self, partitions: Collection[TopicPartition]) -> None:
        """See `bus.feeds.Rebalances`."""
        if not self._stopping:
            self._patience.interrupt.clear()
        for where in set(self._marks) - set(partitions):
            self._metrics.gone(where)
        self._marks = {where: mark for where, mark in self._marks.items() if where in partitions}
        self._unpositioned = list(partitions)
        _log.info("%s was assigned %s", self._group, sorted(map(str, partitions)))

    def _lag(self, where: TopicPartition, mark: Watermark) -> int | None:
        end = self._feed.end_offset(where)
        return None if end is None else max(0, end - mark.next_offset)

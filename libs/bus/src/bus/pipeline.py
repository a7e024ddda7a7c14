"""What becomes of a batch: envelopes, handler, dead letters, each durable before the next."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from bus.dead_letters import HANDLER_FAILED, MALFORMED_ENVELOPE, Refusal, concealed, without_value
from bus.errors import EventTooLarge, MalformedEvent
from bus.events import from_record
from bus.positions import TopicPartition
from bus.received import Received, Rejection
from bus.topics import dead_letter_of
from bus.watermarks import Watermark

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from bus.batching import Bites
    from bus.clocks import Clock
    from bus.dead_letters import Undertaker
    from bus.delivery import Delivery
    from bus.metrics import ConsumerMetrics
    from bus.patience import Patience
    from bus.producer import Publisher
    from bus.records import LogRecord, OutgoingRecord, RecordPublisher
    from bus.trail import Marks

    class RunnerPublisher(Publisher, RecordPublisher, Protocol):
        """Publishes events, and records as they are."""


_NOTHING_SEEN: Final = Watermark(0)


class Pipeline:
    """Takes batches through their steps, one after the other.

    Args:
        done: Told the new marks of a batch's partitions once all its effects are durable.
    """

    def __init__(  # noqa: PLR0913 - one keyword a collaborator
        self,
        *,
        delivery: Delivery,
        undertaker: Undertaker,
        publisher: RunnerPublisher,
        patience: Patience,
        metrics: ConsumerMetrics,
        buried_elsewhere: Collection[str],
        concealed: Collection[str],
        clock: Clock,
        bites: Bites,
        done: Callable[[Marks], None],
    ) -> None:
        self._delivery = delivery
        self._undertaker = undertaker
        self._publisher = publisher
        self._patience = patience
        self._metrics = metrics
        self._buried_elsewhere = frozenset(buried_elsewhere)
        self._concealed = frozenset(concealed)
        self._clock = clock
        self._bites = bites
        self._done = done

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way: `settle` then returns, or raises, at once."""
        return True

    async def settle(self) -> None:
        """Return once all that was taken in has had its effect.

        Raises:
            TransactionFailed: it is not known whether what was under way was written.
        """

    async def abandon(self) -> None:
        """Give up what is under way."""

    async def process(self, batch: Sequence[LogRecord], known: Marks) -> None:
        """Bring about the effects of a batch.

        Args:
            batch: In order.
            known: The marks of its partitions before it.

        Raises:
            Interrupted: the batch was given up.
        """
        received, malformed = parse(batch)
        refusals = self._own(malformed)
        if received:
            answers = await self._delivery.deliver(received)
            refusals.extend(refused(batch, [one for one in answers if isinstance(one, Rejection)]))
        if refusals:
            await self._bury(refusals)
        self._finished(batch, refusals)
        self._done(advance(known, batch, received))

    def _finished(self, batch: Sequence[LogRecord], refusals: Sequence[Refusal]) -> None:
        records = Counter(record.topic for record in batch)
        self._bites.swallowed(records, Counter(refusal.record.topic for refusal in refusals))
        self._metrics.finished(records)
        for refusal in refusals:
            self._metrics.rejected(refusal.record.topic, refusal.reason)

    def _own(self, malformed: Sequence[Refusal]) -> list[Refusal]:
        """Leave to another group what it dead-letters: one record, one dead letter, however many read it."""
        own: list[Refusal] = []
        for refusal in malformed:
            if refusal.record.topic in self._buried_elsewhere:
                self._metrics.passed_over(refusal.record.topic, refusal.reason)
            else:
                own.append(refusal)
        return own

    async def _bury(self, refusals: Sequence[Refusal]) -> None:
        by_topic: dict[str, list[Refusal]] = {}
        for refusal in refusals:
            by_topic.setdefault(dead_letter_of(refusal.record.topic), []).append(refusal)
        for topic, theirs in by_topic.items():
            await self._patience.until_available(partial(self._send, topic, theirs))

    async def _send(self, topic: str, refusals: Sequence[Refusal]) -> None:
        letters = [self._letter(refusal) for refusal in refusals]
        try:
            await self._publisher.publish_records(topic, letters)
        except EventTooLarge:
            if len(refusals) == 1:
                await self._publisher.publish_records(topic, [without_value(letters[0])])
                return
            for refusal in refusals:
                await self._send(topic, [refusal])

    def _letter(self, refusal: Refusal) -> OutgoingRecord:
        letter = self._undertaker.bury(refusal, self._clock())
        if refusal.record.topic not in self._concealed:
            return letter
        return concealed(letter, keep_detail=refusal.reason not in {MALFORMED_ENVELOPE, HANDLER_FAILED})


def parse(batch: Sequence[LogRecord]) -> tuple[list[Received], list[Refusal]]:
    """Read the envelopes; what has none is refused."""
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


def refused(batch: Sequence[LogRecord], rejections: Sequence[Rejection]) -> list[Refusal]:
    """Find the records that the handler rejected."""
    if not rejections:
        return []
    records = {(record.topic, record.partition, record.offset): record for record in batch}
    return [
        Refusal(
            records[one.received.topic, one.received.partition, one.received.offset], one.reason, one.detail
        )
        for one in rejections
    ]


def advance(
    known: Marks, batch: Sequence[LogRecord], received: Sequence[Received]
) -> dict[TopicPartition, Watermark]:
    """Give the marks of the partitions in the batch after it."""
    # Plain tuples and comparisons: this runs for every record.
    ends = {(record.topic, record.partition): record.offset + 1 for record in batch}
    recorded_us, event_us = dict.fromkeys(ends, 0), dict.fromkeys(ends, 0)
    for one in received:
        where, event = (one.topic, one.partition), one.event
        recorded_us[where] = max(recorded_us[where], event.recorded_time_us)
        # What is known now says nothing about later times, whatever its producer's clock or fault claims.
        event_us[where] = max(event_us[where], min(event.time_us, event.recorded_time_us))
    return {
        TopicPartition(*where): known.get(TopicPartition(*where), _NOTHING_SEEN).advanced(
            end, recorded_us[where], event_us[where]
        )
        for where, end in ends.items()
    }

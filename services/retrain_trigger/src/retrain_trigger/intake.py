"""A record's way: envelope, fact, decision, dead letter, progress; each durable before the next.

It is what `bus.runner` does for a handler, for records that come from Faust.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from bus.dead_letters import HANDLER_FAILED, MALFORMED_ENVELOPE, Refusal, without_value
from bus.errors import EventTooLarge, MalformedEvent, Unavailable
from bus.events import from_record
from bus.positions import TopicPartition
from bus.progress import progress_event
from bus.topics import dead_letter_of
from bus.watermarks import Watermark
from service_kit.trace import bound, proceed

from retrain_trigger.domain.deciding import VoidDecision
from retrain_trigger.ports import UnreadableFact, UnreadableState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bus.clocks import Clock
    from bus.dead_letters import Undertaker
    from bus.events import Event
    from bus.metrics import ConsumerMetrics
    from bus.producer import Publisher
    from bus.records import LogRecord, RecordPublisher

    from retrain_trigger.adapters.reading import Reader
    from retrain_trigger.domain.facts import Fact

    class IntakePublisher(Publisher, RecordPublisher, Protocol):
        """Publishes events, and records as they are."""


_log = logging.getLogger(__name__)
_ATTEMPTS = 3


class Intake:
    """Takes records in, one after the other.

    Args:
        group: Whose progress is told.
        readers: By topic.
        on_fact: See `handlers.Trigger.on_fact`.
        progressed: Where progress is told.
    """

    def __init__(  # noqa: PLR0913 - one keyword a collaborator
        self,
        *,
        group: str,
        readers: Mapping[str, Reader],
        on_fact: Callable[[Fact, Event], Awaitable[None]],
        publisher: IntakePublisher,
        undertaker: Undertaker,
        progressed: str,
        metrics: ConsumerMetrics,
        clock: Clock,
    ) -> None:
        self._group = group
        self._readers = readers
        self._on_fact = on_fact
        self._publisher = publisher
        self._undertaker = undertaker
        self._progressed = progressed
        self._metrics = metrics
        self._clock = clock

    async def take(self, record: LogRecord) -> None:
        """Return when a record has had its effect or its dead letter, and that is told.

        Raises:
            Unavailable: Something is away; the record must be taken again.
            UnreadableState: Nothing can be decided.
        """
        recorded_us = event_us = 0
        try:
            event = from_record(record.key, record.value, record.headers, timestamp_ms=record.timestamp)
        except MalformedEvent as error:
            await self._bury(Refusal(record, MALFORMED_ENVELOPE, str(error)))
        else:
            recorded_us, event_us = event.recorded_time_us, event.time_us
            with bound(proceed(event.traceparent)):
                await self._deliver(record, event)
        where = TopicPartition(record.topic, record.partition)
        mark = Watermark(record.offset + 1, recorded_us, event_us)
        progress = progress_event(self._group, self._undertaker.service, {where: mark}, self._clock())
        await self._publisher.publish(self._progressed, progress)
        self._metrics.at(where, mark, None)
        self._metrics.finished({record.topic: 1})

    async def _deliver(self, record: LogRecord, event: Event) -> None:
        try:
            fact = self._readers[record.topic](event)
            if fact is not None:
                with self._metrics.handler_seconds.time():
                    await self._persist(fact, event)
        except (Unavailable, UnreadableState):
            raise
        except (UnreadableFact, VoidDecision) as error:
            await self._bury(Refusal(record, error.reason, error.detail))
        except Exception as error:  # noqa: BLE001 - whatever it is, what follows must not wait for it
            _log.exception("the handler fails on %s of %s for good", event.id, record.topic)
            await self._bury(Refusal(record, HANDLER_FAILED, f"{type(error).__name__}: {error}"))

    async def _persist(self, fact: Fact, event: Event) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await self._on_fact(fact, event)
            except (Unavailable, UnreadableState, VoidDecision):
                raise
            except Exception:
                self._metrics.handler_failures.inc()
                if attempt == _ATTEMPTS:
                    raise
            else:
                return

    async def _bury(self, refusal: Refusal) -> None:
        record = refusal.record
        letter = self._undertaker.bury(refusal, self._clock())
        twin = dead_letter_of(record.topic)
        try:
            await self._publisher.publish_records(twin, [letter])
        except EventTooLarge:
            await self._publisher.publish_records(twin, [without_value(letter)])
        self._metrics.rejected(record.topic, refusal.reason)
        _log.warning(
            "refused %s[%d]@%d: %s: %s",
            record.topic,
            record.partition,
            record.offset,
            refusal.reason,
            refusal.detail,
        )

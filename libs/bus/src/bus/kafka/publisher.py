"""Publishing on Kafka through an idempotent producer."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    RecordTooLargeError,
    UnknownProducerId,
    UnknownTopicOrPartitionError,
)
from prometheus_client import REGISTRY, CollectorRegistry

from bus.errors import EventTooLarge, Unavailable
from bus.kafka.partitioning import partition_of_key
from bus.kafka.sending import BATCH_BYTES, NeverSent, send_all
from bus.metrics import PublisherMetrics
from bus.records import DEFAULT_MAX_EVENT_BYTES, check_sizes, outgoing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from bus.events import Event
    from bus.positions import Position
    from bus.records import OutgoingRecord


_log = logging.getLogger(__name__)

# Dead letters carry an original of up to the edge's bound and headers that say why.
MAX_REQUEST_BYTES: Final = 2 * 1024 * 1024
_REQUEST_TIMEOUT_MS: Final = 15_000
_CLOSE_SECONDS: Final = 10.0
# What others have on its way through a producer that is replaced is given so long to arrive.
_REPLACE_SECONDS: Final = 2.0
# After any refusal the client's sequence numbers no longer match the broker's, and all that follows is
# refused with one of these: nothing of it was written, so a fresh producer may send it again.
_OUT_OF_STEP: Final = (OutOfOrderSequenceNumber, UnknownProducerId, ProducerFenced, ProducerClosed)


class KafkaPublisher:
    """Publishes events on Kafka: idempotent, acks=all, lz4, in order per partition.

    While the broker is away calls wait, and what was accepted is delivered once it returns. It connects when
    entered, or at the first call.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        client_id: str,
        linger_ms: int = 0,
        max_event_bytes: int = DEFAULT_MAX_EVENT_BYTES,
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        self._bootstrap = bootstrap
        self._client_id = client_id
        self._linger_ms = linger_ms
        self._max_event_bytes = max_event_bytes
        self._metrics = PublisherMetrics(client_id, registry)
        self._connecting = asyncio.Lock()
        self._producer: AIOKafkaProducer | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Connect now, to learn now whether a broker answers.

        Raises:
            Unavailable: none does.
        """
        await self._connected()

    async def close(self, within_seconds: float = _CLOSE_SECONDS) -> None:
        """Deliver what was accepted, then disconnect; what is not delivered in time is given up."""
        async with self._connecting:
            producer, self._producer = self._producer, None
            if producer is not None:
                await _stop(producer, within_seconds)

    async def publish(self, topic: str, event: Event) -> None:
        """See `Publisher.publish`."""
        await self.publish_all(topic, [event])

    async def publish_all(self, topic: str, events: Sequence[Event]) -> list[Position]:
        """See `Publisher.publish_all`."""
        records = [outgoing(event) for event in events]
        check_sizes(topic, events, records, self._max_event_bytes)
        return await self.publish_records(topic, records)

    async def publish_records(self, topic: str, records: Sequence[OutgoingRecord]) -> list[Position]:
        """See `RecordPublisher.publish_records`."""
        positions: dict[int, Position] = {}
        waiting: Sequence[int] = range(len(records))
        while waiting:
            producer = await self._connected()
            failures: list[BaseException] = []
            outcomes = await send_all(producer, topic, [records[index] for index in waiting])
            for index, outcome in zip(waiting, outcomes, strict=True):
                if isinstance(outcome, BaseException):
                    failures.append(outcome)
                else:
                    positions[index] = outcome
            if failures:
                if not all(isinstance(failure, NeverSent) for failure in failures):
                    await self._replace(producer)
                _raise_unless_out_of_step(topic, failures)
            waiting = [index for index in waiting if index not in positions] if failures else ()
        self._metrics.published(topic, len(records))
        return [positions[index] for index in range(len(records))]

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is not None:
            return self._producer
        async with self._connecting:
            if self._producer is None:
                self._producer = await self._connect()
            return self._producer

    async def _connect(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            client_id=self._client_id,
            enable_idempotence=True,
            acks="all",
            compression_type="lz4",
            linger_ms=self._linger_ms,
            max_batch_size=BATCH_BYTES,
            max_request_size=MAX_REQUEST_BYTES,
            request_timeout_ms=_REQUEST_TIMEOUT_MS,
            partitioner=partition_of_key,
        )
        try:
            await producer.start()
        except (KafkaError, OSError) as error:
            await producer.stop()
            raise Unavailable(f"Kafka at {self._bootstrap} does not answer: {error}") from error
        return producer

    async def _replace(self, broken: AIOKafkaProducer) -> None:
        async with self._connecting:
            if self._producer is broken:
                _log.warning("%s: the broker refused a batch; starting a fresh producer", self._client_id)
                self._producer = None
                await _stop(broken, _REPLACE_SECONDS)


def _raise_unless_out_of_step(topic: str, failures: Sequence[BaseException]) -> None:
    for found in failures:
        failure = (found.__cause__ or found) if isinstance(found, NeverSent) else found
        if isinstance(failure, (MessageSizeTooLargeError, RecordTooLargeError)):
            raise EventTooLarge(topic, str(failure)) from failure
        if isinstance(failure, UnknownTopicOrPartitionError):
            raise Unavailable(f"topic {topic} does not exist: create it with ensure_topics") from failure
        if isinstance(failure, KafkaError) and not isinstance(failure, _OUT_OF_STEP):
            raise Unavailable(f"could not publish on {topic}: {failure!r}") from failure
        if not isinstance(failure, KafkaError):
            raise failure


async def _stop(producer: AIOKafkaProducer, within_seconds: float) -> None:
    stopping = asyncio.ensure_future(producer.stop())
    _, late = await asyncio.wait([stopping], timeout=within_seconds)
    if late:
        # There is no public way to stop without delivering everything first, which may never end.
        _log.warning("gave up events that the broker did not take in %g s", within_seconds)
        producer._message_accumulator.fail_all(ProducerClosed())  # noqa: SLF001
    with suppress(KafkaError):
        await stopping

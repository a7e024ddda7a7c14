"""Publishing on Kafka through an idempotent producer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError, RecordTooLargeError

from bus.errors import EventTooLarge, Unavailable
from bus.positions import Position
from bus.records import DEFAULT_MAX_EVENT_BYTES, outgoing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from bus.events import Event
    from bus.records import OutgoingRecord

# Dead letters carry an original of up to the edge's bound and headers that say why.
_MAX_REQUEST_BYTES: Final = 2 * 1024 * 1024
_BATCH_BYTES: Final = 128 * 1024


class KafkaPublisher:
    """Publishes events on Kafka: idempotent, acks=all, lz4, in order per partition.

    While the broker is away calls wait, and what was accepted is delivered once it returns.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        client_id: str,
        linger_ms: int = 0,
        max_event_bytes: int = DEFAULT_MAX_EVENT_BYTES,
    ) -> None:
        self._bootstrap = bootstrap
        self._client_id = client_id
        self._linger_ms = linger_ms
        self._max_event_bytes = max_event_bytes
        self._producer: AIOKafkaProducer | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Connect.

        Raises:
            Unavailable: no broker answers.
        """
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            client_id=self._client_id,
            enable_idempotence=True,
            acks="all",
            compression_type="lz4",
            linger_ms=self._linger_ms,
            max_batch_size=_BATCH_BYTES,
            max_request_size=_MAX_REQUEST_BYTES,
        )
        try:
            await producer.start()
        except (KafkaError, OSError) as error:
            await producer.stop()
            raise Unavailable(f"Kafka at {self._bootstrap}: {error}") from error
        self._producer = producer

    async def close(self) -> None:
        """Deliver what was accepted, then disconnect."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def publish(self, topic: str, event: Event) -> None:
        """See `Publisher.publish`."""
        await self.publish_all(topic, [event])

    async def publish_all(self, topic: str, events: Sequence[Event]) -> list[Position]:
        """See `Publisher.publish_all`."""
        records = [outgoing(event) for event in events]
        for record, event in zip(records, events, strict=True):
            if record.size_bytes > self._max_event_bytes:
                raise EventTooLarge(topic, event.id, record.size_bytes, self._max_event_bytes)
        return await self.publish_records(topic, records)

    async def publish_records(self, topic: str, records: Sequence[OutgoingRecord]) -> list[Position]:
        """See `RecordPublisher.publish_records`."""
        if self._producer is None:
            raise Unavailable("the publisher is not started: use it as `async with KafkaPublisher(...)`")
        pending: list[asyncio.Future[object]] = []
        try:
            for record in records:
                pending.append(await self._send(self._producer, topic, record))  # noqa: PERF401 - what was sent is awaited even if one fails
        finally:
            outcomes = await asyncio.gather(*pending, return_exceptions=True)
        return [_position(topic, outcome) for outcome in outcomes]

    async def _send(
        self, producer: AIOKafkaProducer, topic: str, record: OutgoingRecord
    ) -> asyncio.Future[object]:
        while True:
            try:
                sent: asyncio.Future[object] = await producer.send(
                    topic, value=record.value, key=record.key, headers=record.headers
                )
            except KafkaTimeoutError:
                # The client's buffer is full because the broker is away; the record was not taken: offer it
                # again.
                continue
            except (MessageSizeTooLargeError, RecordTooLargeError) as error:
                raise EventTooLarge(topic, "?", record.size_bytes, _MAX_REQUEST_BYTES) from error
            except KafkaError as error:
                raise Unavailable(f"could not publish on {topic}: {error!r}") from error
            else:
                return sent


def _position(topic: str, outcome: object) -> Position:
    if isinstance(outcome, KafkaError):
        raise Unavailable(f"could not publish on {topic}: {outcome!r}") from outcome
    if isinstance(outcome, BaseException):
        raise outcome
    return Position(topic, outcome.partition, outcome.offset)  # type: ignore[attr-defined] # the client is untyped

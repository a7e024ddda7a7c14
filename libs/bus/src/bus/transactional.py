"""What becomes of a batch whose effects are events: they, dead letters and offsets go in transactions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from bus.dead_letters import Refusal, without_value
from bus.pipeline import Pipeline, advance, parse, refused
from bus.positions import TopicPartition
from bus.received import Rejection
from bus.records import DEFAULT_MAX_EVENT_BYTES, outgoing
from bus.topics import MAX_DEAD_LETTER_BYTES, dead_letter_of
from bus.transactions import Made, Work

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from bus.records import LogRecord, OutgoingRecord
    from bus.trail import Marks
    from bus.transactions import Transactions

TOO_LARGE: Final = "TOO_LARGE"
# Room for what the record's batch adds.
_LARGEST_LETTER_BYTES: Final = MAX_DEAD_LETTER_BYTES - 1024


class TransactionalPipeline(Pipeline):
    """Takes batches through their steps; the last is one transaction a partition.

    It is taken beside the first steps of the next batch: answering has no effect, so that what was answered
    while a write failed is simply forgotten. Writes follow one another.

    Args:
        transactions: Writes them.
        options: See `Pipeline`.
    """

    def __init__(self, transactions: Transactions, **options: Any) -> None:
        super().__init__(**options)
        self._transactions = transactions
        self._writing: asyncio.Task[None] | None = None
        self._ahead: Marks = {}

    @property
    def is_idle(self) -> bool:
        """See `Pipeline.is_idle`."""
        return self._writing is None or self._writing.done()

    async def settle(self) -> None:
        """See `Pipeline.settle`: whoever waits for the same write is told the same of it."""
        writing = self._writing
        if writing is None:
            return
        # Not awaited itself, so that one who waits no longer does not end it.
        await asyncio.wait([writing])
        if self._writing is writing:
            self._writing, self._ahead = None, {}
        writing.result()

    async def abandon(self) -> None:
        """See `Pipeline.abandon`: whoever takes the partitions over is told what was written."""
        writing, self._writing, self._ahead = self._writing, None, {}
        if writing is not None:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def process(self, batch: Sequence[LogRecord], known: Marks) -> None:
        """See `Pipeline.process`: it returns while the batch is being written.

        Raises:
            TransactionFailed: it is not known what of the batch before was written.
        """
        received, malformed = parse(batch)
        refusals = self._own(malformed)
        marks = advance({**known, **self._ahead}, batch, received)
        works = {where: Work(mark.next_offset) for where, mark in marks.items()}
        answers = await self._delivery.deliver(received) if received else []
        rejections = [one for one in answers if isinstance(one, Rejection)]
        rejections += _place(works, [one for one in answers if isinstance(one, Made)])
        refusals += refused(batch, rejections)
        for refusal in refusals:
            self._place_letter(works, refusal)
        await self.settle()
        self._ahead = marks
        self._writing = asyncio.ensure_future(self._write(works, batch, refusals, marks))

    async def _write(
        self,
        works: dict[TopicPartition, Work],
        batch: Sequence[LogRecord],
        refusals: Sequence[Refusal],
        marks: Marks,
    ) -> None:
        await self._transactions.write(works)
        self._finished(batch, refusals)
        self._done(marks)

    def _place_letter(self, works: dict[TopicPartition, Work], refusal: Refusal) -> None:
        letter = self._letter(refusal)
        if letter.size_bytes > _LARGEST_LETTER_BYTES:
            letter = without_value(letter)
        record = refusal.record
        work = works[TopicPartition(record.topic, record.partition)]
        work.records.setdefault(dead_letter_of(record.topic), []).append(letter)


def _place(works: dict[TopicPartition, Work], made: Sequence[Made]) -> list[Rejection]:
    """Put events into the work of the partition they come of; what is too large to be one is rejected."""
    rejections: list[Rejection] = []
    # Looked up by plain tuples: this runs for every event.
    found: dict[tuple[str, int, str], list[OutgoingRecord]] = {}
    for one in made:
        cause = one.cause
        record = outgoing(one.event)
        size_bytes = record.size_bytes
        if size_bytes > DEFAULT_MAX_EVENT_BYTES:
            detail = f"its answer for {one.topic} has {size_bytes} bytes, over {DEFAULT_MAX_EVENT_BYTES}"
            rejections.append(Rejection(cause, TOO_LARGE, detail))
            continue
        where = (cause.topic, cause.partition, one.topic)
        records = found.get(where)
        if records is None:
            work = works[TopicPartition(cause.topic, cause.partition)]
            records = found[where] = work.records.setdefault(one.topic, [])
        records.append(record)
    return rejections

"""Where topics end now: for whoever has to know that nothing was said before it that was not read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bus.errors import Unavailable
from bus.kafka.reading import topic_reader
from bus.positions import TopicPartition

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    Ends = Mapping[TopicPartition, int]

_FIRST_REACH: Final = 16
_FURTHER: Final = 16


class TopicEnds:
    """Asks for the ends of some topics, again and again; after a failure it connects anew.

    Args:
        bootstrap: The brokers.
        topics: Their names; each must exist.
    """

    def __init__(self, bootstrap: str, topics: Sequence[str]) -> None:
        self._bootstrap = bootstrap
        self._topics = topics
        self._asked: AsyncGenerator[Ends] | None = None

    async def ask(self) -> Ends:
        """Return the offset after the last record of each partition, as of some moment during this call.

        It is 0 where there was nothing left to read when we connected and nothing was written since: nobody
        can be waited for to read what has expired.

        Raises:
            Unavailable: the broker is away, or a topic does not exist.
        """
        if self._asked is None:
            self._asked = self._asking()
        try:
            return await anext(self._asked)
        except Unavailable:
            self._asked = None
            raise

    async def aclose(self) -> None:
        """Disconnect."""
        asked, self._asked = self._asked, None
        if asked is not None:
            await asked.aclose()

    async def _asking(self) -> AsyncGenerator[Ends]:
        async with topic_reader(self._bootstrap) as reader:
            partitions = [where for name in self._topics for where in await reader.partitions(name)]
            begins = await reader.begin_offsets(partitions)
            while True:
                ends = await reader.end_offsets(partitions)
                yield {where: end if end > begins[where] else 0 for where, end in ends.items()}


async def after_last_records(bootstrap: str, topics: Sequence[str]) -> dict[TopicPartition, int]:
    """Return the offset after the last record of each partition; 0 where there is none.

    A topic's end counts what is no record, such as ends of transactions: whoever keeps what it was given
    never comes that far.

    Raises:
        Unavailable: the broker is away, or a topic does not exist.
    """
    async with topic_reader(bootstrap) as reader:
        partitions = [where for name in topics for where in await reader.partitions(name)]
        begins, ends = await reader.begin_offsets(partitions), await reader.end_offsets(partitions)
        found = {where: 0 for where in partitions if ends[where] <= begins[where]}
        reach = _FIRST_REACH
        while left := [where for where in partitions if where not in found]:
            starts = {where: max(begins[where], ends[where] - reach) for where in left}
            found |= {where: 0 for where in left if starts[where] == begins[where]}
            async for record in reader.read(starts, {where: ends[where] for where in left}):
                found[TopicPartition(record.topic, record.partition)] = record.offset + 1
            reach *= _FURTHER
        return found

"""Predictions that were served, by their ids: the newest in memory, older ones in the lake."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from bus.errors import Unavailable

from inference.explain.bounded import Bounded
from inference.explain.errors import NotFound, NotReadable, TooManyWait

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    import numpy as np
    from bus.follow import Tail
    from bus.positions import TopicPartition
    from bus.received import Received
    from bus.records import LogRecord
    from numpy.typing import NDArray

    Read = Callable[[bytes], "Prediction"]


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """A prediction as it was recorded.

    Attributes:
        values: The vector, float32[F].
        statuses: uint8[F]; zeros where none were recorded.
    """

    prediction_id: str
    request_key: str
    model: str
    version: str
    variant: str
    score: float
    request_time_us: int
    entities: Mapping[str, str]
    values: NDArray[np.float32]
    statuses: NDArray[np.uint8]


class RecentPredictions:
    """The newest predictions of the topic, as bytes: about half a kilobyte each, and four a feature.

    Args:
        most: How many are kept.
        read: Reads one; raises ValueError where it is damaged.
    """

    def __init__(self, most: int, read: Read) -> None:
        self.most = most
        self._read = read
        self._kept: Bounded[str, bytes] = Bounded(most)

    def __len__(self) -> int:
        return len(self._kept)

    async def on_event(self, received: Received) -> None:
        """See `bus.follow.OnEvent`."""
        self._kept.keep(received.event.id, received.event.data)

    def find(self, prediction_id: str) -> Prediction | None:
        """Return a prediction; None where it is not among the newest.

        Raises:
            ValueError: It is damaged.
        """
        data = self._kept.get(prediction_id)
        return None if data is None else self._read(data)


class RecentTail:
    """A tail that begins near the ends of its partitions: see `bus.follow.Tail`.

    Args:
        tail: The topic's.
        most: So many records are read of what is there, evenly over the partitions.
    """

    def __init__(self, tail: Tail, most: int) -> None:
        self._tail = tail
        self._most = most

    async def open(self, offsets: Mapping[TopicPartition, int]) -> None:
        """See `Tail.open`; where no offset is given, from near the end."""
        await self._tail.open(offsets)
        if not offsets:
            ends = await self._tail.ends()
            await self._tail.close()
            of_each = -(-self._most // max(1, len(ends)))
            await self._tail.open({where: max(0, end - of_each) for where, end in ends.items()})

    async def close(self) -> None:
        """See `Tail.close`."""
        await self._tail.close()

    async def poll(self, timeout_ms: int) -> Sequence[LogRecord]:
        """See `Tail.poll`."""
        return await self._tail.poll(timeout_ms)

    async def positions(self) -> Mapping[TopicPartition, int]:
        """See `Tail.positions`."""
        return await self._tail.positions()

    async def ends(self) -> Mapping[TopicPartition, int]:
        """See `Tail.ends`."""
        return await self._tail.ends()


class OlderPredictions(Protocol):
    """Predictions that are no longer at hand."""

    @property
    def place(self) -> str:
        """Where they are, as messages call it."""

    def find(self, prediction_id: str) -> Prediction | None:
        """Return a prediction; None where it is not there. It may take seconds: call it in a thread.

        Raises:
            NotReadable: They cannot be read now.
        """


class Predictions:
    """Predictions by id, wherever they are.

    Args:
        recent: The newest.
        caught_up: Returns when the newest are all at hand; raises `Unavailable` while that cannot be known.
        older: The others; looked up one at a time, in a thread, so that its memory is that of one lookup.
        most_waiting: Lookups of older ones that may wait or run.
    """

    def __init__(
        self,
        recent: RecentPredictions,
        caught_up: Callable[[], Awaitable[None]],
        older: OlderPredictions,
        most_waiting: int = 64,
    ) -> None:
        self._recent = recent
        self._caught_up = caught_up
        self._older = older
        self._most_waiting = most_waiting
        self._waiting = 0
        self._thread = ThreadPoolExecutor(1, "older-predictions")

    async def find(self, prediction_id: str) -> Prediction:
        """Return a prediction.

        Raises:
            NotFound: There is none; the message says where it was looked for.
            NotReadable: It is not where could be looked, and not everywhere could be.
            TooManyWait: It is not among the newest, and there is no room to look further.
        """
        unread: list[str] = []
        found = self._find_recent(prediction_id) or await self._find_newest(prediction_id, unread)
        found = found or await self._find_older(prediction_id, unread)
        if found is not None:
            return found
        searched = (
            f"prediction {prediction_id!r} is neither among the newest {len(self._recent):,} "
            f"(of at most {self._recent.most:,}) nor in {self._older.place}"
        )
        if unread:
            raise NotReadable(f"{searched}, as far as could be read: {'; '.join(unread)}")
        raise NotFound(f"{searched}: check the id; what was served lately may not have been archived yet")

    def close(self) -> None:
        """Begin no more lookups of older ones; the one under way is not waited for."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _find_newest(self, prediction_id: str, unread: list[str]) -> Prediction | None:
        try:
            await self._caught_up()
        except Unavailable as error:
            unread.append(str(error))
        return self._find_recent(prediction_id)

    async def _find_older(self, prediction_id: str, unread: list[str]) -> Prediction | None:
        if self._waiting >= self._most_waiting:
            raise TooManyWait(self._most_waiting)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._thread, self._older.find, prediction_id
            )
        except NotReadable as error:
            unread.append(str(error))
            return None
        finally:
            self._waiting -= 1

    def _find_recent(self, prediction_id: str) -> Prediction | None:
        try:
            return self._recent.find(prediction_id)
        except ValueError as error:
            raise NotReadable(f"prediction {prediction_id!r} is damaged: {error}") from error

"""The erased subjects' topic: followed by services, read whole by tools."""

from __future__ import annotations

import asyncio
import math
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from bus.ends import TopicEnds
from bus.errors import Unavailable
from bus.follow import Follower
from bus.inspect import see
from bus.kafka.reading import topic_reader
from bus.kafka.tail import KafkaTail
from bus.topics import SUBJECTS_ERASED
from tidemark.governance.v1.erasure_pb2 import SubjectErased

from privacy.erased import ErasedSubjects, Erasure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from bus.follow import Tail
    from bus.positions import TopicPartition
    from bus.received import Received

LIST_AGE_SECONDS = 1.0
"""How old the list may be that a batch is held to; whoever erases waits so long after the announcement."""
_NANOS_A_MICROSECOND = 1_000
_MICROSECONDS_A_SECOND = 1_000_000


class EndsNow(Protocol):
    """`bus.ends.TopicEnds`: it has a client of its own, for one that polls answers between two polls."""

    async def ask(self) -> Mapping[TopicPartition, int]:
        """Return the offset after the last record of each partition.

        Raises:
            Unavailable: the broker is away.
        """
        ...

    async def aclose(self) -> None:
        """Disconnect."""
        ...


class ErasedList:
    """Keeps a list of the erased as long as it is run.

    Args:
        subjects: The list.
        tail: Reads the topic.
        ends: Says where the topic ends now.
    """

    def __init__(self, subjects: ErasedSubjects, tail: Tail, ends: EndsNow) -> None:
        self.subjects = subjects
        self._ends = ends
        self._follower = Follower(tail, self._on_event)
        self._known_at_s = -math.inf

    @classmethod
    def on_kafka(cls, subjects: ErasedSubjects, bootstrap: str, client_id: str) -> ErasedList:
        """Return the list that follows Kafka."""
        topic = SUBJECTS_ERASED.name
        return cls(subjects, KafkaTail(bootstrap, topic, client_id=client_id), TopicEnds(bootstrap, [topic]))

    @property
    def not_ready_because(self) -> str | None:
        """Why somebody erased may be missing, in words."""
        return self._follower.not_ready_because

    async def run(self, stop: asyncio.Event) -> None:
        """Follow the topic until `stop`.

        Raises:
            UnknownSecret: a subject cannot be recognised with the secret that is given.
        """
        await self._follower.run(stop)

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """Follow the topic beside the body.

        Raises:
            UnknownSecret: a subject cannot be recognised with the secret that is given.
        """
        stop = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.run(stop))
                try:
                    yield
                finally:
                    stop.set()
        except BaseExceptionGroup as group:
            # Whoever follows does one thing and is told of one failure, not of a group.
            raise group.exceptions[0] from group
        finally:
            await self._ends.aclose()

    async def up_to_date(self) -> None:
        """Return once everybody is on the list who was in the topic `LIST_AGE_SECONDS` ago.

        To be asked after a batch was read. An erasure is announced, and so much later asks where the topics
        end: what was read by a writer that may not have known of it lies before those ends, and the erasure
        waits until the writer has dealt with that before it deletes anything. Asking the broker before every
        batch would be as exact, and costs milliseconds each.

        Raises:
            Unavailable: the topic was not read yet, or the broker cannot say where it ends.
        """
        now_s = asyncio.get_running_loop().time()
        if now_s - self._known_at_s < LIST_AGE_SECONDS:
            return
        if self.not_ready_because is not None:
            raise Unavailable(f"the list of erased subjects: {self.not_ready_because}")
        await self._follower.reached(await self._ends.ask())
        self._known_at_s = now_s

    async def _on_event(self, received: Received) -> None:
        if not received.event.tombstone:
            self.subjects.add(erasure_of(SubjectErased.FromString(received.event.data)))


async def read_erased(bootstrap: str, subjects: ErasedSubjects) -> ErasedSubjects:
    """Add everybody who is in the topic now; nobody where there is no such topic yet.

    Raises:
        Unavailable: the broker is away.
        UnknownSecret: a subject cannot be recognised with the secret that is given.
    """
    for erasure in await read_erasures(bootstrap):
        subjects.add(erasure)
    return subjects


async def read_erasures(bootstrap: str) -> list[Erasure]:
    """Read every erasure, the first one first.

    Raises:
        Unavailable: the broker is away.
    """
    async with topic_reader(bootstrap) as reader:
        if SUBJECTS_ERASED.name not in await reader.topics():
            return []
        partitions = await reader.partitions(SUBJECTS_ERASED.name)
        starts, ends = await reader.begin_offsets(partitions), await reader.end_offsets(partitions)
        seen = [see(record, SubjectErased) async for record in reader.read(starts, ends)]
    return [erasure_of(one.message) for one in seen if isinstance(one.message, SubjectErased)]


def erasure_of(message: SubjectErased) -> Erasure:
    """Read an erasure."""
    until_us = message.until.seconds * _MICROSECONDS_A_SECOND + message.until.nanos // _NANOS_A_MICROSECOND
    return Erasure(message.erasure_id, message.entity, message.subject, message.key_id, until_us)

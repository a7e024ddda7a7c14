"""The list of the erased is followed, and whoever asks it knows everybody who was told of before."""

import asyncio
from collections.abc import Mapping

import pytest
from bus.errors import Unavailable
from bus.events import Event
from bus.follow import MemoryTail
from bus.positions import TopicPartition
from bus.testing import MemoryBus
from bus.topics import SUBJECTS_ERASED
from feature_store import Pseudonyms
from google.protobuf.timestamp_pb2 import Timestamp
from privacy.erased import ErasedSubjects, UnknownSecret
from privacy.listing import LIST_AGE_SECONDS, ErasedList
from tidemark.governance.v1.erasure_pb2 import SubjectErased

NAMES = Pseudonyms(b"a secret of sixteen bytes or more")


def told(key: str, names: Pseudonyms = NAMES) -> Event:
    message = SubjectErased(
        erasure_id=f"e-{key}",
        entity="customer",
        subject=names.subject("customer", key),
        key_id=names.key_id,
        until=Timestamp(seconds=7, nanos=8000),
    )
    return Event.of(message, id=key, source="test", key=key, time_us=9, recorded_time_us=9)


class Ends:
    def __init__(self, tail: MemoryTail) -> None:
        self._tail = tail
        self.asked = 0

    async def ask(self) -> Mapping[TopicPartition, int]:
        self.asked += 1
        return await self._tail.ends()

    async def aclose(self) -> None:
        """There is nothing to close."""


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus(partitions=1)


def listed(bus: MemoryBus) -> ErasedList:
    tail = MemoryTail(bus.log, SUBJECTS_ERASED.name)
    return ErasedList(ErasedSubjects({}, NAMES), tail, Ends(tail))


async def test_whoever_was_told_of_before_the_question_is_known(bus: MemoryBus) -> None:
    await bus.publisher.publish_all(SUBJECTS_ERASED.name, [told("ann")])
    one = listed(bus)
    with pytest.raises(Unavailable, match="list of erased subjects"):
        await one.up_to_date()
    async with asyncio.timeout(5), one.followed():
        while one.not_ready_because:  # noqa: ASYNC110 - no event says so
            await asyncio.sleep(0)
        assert one.subjects.concerns({"customer": "ann"}, 7_000_008)
        assert not one.subjects.concerns({"customer": "ann"}, 7_000_009)
        await bus.publisher.publish_all(SUBJECTS_ERASED.name, [told("bob")])
        await one.up_to_date()
        assert one.subjects.ever({"customer": "bob"})


async def test_the_broker_is_asked_again_once_the_list_is_too_old(bus: MemoryBus) -> None:
    await bus.publisher.publish_all(SUBJECTS_ERASED.name, [told("ann")])
    tail = MemoryTail(bus.log, SUBJECTS_ERASED.name)
    ends = Ends(tail)
    one = ErasedList(ErasedSubjects({}, NAMES), tail, ends)
    async with asyncio.timeout(5), one.followed():
        while one.not_ready_because:  # noqa: ASYNC110 - no event says so
            await asyncio.sleep(0)
        await one.up_to_date()
        await one.up_to_date()
        assert ends.asked == 1
        one._known_at_s -= LIST_AGE_SECONDS
        await bus.publisher.publish_all(SUBJECTS_ERASED.name, [told("bob")])
        await one.up_to_date()
        assert (ends.asked, one.subjects.ever({"customer": "bob"})) == (2, True)


async def test_somebody_who_cannot_be_recognised_ends_the_body(bus: MemoryBus) -> None:
    await bus.publisher.publish_all(
        SUBJECTS_ERASED.name, [told("ann", Pseudonyms(b"another secret of the right length"))]
    )
    with pytest.raises(UnknownSecret, match="give every process the secret of the deployment"):
        async with asyncio.timeout(5), listed(bus).followed():
            await asyncio.Event().wait()

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bus.errors import Unavailable
from bus.positions import TopicPartition
from bus.topics import PROGRESSED
from shadow_comparator.adapters.memory import MemoryLedger
from shadow_comparator.testing import TOPICS, World, prediction
from tidemark.pipelines.v1.progress_pb2 import ProgressMade

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shadow_comparator.adapters.ledger import Page


class LedgerThatReturns(MemoryLedger):
    """Away until it was asked for the third time."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False
        self.refused = 0

    async def read(self, keys: Sequence[bytes]) -> list[Page]:
        if self.is_away:
            self.refused += 1
            self.is_away = self.refused < 3
            raise Unavailable("away")
        return await super().read(keys)


async def test_looking_goes_on_when_what_was_away_returns_and_ends_when_told() -> None:
    ledger = LedgerThatReturns()
    world = World(ledger=ledger)
    process = world.process()
    partitions = [TopicPartition(topic, 0) for topic in TOPICS.inputs]
    world.ends.update(dict.fromkeys(partitions, 0))
    await process.joining.resume_from(partitions)
    await process.take(prediction("k"), prediction("k", shadow=True), prediction("end", hours=24))
    ledger.is_away = True
    stop = asyncio.Event()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        tasks.create_task(process.watching.run(stop))
        while not world.compared:
            await world.log.appended()
        stop.set()
    assert ledger.refused == 3


async def test_a_partition_whose_end_is_not_known_yet_is_not_idle() -> None:
    world = World()
    process = world.process()
    await process.joining.resume_from([TopicPartition(topic, 0) for topic in TOPICS.inputs])
    await process.take(prediction("k"), prediction("k", shadow=True), prediction("end", hours=24))
    await process.watching.look()
    assert world.compared == []


async def test_what_was_told_of_windows_is_progress_and_said_once() -> None:
    world = World()
    process = world.process()
    partitions = [TopicPartition(topic, 0) for topic in TOPICS.inputs]
    world.ends.update(dict.fromkeys(partitions, 0))
    await process.joining.resume_from(partitions)
    await process.take(prediction("k"), prediction("k", shadow=True), prediction("end", hours=24))
    await process.watching.look()
    await process.watching.look()

    (event,) = world.log.events(PROGRESSED.name)
    told = ProgressMade.FromString(event.data)
    assert told.group == "g.compared"
    assert {(one.topic, one.next_offset) for one in told.partitions} == {
        (TOPICS.predictions, 1),
        (TOPICS.shadows, 1),
    }
    assert len(world.compared) == 1

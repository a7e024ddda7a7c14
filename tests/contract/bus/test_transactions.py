"""What transactions promise, whoever writes them: all or nothing, by one owner, and known afterwards."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from uuid import uuid4

import pytest
from bus.kafka.admin import TopicSpec, create_topics
from bus.kafka.reading import topic_reader
from bus.kafka.transactions import KafkaTransactions
from bus.memory import MemoryLog
from bus.memory_transactions import MemoryGroup
from bus.positions import TopicPartition
from bus.records import OutgoingRecord
from bus.transactions import TransactionFailed, Transactions, Work
from prometheus_client import CollectorRegistry


@dataclass
class Rig:
    """A group's members, and what readers of the log see."""

    source: str
    target: str
    member: Callable[[], Transactions]
    bootstrap: str | None = None
    log: MemoryLog | None = None

    def at(self, partition: int) -> TopicPartition:
        return TopicPartition(self.source, partition)

    def work(self, next_offset: int, *values: str) -> Work:
        records = [OutgoingRecord(b"k", value.encode(), []) for value in values]
        return Work(next_offset, {self.target: records} if records else {})

    async def seen(self) -> list[str]:
        """All that a reader sees of the target, in order."""
        if self.log is not None:
            return [
                (record.value or b"").decode() for record in self.log.read(TopicPartition(self.target, 0))
            ]
        assert self.bootstrap is not None
        async with topic_reader(self.bootstrap) as reader:
            partitions = await reader.partitions(self.target)
            starts, ends = await reader.begin_offsets(partitions), await reader.end_offsets(partitions)
            return [(record.value or b"").decode() async for record in reader.read(starts, ends)]


@pytest.fixture(params=["memory", "kafka"])
async def rig(request: pytest.FixtureRequest, kafka_bootstrap: str) -> AsyncIterator[Rig]:
    # The broker is asked for by name, for memory too: an async fixture cannot start another while it runs.
    if request.param == "memory":
        log = MemoryLog()
        yield Rig("asked", "made", MemoryGroup(log).member, log=log)
        return
    bootstrap = kafka_bootstrap
    name = uuid4().hex[:8]
    await create_topics(bootstrap, [TopicSpec(f"asked-{name}", 2, {}), TopicSpec(f"made-{name}", 1, {})])
    members: list[Transactions] = []

    def member() -> Transactions:
        members.append(KafkaTransactions(bootstrap, f"group-{name}", registry=CollectorRegistry()))
        return members[-1]

    yield Rig(f"asked-{name}", f"made-{name}", member, bootstrap=bootstrap)
    for one in members:
        await one.close()


async def test_what_is_written_is_seen_and_the_next_owner_reads_on_behind_it(rig: Rig) -> None:
    here, there = rig.at(0), rig.at(1)
    first = rig.member()
    assert await first.take_over([here, there]) == {}
    await first.write({here: rig.work(3, "a", "b")})
    await first.write({here: rig.work(4, "c"), there: rig.work(7)})
    assert await rig.member().take_over([here, there]) == {here: 4, there: 7}
    assert await rig.seen() == ["a", "b", "c"]


async def test_many_records_are_one_transaction(rig: Rig) -> None:
    member = rig.member()
    await member.take_over([rig.at(0)])
    values = [f"{number}-{'x' * 300}" for number in range(2_000)]
    await member.write({rig.at(0): rig.work(2_000, *values)})
    assert await rig.seen() == values


async def test_an_owner_that_was_replaced_writes_nothing_more(rig: Rig) -> None:
    here = rig.at(0)
    zombie, heir = rig.member(), rig.member()
    await zombie.take_over([here])
    await zombie.write({here: rig.work(1, "a")})
    assert await heir.take_over([here]) == {here: 1}
    with pytest.raises(TransactionFailed):
        await zombie.write({here: rig.work(2, "twice")})
    await heir.write({here: rig.work(2, "b")})
    assert await rig.seen() == ["a", "b"]


async def test_a_late_owner_replaces_the_rightful_one_who_gets_it_back_by_asking_again(rig: Rig) -> None:
    here = rig.at(0)
    rightful, late = rig.member(), rig.member()
    await rightful.take_over([here])
    await rightful.write({here: rig.work(1, "a")})
    # It was given the partition once, slept, and takes over what is no longer its: it reads on behind "a".
    assert await late.take_over([here]) == {here: 1}
    with pytest.raises(TransactionFailed):
        await rightful.write({here: rig.work(2, "b")})
    assert await rightful.take_over([here]) == {here: 1}
    await rightful.write({here: rig.work(2, "b")})
    assert await rig.seen() == ["a", "b"]


async def test_partitions_that_are_not_taken_over_again_are_given_up(rig: Rig) -> None:
    here, there = rig.at(0), rig.at(1)
    member = rig.member()
    await member.take_over([here, there])
    await member.take_over([there])
    with pytest.raises(TransactionFailed):
        await member.write({here: rig.work(1, "a")})
    await member.write({there: rig.work(1, "b")})
    assert await rig.seen() == ["b"]


async def test_after_closing_nothing_is_written(rig: Rig) -> None:
    member = rig.member()
    await member.take_over([rig.at(0)])
    await member.close()
    with pytest.raises(TransactionFailed):
        await member.write({rig.at(0): rig.work(1, "a")})
    assert await rig.seen() == []

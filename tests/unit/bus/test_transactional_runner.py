"""A runner with transactions: each record is answered or buried once, whatever fails on the way."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

import pytest
from bus.dead_letters import HANDLER_FAILED, MALFORMED_ENVELOPE, exhume
from bus.errors import Unavailable
from bus.events import Event
from bus.memory_transactions import MemoryGroup, MemoryTransactions
from bus.positions import TopicPartition
from bus.received import Received, Rejection
from bus.records import OutgoingRecord
from bus.runner import Batching
from bus.testing import MemoryBus
from bus.topics import PROGRESSED, dead_letter_of
from bus.transactional import TOO_LARGE
from bus.transactions import Made, TransactionFailed, Work

TIME_US = 1_357_017_300_000_000
ASKED, MADE = "asked", "made"


class Failing(MemoryTransactions):
    """Transactions that fail as told: before they are written, or with the answer lost on the way back."""

    def __init__(self, group: MemoryGroup) -> None:
        super().__init__(group)
        self.failures: list[str] = []
        self.writes = 0
        self.began = asyncio.Event()
        self.may_write = asyncio.Event()
        self.may_write.set()

    async def write(self, works: Mapping[TopicPartition, Work]) -> None:
        self.writes += 1
        self.began.set()
        await self.may_write.wait()
        failure = self.failures.pop(0) if self.failures else ""
        if failure == "before":
            raise TransactionFailed("the broker is away")
        if failure == "half":
            where = next(iter(works))
            await super().write({where: works[where]})
            raise TransactionFailed("the broker went away between two partitions")
        await super().write(works)
        if failure == "after":
            raise TransactionFailed("nobody heard that it was written")


class Rig:
    def __init__(self) -> None:
        self.bus = MemoryBus(partitions=2)
        self.group = MemoryGroup(self.bus.log)
        self.transactions = Failing(self.group)
        self.feed = self.bus.feed(ASKED)
        self.away = 0
        self.poison: set[str] = set()
        self.asked = 0
        self.was_asked = asyncio.Condition()

    async def ask(self, count: int) -> None:
        await self.bus.publisher.publish_all(ASKED, [event(number) for number in range(count)])

    async def answer(self, batch: Sequence[Received]) -> list[Made | Rejection]:
        if self.away:
            self.away -= 1
            raise Unavailable("the rows are away")
        if self.poison & {one.event.id for one in batch}:
            raise ValueError("cannot be borne")
        async with self.was_asked:
            self.asked += len(batch)
            self.was_asked.notify_all()
        return [self._one(received) for received in batch]

    def _one(self, received: Received) -> Made | Rejection:
        if int(received.event.id) % 5 == 4:
            return Rejection(received, "FIFTH", "every fifth is refused")
        return Made(received, MADE, received.event)

    async def run(self, until: int) -> None:
        """Run until so many records were taken over."""
        options = {"transactions": self.transactions, "batching": Batching(max_records=7)}
        async with self.bus.consuming(self.feed, self.answer, **options):  # type: ignore[arg-type]
            while sum(self.group.committed.values()) < until:
                await self.bus.log.appended()

    def made(self) -> Counter[str]:
        return Counter(one.id for one in self.bus.log.events(MADE))

    def buried(self) -> Counter[tuple[str, str]]:
        log, twin = self.bus.log, dead_letter_of(ASKED)
        letters = [exhume(record) for where in log.partitions_in(twin) for record in log.read(where)]
        return Counter((letter.reason, (letter.value or b"").decode()) for letter in letters)


def event(number: int) -> Event:
    key = b"k%d" % (number % 5)
    return Event(str(number), "T", "s", "", TIME_US, TIME_US, key, b"%d" % number)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def _each_once(count: int) -> tuple[Counter[str], Counter[tuple[str, str]]]:
    made = Counter(str(number) for number in range(count) if number % 5 != 4)
    return made, Counter(("FIFTH", str(number)) for number in range(count) if number % 5 == 4)


@pytest.mark.parametrize("failures", [[], ["before"], ["after"], ["half"], ["before", "after", "half"] * 3])
async def test_each_record_is_answered_once_whatever_becomes_of_transactions(
    rig: Rig, failures: list[str]
) -> None:
    rig.transactions.failures = failures
    await rig.ask(60)
    await rig.run(until=60)
    assert (rig.made(), rig.buried()) == _each_once(60)
    assert rig.transactions.writes > len(failures)


@pytest.mark.parametrize("failures", [[], ["before"], ["after"], ["half"]])
async def test_a_batch_is_answered_while_the_one_before_is_written_and_counts_for_nothing_if_that_fails(
    rig: Rig, failures: list[str]
) -> None:
    rig.transactions.failures = failures
    rig.transactions.may_write.clear()
    await rig.ask(14)
    running = asyncio.ensure_future(rig.run(until=14))
    async with rig.was_asked:
        await rig.was_asked.wait_for(lambda: rig.asked == 14)
    await rig.transactions.began.wait()
    assert rig.transactions.writes == 1  # the second waits for the first
    assert not rig.group.committed
    rig.transactions.may_write.set()
    await running
    assert (rig.made(), rig.buried()) == _each_once(14)


async def test_nobody_is_told_of_progress_before_it_is_written(rig: Rig) -> None:
    rig.transactions.may_write.clear()
    await rig.ask(14)
    options = {"transactions": rig.transactions, "batching": Batching(max_records=7)}
    async with rig.bus.consuming(rig.feed, rig.answer, **options) as runner:  # type: ignore[arg-type]
        async with rig.was_asked:
            await rig.was_asked.wait_for(lambda: rig.asked == 14)
        assert sum(mark.next_offset for mark in runner.watermarks.values()) == 0
        assert not rig.bus.log.events(PROGRESSED.name)
        rig.transactions.may_write.set()
        while sum(rig.group.committed.values()) < 14:
            await rig.bus.log.appended()


async def test_what_is_away_is_waited_for_and_nothing_is_written_meanwhile(rig: Rig) -> None:
    rig.away = 5
    await rig.ask(10)
    await rig.run(until=10)
    assert (rig.made(), rig.buried()) == _each_once(10)


async def test_a_poisonous_record_is_found_and_buried_with_the_answers_of_the_others(rig: Rig) -> None:
    rig.poison = {"13"}
    await rig.ask(20)
    await rig.run(until=20)
    made, buried = _each_once(20)
    assert rig.made() == made - Counter(["13"])
    assert rig.buried() == buried + Counter([(HANDLER_FAILED, "13")])


async def test_a_record_without_an_envelope_is_buried_in_the_same_transaction(rig: Rig) -> None:
    rig.bus.log.append(ASKED, OutgoingRecord(b"k1", b"bare", []))
    await rig.ask(4)
    await rig.run(until=5)
    assert rig.buried() == Counter([(MALFORMED_ENVELOPE, "bare")])
    assert sum(rig.made().values()) == 4


async def test_an_answer_that_is_too_large_becomes_a_dead_letter(rig: Rig) -> None:
    await rig.ask(1)

    async def too_much(batch: Sequence[Received]) -> list[Made | Rejection]:
        return [Made(one, MADE, Event("x", "T", "s", "", 0, 0, b"k", bytes(1_000_001))) for one in batch]

    rig.answer = too_much  # type: ignore[method-assign]
    await rig.run(until=1)
    assert rig.buried() == Counter([(TOO_LARGE, "0")])
    assert rig.made() == Counter()


async def test_a_member_that_was_replaced_starts_over_and_doubles_nothing(rig: Rig) -> None:
    await rig.ask(30)
    replaced = asyncio.Event()

    async def lose(batch: Sequence[Received]) -> list[Made | Rejection]:
        if not replaced.is_set() and sum(rig.group.committed.values()) >= 7:
            replaced.set()
            other = rig.group.member()
            committed = await other.take_over(list(rig.group.committed))
            # The other does one record of a partition and dies.
            where = next(iter(committed))
            records = rig.bus.log.read(where, committed[where])[:1]
            if records:
                answers = [OutgoingRecord(r.key, r.value, r.headers) for r in records]
                await other.write({where: Work(committed[where] + 1, {MADE: answers})})
        return [Made(one, MADE, one.event) for one in batch]

    rig.answer = lose  # type: ignore[method-assign]
    await rig.run(until=30)
    assert replaced.is_set()
    assert rig.made() == Counter(str(number) for number in range(30))


async def test_progress_is_told_only_of_what_is_written(rig: Rig) -> None:
    rig.transactions.failures = ["before"]
    await rig.ask(10)
    await rig.run(until=10)
    assert rig.bus.log.events(PROGRESSED.name)
    assert rig.feed.commits == []

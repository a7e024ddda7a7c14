"""Publishing that never waits, over a publisher that can be away."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from bus.buffered import BufferedPublisher
from bus.errors import EventTooLarge, Unavailable
from bus.events import Event
from bus.memory import MemoryPublisher
from bus.positions import Position
from bus.retrying import Retry
from prometheus_client import CollectorRegistry

TOPIC = "predictions"
IMPATIENT = Retry(first_wait_ms=1, longest_wait_ms=1)


class Broker:
    """A publisher on memory that may be away, silent, or refuse what is too large."""

    def __init__(self) -> None:
        self.memory = MemoryPublisher(max_event_bytes=1_000)
        self.away = False
        self.silent = False
        self.asked = asyncio.Semaphore(0)
        self.closed = False

    async def publish_all(self, topic: str, events: Sequence[Event]) -> list[Position]:
        self.asked.release()
        if self.silent:
            await asyncio.Event().wait()
        if self.away:
            raise Unavailable("no broker")
        return await self.memory.publish_all(topic, events)

    async def close(self) -> None:
        self.closed = True

    def ids(self, topic: str = TOPIC) -> list[str]:
        return [event.id for event in self.memory.log.events(topic)]


class Rig:
    def __init__(self) -> None:
        self.broker = Broker()
        self.registry = CollectorRegistry()

    @asynccontextmanager
    async def buffering(
        self, max_events: int = 100, close_seconds: float = 5.0
    ) -> AsyncIterator[BufferedPublisher]:
        buffer = BufferedPublisher(
            self.broker,
            name="b",
            max_events=max_events,
            close_seconds=close_seconds,
            retry=IMPATIENT,
            registry=self.registry,
        )
        async with asyncio.timeout(10), buffer:
            yield buffer

    def count(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"tidemark_publisher_buffer_{name}", {"client": "b", **labels})


@pytest.fixture
def rig() -> Rig:
    return Rig()


def event(number: int, data: bytes = b"d") -> Event:
    return Event(str(number), "T", "s", "k", 1, 1, b"k", data)


async def test_what_is_offered_arrives_in_order(rig: Rig) -> None:
    async with rig.buffering() as buffer:
        assert all(buffer.offer(TOPIC, event(number)) for number in range(50))
        await buffer.flush()
        assert buffer.depth == 0
    assert rig.broker.ids() == [str(number) for number in range(50)]
    assert rig.broker.closed


async def test_topics_may_be_mixed(rig: Rig) -> None:
    async with rig.buffering() as buffer:
        for number in range(6):
            buffer.offer(f"topic-{number % 2}", event(number))
    assert rig.broker.ids("topic-0") == ["0", "2", "4"]
    assert rig.broker.ids("topic-1") == ["1", "3", "5"]


async def test_while_the_broker_is_away_it_fills_to_its_bound_and_counts_what_it_drops(rig: Rig) -> None:
    rig.broker.away = True
    async with rig.buffering(max_events=3) as buffer:
        assert [buffer.offer(TOPIC, event(number)) for number in range(5)] == [True, True, True, False, False]
        await rig.broker.asked.acquire()
        await rig.broker.asked.acquire()
        assert buffer.depth == rig.count("events") == 3
        assert "no broker" in str(buffer.away_because)
        rig.broker.away = False
        await buffer.flush()
        assert buffer.away_because is None
        assert buffer.offer(TOPIC, event(5))
    assert rig.broker.ids() == ["0", "1", "2", "5"]
    assert (rig.count("offered_total"), rig.count("dropped_total", reason="FULL")) == (4, 2)


async def test_closing_gives_up_what_the_broker_does_not_take_in_time_and_counts_it(rig: Rig) -> None:
    rig.broker.silent = True
    async with rig.buffering(close_seconds=0.01) as buffer:
        buffer.offer(TOPIC, event(0))
        await rig.broker.asked.acquire()
    assert rig.count("dropped_total", reason="CLOSED") == 1
    assert not buffer.offer(TOPIC, event(1))
    assert rig.broker.closed


async def test_an_event_that_is_too_large_takes_no_other_with_it(rig: Rig) -> None:
    async with rig.buffering() as buffer:
        for number in range(7):
            buffer.offer(TOPIC, event(number, b"d" * 2_000 if number == 4 else b"d"))
        await buffer.flush()
    assert rig.broker.ids() == ["0", "1", "2", "3", "5", "6"]
    assert rig.count("dropped_total", reason="TOO_LARGE") == 1


async def test_a_fault_in_publishing_drops_its_events_and_not_those_after(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    async with rig.buffering() as buffer:
        buffer.offer(TOPIC, replace(event(0), id="\ud800"))  # no UTF-8 can say it
        await buffer.flush()
        buffer.offer(TOPIC, event(1))
    assert rig.broker.ids() == ["1"]
    assert rig.count("dropped_total", reason="FAILED") == 1
    assert "dropped" in caplog.text


def test_too_large_names_the_topic_and_the_remedy() -> None:
    assert "max.message.bytes" in str(EventTooLarge("predictions", "1 MB"))

import asyncio
from collections.abc import Sequence

import pytest
from bus.errors import Unavailable
from bus.events import Event
from bus.positions import Position
from bus.producer import MemoryPublisher
from control_plane.adapters.memory import MemoryOutbox
from control_plane.ports import Lease
from control_plane.relay import OutboxRelay

SECOND_US = 1_000_000


class Clock:
    """A clock that tests move."""

    now_us = 0

    def __call__(self) -> int:
        return self.now_us


def event(name: str, key: str = "late") -> Event:
    return Event(name, "t", "s", key, 1, 2, key.encode(), b"data")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def outbox() -> MemoryOutbox:
    return MemoryOutbox()


@pytest.fixture
def publisher() -> MemoryPublisher:
    return MemoryPublisher()


@pytest.fixture
def relay(outbox: MemoryOutbox, publisher: MemoryPublisher, clock: Clock) -> OutboxRelay:
    return OutboxRelay(outbox=outbox, publisher=publisher, holder="me", clock=clock)


def published(publisher: MemoryPublisher, topic: str = "routes") -> list[str]:
    return [each.id for each in publisher.log.events(topic)]


async def test_events_are_published_in_order_and_once(
    relay: OutboxRelay, outbox: MemoryOutbox, publisher: MemoryPublisher
) -> None:
    for number in range(250):
        outbox.add("routes", event(str(number)))
    counts = [await relay.publish_some() for _ in range(4)]
    assert counts == [100, 100, 50, 0]
    assert published(publisher) == [str(number) for number in range(250)]


async def test_topics_keep_their_own_order(
    relay: OutboxRelay, outbox: MemoryOutbox, publisher: MemoryPublisher
) -> None:
    for number in range(6):
        outbox.add("even" if number % 2 == 0 else "odd", event(str(number)))
    await relay.publish_some()
    assert (published(publisher, "even"), published(publisher, "odd")) == (["0", "2", "4"], ["1", "3", "5"])


async def test_a_relay_leaves_the_events_to_the_one_whose_turn_it_is(
    relay: OutboxRelay, outbox: MemoryOutbox, publisher: MemoryPublisher, clock: Clock
) -> None:
    outbox.add("routes", event("1"))
    await outbox.claim(Lease("other", 0, 5 * SECOND_US), 10)
    assert await relay.publish_some() == 0
    assert published(publisher) == []
    clock.now_us = 5 * SECOND_US
    assert await relay.publish_some() == 1
    assert published(publisher) == ["1"]


class SlowPublisher(MemoryPublisher):
    """Something happens while it publishes, the first time."""

    def __init__(self, meanwhile: "asyncio.Future[None]", outbox: MemoryOutbox, clock: Clock) -> None:
        super().__init__()
        self._meanwhile = meanwhile
        self._outbox = outbox
        self._clock = clock

    async def publish_all(self, topic: str, events: Sequence[Event]) -> list[Position]:
        if not self._meanwhile.done():
            self._meanwhile.set_result(None)
            self._clock.now_us += 60 * SECOND_US
            self._outbox.add("routes", event("2"))
            other = OutboxRelay(
                outbox=self._outbox,
                publisher=MemoryPublisher(self.log),
                holder="other",
                clock=self._clock,
            )
            assert await other.publish_some() == 2
        return await super().publish_all(topic, events)


async def test_a_relay_that_overstayed_its_turn_repeats_the_latest(
    outbox: MemoryOutbox, clock: Clock
) -> None:
    publisher = SlowPublisher(asyncio.get_running_loop().create_future(), outbox, clock)
    relay = OutboxRelay(outbox=outbox, publisher=publisher, holder="me", clock=clock)
    outbox.add("routes", event("1"))
    await relay.publish_some()
    assert published(publisher) == ["1", "2", "1"], "the slow relay's came last"
    await relay.publish_some()
    assert published(publisher)[-1] == "2", "so the latest is published again"
    assert await relay.publish_some() == 0


class FlakyPublisher(MemoryPublisher):
    """Away, a number of times."""

    failures = 1

    async def publish_all(self, topic: str, events: Sequence[Event]) -> list[Position]:
        if self.failures:
            self.failures -= 1
            raise Unavailable("the broker is away")
        return await super().publish_all(topic, events)


async def test_what_could_not_be_published_is_published_later(outbox: MemoryOutbox, clock: Clock) -> None:
    publisher = FlakyPublisher()
    relay = OutboxRelay(outbox=outbox, publisher=publisher, holder="me", clock=clock)
    outbox.add("routes", event("1"))
    with pytest.raises(Unavailable):
        await relay.publish_some()
    await relay.publish_some()
    assert published(publisher) == ["1"]


async def test_a_running_relay_survives_an_outage_and_stops_when_told(
    outbox: MemoryOutbox, clock: Clock
) -> None:
    publisher = FlakyPublisher()
    relay = OutboxRelay(outbox=outbox, publisher=publisher, holder="me", clock=clock)
    outbox.add("routes", event("1"))
    stop = asyncio.Event()
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(relay.run(stop))
        while not published(publisher):
            relay.wake()
            await asyncio.sleep(0)
        stop.set()
        relay.wake()

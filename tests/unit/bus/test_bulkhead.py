"""A topic that is flooded, or lies about times, and the others of the same consumer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bus.batching import Batching
from bus.events import Event
from bus.pipeline import advance, parse
from bus.positions import TopicPartition
from bus.received import Rejection
from bus.testing import MemoryBus, NotingHandler
from bus.topics import dead_letter_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bus.received import Received

TIME_US = 1_357_017_300_000_000
FLOODED, CALM = "flooded", "calm"
BATCHING = Batching(max_records=40)


def event(name: str, time_us: int = TIME_US) -> Event:
    return Event(name, "T", "s", "k", time_us, TIME_US, b"k", b"data")


async def test_what_comes_of_a_calm_topic_is_in_the_next_batch_however_much_waits_of_another() -> None:
    bus = MemoryBus()
    await bus.publisher.publish_all(FLOODED, [event(f"f{i}") for i in range(2_000)])

    async def answer(_: Sequence[Received]) -> None:
        if len(effects.calls) == 3:
            await bus.publisher.publish(CALM, event("calm"))

    effects = NotingHandler(answer)
    topics = (FLOODED, CALM)
    async with bus.consuming(bus.feed(*topics), effects, topics=topics, batching=BATCHING):
        await effects.until(lambda: "calm" in effects.ids)
        assert ["calm" in call for call in effects.calls][:4] == [False, False, False, True]
        await effects.until(lambda: len(effects.ids) == 2_001)


async def test_a_topic_that_is_refused_is_read_in_small_batches_and_ends_in_its_dead_letters() -> None:
    bus = MemoryBus()
    await bus.publisher.publish_all(FLOODED, [event(f"f{i}") for i in range(200)])

    async def refuse(batch: Sequence[Received]) -> list[Rejection]:
        return [Rejection(one, "GARBAGE", "it is garbage") for one in batch]

    effects = NotingHandler(refuse)
    topics = (FLOODED, CALM)
    async with bus.consuming(bus.feed(*topics), effects, topics=topics, batching=BATCHING):
        await effects.until(lambda: len(effects.ids) == 200)
    assert [len(call) for call in effects.calls] == [40, *([2] * 80)]
    assert len(bus.log.read(TopicPartition(dead_letter_of(FLOODED), 0))) == 200


async def test_an_envelope_from_the_far_future_moves_no_watermark_beyond_when_it_was_recorded() -> None:
    bus = MemoryBus()
    await bus.publisher.publish_all(CALM, [event("now"), event("in 2100", 4_102_444_800_000_000)])
    batch = bus.log.read(TopicPartition(CALM, 0))
    received, _ = parse(batch)
    assert len(received) == 2
    (mark,) = advance({}, batch, received).values()
    assert mark.event_us == mark.recorded_us == TIME_US

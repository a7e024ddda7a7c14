"""A replica says where it is: at every change, at every beat, and when it leaves."""

import asyncio
from collections.abc import Sequence

from bus.memory import MemoryLog, MemoryPublisher
from bus.topics import ROUTES_FOLLOWED
from inference.adapters.kafka import RouteFollowings
from inference.routes.following import Following, Herald, Uptake
from inference_kit.heralds import Heard, herald
from tidemark.registry.v1.route_pb2 import ROUTE_UPTAKE_REFUSED, RouteFollowed


class Told(Heard):
    """Also says that something was heard."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived = asyncio.Condition()

    async def __call__(self, states: Sequence[Following]) -> None:
        await super().__call__(states)
        async with self.arrived:
            self.arrived.notify_all()

    async def until(self, count: int) -> list[Following]:
        async with asyncio.timeout(10), self.arrived:
            await self.arrived.wait_for(lambda: len(self.states) >= count)
        return self.states


async def test_a_change_is_said_at_once() -> None:
    told = Told()
    ours = herald(told, now_us=7)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(ours.run())
        ours.followed("m", 3)
        assert await told.until(1) == [Following("m", 3, 3, Uptake.FOLLOWED, 7)]

        ours.refused("m", 4, 3, "DIGEST_MISMATCH", "it was changed")
        assert (await told.until(2))[-1] == Following(
            "m", 4, 3, Uptake.REFUSED, 7, "DIGEST_MISMATCH", "it was changed"
        )
        running.cancel()


async def test_it_is_heard_when_the_first_word_is() -> None:
    told, silence = Told(), asyncio.Event()

    async def slow(states: Sequence[Following]) -> None:
        await silence.wait()
        await told(states)

    ours = herald(slow)  # type: ignore[arg-type]
    await ours.heard()
    ours.followed("m", 3)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(ours.run())
        heard = tasks.create_task(ours.heard())
        await asyncio.sleep(0)
        assert not heard.done()
        silence.set()
        await heard
        running.cancel()
    assert told.states


async def test_it_is_said_again_at_every_beat() -> None:
    told = Told()
    ours = herald(told, beat_seconds=0.01)
    ours.followed("m", 3)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(ours.run())
        states = await told.until(4)
        running.cancel()

    assert set(states) == {Following("m", 3, 3, Uptake.FOLLOWED, 1)}


async def test_it_says_goodbye_for_every_model_it_had_a_route_of() -> None:
    heard = Heard()
    ours = herald(heard)
    ours.followed("m", 3)
    ours.followed("n", 1)
    ours.withdrawn("n")

    await ours.leave(within_seconds=1)

    assert heard.states == [Following("m", 3, 3, Uptake.LEFT, 1)]


async def test_a_route_that_is_loaded_again_was_taken_up_when_it_first_was() -> None:
    told, clock = Told(), iter([7, 8, 9])
    ours = Herald(told, lambda: next(clock), beat_seconds=3600)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(ours.run())
        ours.followed("m", 3)
        ours.followed("m", 3)
        ours.followed("m", 4)
        assert await told.until(1) == [Following("m", 4, 4, Uptake.FOLLOWED, 8)]
        running.cancel()


async def test_a_goodbye_that_nobody_hears_keeps_nobody() -> None:
    async def away(_states: Sequence[Following]) -> None:
        await asyncio.Event().wait()

    ours = herald(away)  # type: ignore[arg-type]
    ours.followed("m", 3)

    async with asyncio.timeout(5):
        await ours.leave(within_seconds=0.01)


async def test_what_is_published_names_replica_role_and_reason() -> None:
    log = MemoryLog()
    say = RouteFollowings(
        MemoryPublisher(log), replica="host:1", role="serve", beat_seconds=5, now_us=lambda: 9_000_000
    )

    await say([Following("m", 4, 3, Uptake.REFUSED, 7_000_000, "DIGEST_MISMATCH", "it was changed")])
    await say([Following("m", 4, 3, Uptake.REFUSED, 7_000_000, "DIGEST_MISMATCH", "it was changed")])

    first, second = log.events(ROUTES_FOLLOWED.name)
    made = RouteFollowed.FromString(first.data)
    assert (made.replica, made.role, made.model) == ("host:1", "serve", "m")
    assert (made.revision, made.serving_revision, made.uptake) == (4, 3, ROUTE_UPTAKE_REFUSED)
    assert (made.reason, made.detail, made.beat_seconds) == ("DIGEST_MISMATCH", "it was changed", 5)
    assert made.followed_at.seconds == 7
    assert (first.key, first.time_us) == (b"host:1/m", 9_000_000)
    assert first.id != second.id

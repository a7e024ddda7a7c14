"""Time that passes: schedules, and a state that does not grow with it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from monitoring.policies import Schedule
from retrain_trigger.testing.facts import TOPICS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from monitoring.policies import PersistentDrift
    from retrain_trigger.testing.facts import Said
    from retrain_trigger.testing.world import World

    MakeWorld = Callable[..., Awaitable[World]]
    MakeDrift = Callable[..., PersistentDrift]

DAY = timedelta(days=1)


def asked(world: World) -> list[Any]:
    return world.said(TOPICS.requested)


async def test_a_schedule_asks_when_event_time_passes_its_time_and_once(
    world_of: MakeWorld, said: Said
) -> None:
    world = await world_of(Schedule("monthly", model="late", cron="0 6 1 * *", cooldown=DAY))
    await world.tell(said.measured("input-quality", 31))
    assert asked(world) == []
    await world.tell(said.measured("input-quality", 32), said.measured("input-drift", 32))
    assert [request.request_id for request in asked(world)] == ["late:monthly:1970-02-02T00:00:00Z"]
    # Two of its times at once are one.
    await world.tell(said.decided("late:monthly:1970-02-02T00:00:00Z", "a", approved=False))
    await world.tell(said.measured("input-quality", 100))
    assert len(asked(world)) == 2


async def test_a_schedule_is_due_at_the_very_moment_and_not_after_it(world_of: MakeWorld, said: Said) -> None:
    world = await world_of(Schedule("daily", model="late", cron="0 0 * * *", cooldown=0 * DAY))
    await world.tell(said.measured("input-quality", 8))
    request_id = "late:daily:1970-01-09T00:00:00Z"
    assert [request.request_id for request in asked(world)] == [request_id]
    await world.tell(said.decided(request_id, "a1", approved=False), said.measured("input-drift", 8))
    assert len(asked(world)) == 1


async def test_a_schedule_does_not_ask_for_times_before_anything_was_known(
    world_of: MakeWorld, said: Said
) -> None:
    monthly = Schedule("monthly", model="late", cron="0 6 1 * *", least_label_coverage=0)
    world = await world_of(monthly)
    world.states.rows.clear()
    await world.tell(said.registered("first", 0), said.routed("first", 1), said.measured("input-quality", 32))
    assert asked(world) == []


async def test_years_leave_a_state_of_bounded_size(world_of: MakeWorld, drift: MakeDrift, said: Said) -> None:
    world = await world_of(drift())
    sizes = []
    for year in range(3):
        for number in range(365 * year + 8, 365 * (year + 1) + 8):
            await world.tell(said.measured("input-quality", number, breached=number % 2 == 0))
            if number % 7 == 0:
                await world.tell(said.measured("input-drift", number), said.labels(number))
        sizes.append(len(world.states.rows["late"]))
    # A performance window is kept as a line of numbers for as long as a thousand of them.
    assert sizes[2] - sizes[1] < 52 * 150
    assert sizes[2] < 40_000

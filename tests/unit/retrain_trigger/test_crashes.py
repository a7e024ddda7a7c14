"""Killed at any step and started anew, the trigger says what it would have said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from bus.memory import MemoryPublisher
from retrain_trigger.adapters.memory import MemoryStates
from retrain_trigger.domain.rules import Rules
from retrain_trigger.testing.facts import TOPICS
from retrain_trigger.testing.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from bus.events import Event
    from monitoring.policies import PersistentDrift
    from retrain_trigger.ports import Kept
    from retrain_trigger.testing.facts import Said

FIRST = "late:persistent-drift:1970-01-22T00:00:00Z"
OUTPUTS = (TOPICS.requested, TOPICS.approved, TOPICS.refused, TOPICS.alerts)


class Killed(BaseException):
    """The process is gone."""


class Countdown:
    """Kills before or after the nth step that is durable."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def step(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed


class Publisher(MemoryPublisher):
    def __init__(self, world: World, countdown: Countdown) -> None:
        super().__init__(world.log)
        self._countdown = countdown

    async def publish_records(self, topic: str, records: Any) -> Any:
        self._countdown.step()
        positions = await super().publish_records(topic, records)
        self._countdown.step()
        return positions


class States(MemoryStates):
    def __init__(self, countdown: Countdown) -> None:
        super().__init__()
        self._countdown = countdown

    async def save(self, model: str, kept: Kept) -> None:
        self._countdown.step()
        await super().save(model, kept)
        self._countdown.step()


def life(said: Said) -> list[Event]:
    """Asked, vetoed at the approval, asked again, expired."""
    breaches = [said.measured("input-drift", number, breached=True) for number in (14, 21)]
    later = [said.measured("input-drift", number, breached=True) for number in (56, 63)]
    return [
        said.registered("first", 0),
        said.routed("first", 1),
        said.labels(7),
        *breaches,
        said.measured("input-quality", 22, breached=True),
        said.decided(FIRST, "a1"),
        said.measured("input-quality", 40),
        *later,
        said.decided("late:nonsense", "a2"),
        said.measured("input-quality", 71),
    ]


def outcome(world: World) -> dict[str, dict[str, Event]]:
    """What is said in the end, by id; the same id always says the same."""
    found: dict[str, dict[str, Event]] = {}
    for topic in OUTPUTS:
        told = found.setdefault(topic, {})
        for event in world.log.events(topic):
            assert told.setdefault(event.id, event) == event
    return found


async def lived(rules: dict[str, Rules], events: list[Event], kills: int) -> World:
    """Live through it, killed once at a step; the record in hand is read again."""
    countdown = Countdown(kills)
    world = World(rules, states=States(countdown))
    world.publisher = Publisher(world, countdown)
    intake = world.intake()
    for event in events:
        record = world.write(event)
        try:
            await intake.take(record)
        except Killed:
            intake = world.intake()
            await intake.take(record)
    return world


@pytest.fixture
def rules(drift: Callable[..., PersistentDrift]) -> dict[str, Rules]:
    return {"late": Rules((drift(),), tells_labels=True)}


async def test_killed_at_any_step_it_says_the_same(rules: dict[str, Rules], said: Said) -> None:
    events = life(said)
    undisturbed = await lived(rules, events, 0)
    expected = outcome(undisturbed)
    assert [len(expected[topic]) for topic in OUTPUTS] == [2, 0, 2, 3]
    steps, finished = 0, False
    while not finished:
        steps += 1
        world = await lived(rules, events, steps)
        assert outcome(world) == expected, f"killed at step {steps}"
        finished = isinstance(world.states, States) and world.states._countdown.left > 0
    assert steps > 50


@pytest.mark.parametrize("kills", range(1, 8))
async def test_a_fact_of_another_topic_read_first_after_a_crash_changes_no_decision(
    rules: dict[str, Rules], said: Said, kills: int
) -> None:
    countdown = Countdown(0)
    world = World(rules, states=States(countdown))
    world.publisher = Publisher(world, countdown)
    await world.tell(said.registered("first", 0), said.routed("first", 1), said.labels(7))
    await world.tell(said.measured("input-drift", 14, breached=True))
    breach = world.write(said.measured("input-drift", 21, breached=True))
    countdown.left = kills
    with pytest.raises(Killed):
        await world.intake().take(breach)
    # A version that answers a request begins a rest: had the decision not been kept, it would be another.
    await world.tell(said.registered("answer", 14, request_id="late:another"))
    await world.intake().take(breach)
    was_told = bool(world.said(TOPICS.requested))
    await world.tell(said.decided(FIRST, "a1"))
    assert len(world.said(TOPICS.approved)) == was_told
    assert was_told or kills == 1


async def test_read_from_the_beginning_again_nothing_is_said_anew(
    rules: dict[str, Rules], said: Said
) -> None:
    world = await lived(rules, life(said), 0)
    before = {topic: len(world.log.events(topic)) for topic in OUTPUTS}
    await world.tell(*life(said))
    assert {topic: len(world.log.events(topic)) for topic in OUTPUTS} == before

"""A trigger that is killed, or loses its broker, says what it would have said."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from retrain_trigger.declared import rules_of
from retrain_trigger.testing.facts import TOPICS, Said
from retrain_trigger.testing.scene import Scene
from retrain_trigger.testing.world import World

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bus.events import Event
    from local_stack import LocalStack

pytestmark = pytest.mark.stack

_PROJECTS = Path(__file__).parents[2] / "integration" / "retrain_trigger"
_OUTPUTS = (TOPICS.requested, TOPICS.refused, TOPICS.alerts)
_COUNTS = [4, 5, 9]


def life(said: Said) -> list[Event]:
    """Half a year in which inputs drift, data breaks now and then, and nobody decides on anything."""
    facts: list[Event] = []
    for number in range(8, 190):
        facts.append(said.measured("input-quality", number, breached=number % 61 == 0))
        if number % 7 == 0:
            coverage = 0.5 if number % 91 == 0 else 1.0
            facts.append(said.measured("input-drift", number, breached=True))
            facts.append(said.labels(number, coverage=coverage))
    return facts


def beginning(said: Said) -> list[Event]:
    return [said.registered("first", 0), said.routed("first", 1), said.labels(7)]


async def undisturbed(said: Said) -> dict[str, dict[str, Event]]:
    """What one process in memory says of the same facts."""
    world = World(rules_of("late_project"))
    await world.tell(*beginning(said), *life(said))
    return {topic: {event.id: event for event in world.log.events(topic)} for topic in _OUTPUTS}


def told(scene: Scene, said: Said) -> dict[str, dict[str, Event]]:
    """What the processes said of the model, by id."""
    return {
        topic: {name: event for name, event in scene.events[topic].items() if said.model in name}
        for topic in _OUTPUTS
    }


@pytest.fixture(autouse=True)
def _projects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(_PROJECTS))


async def test_killed_it_asks_what_it_would_have_asked(kafka_bootstrap: str, tmp_path: Path) -> None:
    said = Said("killed")
    expected = await undisturbed(said)
    assert [len(expected[topic]) for topic in _OUTPUTS] == _COUNTS
    async with Scene(kafka_bootstrap, tmp_path, _PROJECTS) as scene:
        process = await scene.start()
        await scene.say(*beginning(said))
        await scene.publish(*life(said))
        await scene.until(lambda: len(told(scene, said)[TOPICS.refused]) > 1)
        process.kill()
        await process.wait()
        process = await scene.start()
        await scene.until(lambda: told(scene, said) == expected)
        await scene.say(said.measured("input-quality", 190))
        assert told(scene, said) == expected
        process.terminate()
        assert await process.wait() == 0


async def test_an_outage_of_the_broker_delays_and_changes_nothing(
    own_stack: Callable[..., Awaitable[LocalStack]], tmp_path: Path
) -> None:
    said = Said("outage")
    expected = await undisturbed(said)
    stack = await own_stack(valkey=None)
    async with Scene(stack.kafka_bootstrap, tmp_path, _PROJECTS) as scene:
        process = await scene.start()
        await scene.say(*beginning(said))
        await scene.publish(*life(said))
        await scene.until(lambda: bool(told(scene, said)[TOPICS.requested]))
        broker = stack.kafka
        broker.kill()
        await broker.start()
        await scene.until(lambda: told(scene, said) == expected)
        assert process.returncode is None
        process.terminate()
        assert await process.wait() == 0

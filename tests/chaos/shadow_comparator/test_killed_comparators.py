"""kill -9 of comparators and of their store while facts come in changes nothing they tell in the end."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pytest
from bus.inspect import tail
from bus.memory import MemoryPublisher
from bus.positions import TopicPartition
from bus.producer import KafkaPublisher
from bus.topics import CATALOGUE, ensure_topics
from feature_store.online.redis import connect
from shadow_comparator.bootstrap import policies_of
from shadow_comparator.domain.tasks import ModelRules
from shadow_comparator.settings import ComparatorSettings
from shadow_comparator.testing import TOPICS, World, outcome, prediction

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from bus.received import Received
    from local_stack import LocalStack
    from tidemark.monitoring.v1.variants_pb2 import VariantsCompared

pytestmark = pytest.mark.stack

_REQUESTS = 1_500
_WAVE = 60
_ROOT = Path(__file__).parents[3]
_MODEL: dict[str, Any] = {"model": "flight-delay", "label": "arrived_late"}
_RULES = {
    "TIDEMARK_PROJECT": "examples.flights",
    "COMPARISON_BEAT": "PT0.05S",
    "COMPARISON_QUIET": "PT0.5S",
    "VERDICT_LEAST_PAIRS": "100",
    "VERDICT_LEAST_WINDOWS": "2",
}


def _facts() -> list[Received]:
    """Four days of requests with both answers and their truths, out of order by up to a few hours."""
    generator = np.random.default_rng(8)
    facts: list[tuple[float, Received]] = []
    for number, hours in enumerate(generator.uniform(0, 96, _REQUESTS)):
        key, ours, theirs = f"f{number}", *map(float, generator.random(2))
        late = generator.uniform(0, 3, 3)
        truth = float(generator.random() < ours)
        facts += [
            (hours + late[0], prediction(key, hours=hours, score=ours, **_MODEL)),
            (hours + late[1], prediction(key, hours=hours, score=theirs, shadow=True, **_MODEL)),
            (hours + 5 + late[2], outcome(key, truth, hours=hours + 5, label=_MODEL["label"])),
        ]
    facts.append((1e6, prediction("end", hours=24 * 10, **_MODEL)))
    return [fact for _, fact in sorted(facts, key=lambda one: one[0])]


async def _undisturbed(facts: list[Received]) -> World:
    """What one process in memory tells of the same facts."""
    settings = ComparatorSettings.model_validate({name.lower(): value for name, value in _RULES.items()})
    world = World(
        policies=policies_of(settings, {_MODEL["model"]: ModelRules(threshold=0.3, label=_MODEL["label"])})
    )
    process = world.process()
    partitions = [TopicPartition(topic, 0) for topic in TOPICS.inputs]
    world.ends.update(dict.fromkeys(partitions, 1))
    await process.joining.resume_from(partitions)
    await process.take(*facts)
    for _ in range(2):
        await process.watching.look()
        world.now_us += 60_000_000
    assert len(world.final) == 4
    return world


def _figures(world: World) -> dict[tuple[str, str, int], VariantsCompared]:
    """What stands in the end, but for what may be of an earlier look at the windows before: why it is so."""
    final = world.final
    for message in final.values():
        message.ClearField("reason")
        message.ClearField("evidence")
    return final


class Scene:
    """A stack of the test's own, and what is read from its topics."""

    def __init__(self, stack: LocalStack, folder: Path) -> None:
        self.stack = stack
        self.seen = World()
        self.ids: set[str] = set()
        self._folder = folder
        self._started: list[asyncio.subprocess.Process] = []
        self._moved = asyncio.Condition()
        self._readers: list[asyncio.Future[None]] = []

    async def __aenter__(self) -> Self:
        await ensure_topics(self.stack.kafka_bootstrap, CATALOGUE)
        self._readers = [
            asyncio.ensure_future(self._read(topic)) for topic in (TOPICS.resolved, TOPICS.compared)
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        for process in self._started:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def start_comparator(self) -> asyncio.subprocess.Process:
        environment = {
            **_RULES,
            "KAFKA_BOOTSTRAP_SERVERS": self.stack.kafka_bootstrap,
            "REDIS_URL": self.stack.redis_url,
            "PYTHONPATH": str(_ROOT),
        }
        with (self._folder / f"comparator-{len(self._started)}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "shadow_comparator", env=environment, stdout=log, stderr=log
            )
        self._started.append(process)
        return process

    async def publish(self, facts: list[Received]) -> None:
        async with KafkaPublisher(self.stack.kafka_bootstrap, client_id="facts") as publisher:
            for start in range(0, len(facts), _WAVE):
                wave = facts[start : start + _WAVE]
                for topic in TOPICS.inputs:
                    await publisher.publish_all(topic, [fact.event for fact in wave if fact.topic == topic])

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(90), self._moved:
            await self._moved.wait_for(condition)

    async def until_resolved(self, count: int) -> None:
        await self.until(lambda: len(self.ids) > count)

    async def _read(self, topic: str) -> None:
        publisher = MemoryPublisher(self.seen.log)
        async for found in tail(self.stack.kafka_bootstrap, topic, from_beginning=True):
            assert found.event is not None
            async with self._moved:
                await publisher.publish(topic, found.event)
                self.ids |= {found.event.id} if topic == TOPICS.resolved else set()
                self._moved.notify_all()


@pytest.fixture
async def scene(own_stack: Callable[..., Awaitable[LocalStack]], tmp_path: Path) -> AsyncIterator[Scene]:
    async with Scene(await own_stack(), tmp_path) as scene:
        yield scene


async def test_killed_comparators_tell_what_they_would_have_told(scene: Scene) -> None:
    facts = _facts()
    expected = await _undisturbed(facts)
    total = len(expected.resolved)
    running = [await scene.start_comparator(), await scene.start_comparator()]
    publishing = asyncio.ensure_future(scene.publish(facts))
    for kill in (1, 2):
        await scene.until_resolved(total * kill // 4)
        victim = running.pop(0)
        victim.kill()
        await victim.wait()
        running.append(await scene.start_comparator())
    await publishing
    await scene.until(lambda: len(scene.ids) == total and _figures(scene.seen) == _figures(expected))
    assert scene.seen.resolved == expected.resolved
    survivor, _ = running
    survivor.terminate()
    assert await survivor.wait() == 0


async def test_a_store_that_dies_delays_and_changes_nothing(scene: Scene) -> None:
    facts = _facts()
    expected = await _undisturbed(facts)
    comparator = await scene.start_comparator()
    publishing = asyncio.ensure_future(scene.publish(facts))
    await scene.until_resolved(200)
    (valkey,) = scene.stack.valkey.nodes
    valkey.kill()
    await publishing
    await valkey.start()
    await scene.until(
        lambda: len(scene.ids) == len(expected.resolved) and _figures(scene.seen) == _figures(expected)
    )
    assert scene.seen.resolved == expected.resolved
    assert comparator.returncode is None


async def test_a_store_that_lost_everything_is_filled_again_from_the_topics(scene: Scene) -> None:
    facts = _facts()
    expected = await _undisturbed(facts)
    half = len(facts) // 2
    first = await scene.start_comparator()
    await scene.publish(facts[:half])
    await scene.until_resolved(200)
    first.terminate()
    assert await first.wait() == 0
    client = await connect(scene.stack.redis_url)
    await client.flushall()
    await client.aclose()
    await scene.start_comparator()
    await scene.publish(facts[half:])
    await scene.until(lambda: len(scene.ids) == len(expected.resolved))
    assert scene.seen.resolved == expected.resolved

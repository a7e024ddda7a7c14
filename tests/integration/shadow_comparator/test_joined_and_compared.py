"""Two processes of the service on a real Kafka and a real Valkey."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from bus.inspect import tail
from bus.producer import KafkaPublisher
from bus.topics import PROGRESSED, Topic, dead_letter_of, ensure_topics
from feature_store.online.redis import connect
from prometheus_client import CollectorRegistry
from shadow_comparator.adapters.kafka import Topics
from shadow_comparator.adapters.redis import RedisLedger
from shadow_comparator.bootstrap import Parts, assemble
from shadow_comparator.domain.tasks import ModelRules, Task
from shadow_comparator.settings import ComparatorSettings
from shadow_comparator.testing import outcome, prediction
from sklearn import metrics
from tidemark.monitoring.v1.variants_pb2 import TASK_REGRESSION, VariantsCompared
from tidemark.scoring.v1.prediction_pb2 import PredictionResolved

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bus.events import Event
    from google.protobuf.message import Message

pytestmark = pytest.mark.stack

_REQUESTS = 300


@dataclass
class Scene:
    """Topics and keys of the test's own, and what is read from the topics."""

    bootstrap: str
    redis_url: str
    models: dict[str, ModelRules] = field(default_factory=lambda: {"delay": ModelRules(label="late")})
    name: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    told: dict[str, Message] = field(default_factory=dict)
    moved: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def topics(self) -> Topics:
        return Topics(
            *(f"{self.name}.{part}" for part in ("made", "shadow", "outcomes", "resolved", "compared"))
        )

    @property
    def settings(self) -> ComparatorSettings:
        return ComparatorSettings(
            tidemark_project="none",
            kafka_bootstrap_servers=self.bootstrap,
            prediction_log_prefix=self.name,
            comparison_beat="PT0.05S",
            comparison_quiet="PT0.2S",
            verdict_least_pairs=100,
            verdict_least_windows=2,
        )

    async def create_topics(self) -> None:
        names = self.topics
        topics = [
            Topic(name, None, "request_key", partitions, None)
            for name, partitions in zip(
                [*names.inputs, names.resolved, names.compared], (3, 3, 3, 2, 1), strict=True
            )
        ]
        await ensure_topics(self.bootstrap, [PROGRESSED, *topics])

    @asynccontextmanager
    async def process(self) -> AsyncIterator[Parts]:
        """Run one process of the service for the block, then stop it."""
        client, stop = await connect(self.redis_url), asyncio.Event()
        async with KafkaPublisher(self.bootstrap, client_id="comparator-test") as publisher:
            parts = assemble(
                settings=self.settings,
                models=self.models,
                ledger=RedisLedger(client),
                publisher=publisher,
                registry=CollectorRegistry(),
                topics=self.topics,
                group=self.name,
            )
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(parts.runner.run(stop))
                tasks.create_task(parts.watching.run(stop))
                yield parts
                stop.set()
        await client.aclose()

    @asynccontextmanager
    async def reading(self, *kinds: tuple[str, type[Message]]) -> AsyncIterator[None]:
        """Read topics meanwhile; a repeat of an id must say the same."""
        readers = [asyncio.ensure_future(self._read(topic, kind)) for topic, kind in kinds]
        yield
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)

    async def _read(self, topic: str, kind: type[Message]) -> None:
        async for seen in tail(self.bootstrap, topic, from_beginning=True, message=kind):
            assert seen.event is not None
            assert seen.message is not None
            async with self.moved:
                assert self.told.setdefault(seen.event.id, seen.message) == seen.message
                self.moved.notify_all()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(60), self.moved:
            await self.moved.wait_for(condition)

    def newest(self) -> dict[int, VariantsCompared]:
        """The newest figures by day."""
        found: dict[int, VariantsCompared] = {}
        for message in self.told.values():
            if isinstance(message, VariantsCompared):
                day = message.window_start.seconds // 86_400
                if day not in found or found[day].revision < message.revision:
                    found[day] = message
        return found

    def resolved(self) -> set[str]:
        return {name for name, message in self.told.items() if isinstance(message, PredictionResolved)}


@pytest.fixture
async def scene(kafka_bootstrap: str, redis_url: str) -> Scene:
    scene = Scene(kafka_bootstrap, redis_url)
    await scene.create_topics()
    return scene


@dataclass
class Flight:
    """A request with its two answers and, perhaps, its truth."""

    key: str
    hours: float
    ours: float
    theirs: float
    truth: float | None


def _flights() -> list[Flight]:
    """Three days of requests, one in fifty without a truth, and a late one that closes the last window."""
    generator = np.random.default_rng(3)
    hours = np.sort(generator.uniform(0, 72, _REQUESTS))
    ours = generator.random(_REQUESTS)
    theirs = np.clip(ours + generator.normal(0, 0.2, _REQUESTS), 0, 1)
    truths = generator.random(_REQUESTS) < ours
    flights = [
        Flight(
            f"f{n}", float(hours[n]), float(ours[n]), float(theirs[n]), float(truths[n]) if n % 50 else None
        )
        for n in range(_REQUESTS)
    ]
    return [*flights, Flight("end", 24 * 9, 0.5, 0.5, None)]


def _events(scene: Scene, flights: list[Flight]) -> list[tuple[str, Event]]:
    """Every event with its topic, in an order that has nothing to do with time."""
    topics = scene.topics
    events = [
        (topics.predictions, prediction(one.key, hours=one.hours, score=one.ours).event) for one in flights
    ]
    events += [
        (topics.shadows, prediction(one.key, hours=one.hours, score=one.theirs, shadow=True).event)
        for one in flights
    ]
    events += [
        (topics.outcomes, outcome(one.key, one.truth, hours=one.hours + 6).event)
        for one in flights
        if one.truth is not None
    ]
    return [events[index] for index in np.random.default_rng(5).permutation(len(events))]


async def _publish(scene: Scene, events: list[tuple[str, Event]]) -> None:
    async with KafkaPublisher(scene.bootstrap, client_id="comparator-test") as publisher:
        for start in range(0, len(events), 50):
            part = events[start : start + 50]
            for topic in scene.topics.inputs:
                await publisher.publish_all(topic, [event for name, event in part if name == topic])


def _expected_day(flights: list[Flight], day: int) -> tuple[int, int, float, float]:
    """Requests, labelled ones, and both AUCs, by scikit-learn."""
    requests = [one for one in flights if one.hours // 24 == day]
    labelled = [one for one in requests if one.truth is not None]
    truths = [one.truth for one in labelled]
    return (
        len(requests),
        len(labelled),
        metrics.roc_auc_score(truths, [one.ours for one in labelled]),
        metrics.roc_auc_score(truths, [one.theirs for one in labelled]),
    )


async def test_two_processes_join_everything_once_and_the_figures_are_right(scene: Scene) -> None:
    flights = _flights()
    expected = {
        f"id-{one.key}:{version}:0" for one in flights if one.truth is not None for version in ("a", "b")
    }
    labelled = [_expected_day(flights, day)[1] for day in range(3)]
    async with (
        scene.reading((scene.topics.resolved, PredictionResolved), (scene.topics.compared, VariantsCompared)),
        scene.process(),
        scene.process(),
    ):
        await _publish(scene, _events(scene, flights))
        await scene.until(
            lambda: (
                [scene.newest().get(day, VariantsCompared()).champion.labelled for day in range(3)]
                == labelled
                and not any(message.provisional for day, message in scene.newest().items() if day < 3)
                and len(scene.resolved()) >= len(expected)
            )
        )
    assert scene.resolved() == expected
    for day in range(3):
        found, (requests, count, ours, theirs) = scene.newest()[day], _expected_day(flights, day)
        assert (found.requests, found.paired, found.champion.labelled) == (requests, requests, count)
        assert found.champion.roc_auc == pytest.approx(ours)
        assert found.challenger.roc_auc == pytest.approx(theirs)
        assert found.label_coverage == pytest.approx(count / requests)


async def test_a_process_that_takes_over_goes_on_and_repeats_nothing_wrong(scene: Scene) -> None:
    flights = _flights()
    events = _events(scene, flights)
    async with scene.reading(
        (scene.topics.resolved, PredictionResolved), (scene.topics.compared, VariantsCompared)
    ):
        async with scene.process():
            await _publish(scene, events[:400])
            await scene.until(lambda: len(scene.resolved()) > 50)
        async with scene.process():
            await _publish(scene, events[400:])
            await scene.until(
                lambda: len(scene.resolved()) == 2 * sum(one.truth is not None for one in flights)
            )


async def test_a_regressions_scores_and_outcomes_go_all_the_way(scene: Scene) -> None:
    scene.models = {"delay": ModelRules(Task.REGRESSION, label="late")}
    generator = np.random.default_rng(4)
    truths = generator.normal(-20, 30, 60)
    ours, theirs = truths + generator.normal(0, 5, 60), truths + generator.normal(2, 9, 60)
    flights = [Flight(f"f{n}", n / 3, ours[n], theirs[n], truths[n]) for n in range(60)]
    flights.append(Flight("end", 24 * 9, 12.5, -3.0, None))
    async with (
        scene.reading((scene.topics.resolved, PredictionResolved), (scene.topics.compared, VariantsCompared)),
        scene.process(),
    ):
        await _publish(scene, _events(scene, flights))
        await scene.until(
            lambda: (
                scene.newest().get(0, VariantsCompared()).champion.labelled == 60 <= len(scene.resolved()) / 2
            )
        )
    found = scene.newest()[0]
    by_name = {measure.name: measure for measure in found.measures}
    assert found.task == TASK_REGRESSION
    assert by_name["rmse"].champion.value == pytest.approx(metrics.root_mean_squared_error(truths, ours))
    assert by_name["mae"].challenger.value == pytest.approx(metrics.mean_absolute_error(truths, theirs))
    low, high = by_name["rmse"].difference.lower, by_name["rmse"].difference.upper
    assert low < metrics.root_mean_squared_error(truths, theirs) - by_name["rmse"].champion.value < high


async def test_what_cannot_be_joined_goes_to_the_dead_letters_by_name(scene: Scene) -> None:
    torn = prediction("torn").event
    event = replace(torn, data=b"\xff\xff")
    async with scene.process(), KafkaPublisher(scene.bootstrap, client_id="comparator-test") as publisher:
        await publisher.publish(scene.topics.predictions, event)
        async with asyncio.timeout(30):
            async for seen in tail(
                scene.bootstrap, dead_letter_of(scene.topics.predictions), from_beginning=True
            ):
                headers = dict(seen.record.headers)
                break
    assert headers["dlq_reason"] == b"MALFORMED_PAYLOAD"
    assert headers["dlq_service"] == b"shadow_comparator"
    assert seen.record.value == b"\xff\xff"

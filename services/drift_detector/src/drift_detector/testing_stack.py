"""Detectors of the flights' model as processes on a real stack, for tests; needs the `onnx` package."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from bus.ends import TopicEnds
from bus.events import Event
from bus.inspect import tail
from bus.memory import MemoryPublisher
from bus.producer import KafkaPublisher
from bus.progress import progress_event
from bus.received import Received
from bus.topics import CATALOGUE, PROGRESSED, ROUTES_CHANGED, ensure_topics
from bus.tracker import ProgressTimeoutError, ProgressTracker
from bus.watermarks import Watermark
from feature_store import declared, load_project
from model_package import PackageStore
from model_package.golden import Golden
from model_package.testing import facts, logistic_model, logistic_scores
from model_package.writing import write_package
from monitoring.monitors import Monitor
from monitoring.profiles import TrainingSet, build_profile
from tidemark.registry.v1.route_pb2 import Arm, RouteChanged, VersionRef
from tidemark.scoring.v1.prediction_pb2 import Role

from drift_detector.adapters.references import reference_of
from drift_detector.bootstrap import Watched
from drift_detector.testing import DAY_US, TOPICS, MemoryReferences, Scene, prediction, resolved

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bus.positions import TopicPartition
    from local_stack import LocalStack
    from model_package import Package

PROJECT: Final = "examples.flights"
MODEL: Final = "flight-delay"
_ROOT: Final = Path(__file__).parents[4]
_TRAINED: Final = 4_000
_AGAIN_SECONDS: Final = 2.0


def watched_flights() -> Watched:
    """What is watched of the flights."""
    found = declared(PROJECT, "monitors", Monitor)  # type: ignore[type-abstract] # subclasses are
    return Watched.of(load_project(PROJECT), found)


def packaged(folder: Path) -> Package:
    """Put a version into a store below `folder`: features standard normal, scores that follow the first."""
    contract = load_project(PROJECT).contract(MODEL)
    width, generator = len(contract.feature_names), np.random.default_rng(2)
    weights = [1.0, *[0.0] * (width - 1)]
    values = generator.normal(size=(_TRAINED, width)).astype(np.float32)
    scores = logistic_scores(values, weights, 0.0)
    training = TrainingSet(
        names=contract.feature_names,
        values=values,
        present=np.ones(values.shape, np.bool_),
        statuses=[{"PRESENT": _TRAINED}] * width,
        time_us=np.sort(generator.integers(-28 * DAY_US, 0, _TRAINED)),
        labels=(generator.random(_TRAINED) < scores).astype(np.float64),
        categories={"carrier": generator.choice(np.array(["AA", "UA"], object), _TRAINED)},
    )
    described = facts(MODEL, contract.feature_names, contract_hash=contract.hash.hex())
    metrics = {"roc_auc": 0.74, "brier": 0.21, "log_loss": 0.6, "accuracy": 0.7}
    (folder / "version").mkdir()
    write_package(
        folder / "version",
        facts=described.model_copy(update={"metrics": metrics}),
        model=logistic_model(weights, 0.0),
        golden=Golden(vectors=values[:4], scores=logistic_scores(values[:4], weights, 0.0)),
        reference_profile=build_profile(training, scores),
    )
    return PackageStore(folder / "packages").put(folder / "version")


def route_to(package: Package) -> Event:
    """A route on which a package's version is champion."""
    named = VersionRef(version=package.version, digest=package.digest, package_uri=package.uri)
    arm = Arm(variant="champion", role=Role.ROLE_CHAMPION, weight_basis_points=10_000, version=named)
    route = RouteChanged(model=MODEL, revision=1, arms=[arm])
    return Event.of(route, id="route-1", source="t", key=MODEL, time_us=1, recorded_time_us=1)


def flights(version: str, days: int, a_day: int) -> list[Received]:
    """Days of requests and outcomes as they became known; in the second half three features move."""
    width, generator = len(load_project(PROJECT).contract(MODEL).feature_names), np.random.default_rng(8)
    given: dict[str, Any] = {"model": MODEL, "version": version, "entities": {"carrier": "UA"}}
    found: list[tuple[float, Received]] = []
    for number, hours in enumerate(np.sort(generator.uniform(0, 24 * days, days * a_day))):
        values = generator.normal(size=width)
        values[1:4] += 2.0 * (hours > 12 * days)
        score = float(1 / (1 + np.exp(-values[0])))
        truth, known = float(generator.random() < score), hours + float(generator.uniform(1, 30))
        found += [
            (hours, prediction(f"f{number}", hours=hours, values=values, score=score, **given)),
            (known, resolved(f"f{number}", truth, hours=hours, known_hours=known, score=score, **given)),
        ]
    last = 24 * (days + 4)
    found.append((last, prediction("end", hours=last, values=np.zeros(width), **given)))
    return [fact for _, fact in sorted(found, key=lambda one: one[0])]


async def undisturbed(facts_: Sequence[Received], package: Package, watched: Watched) -> Scene:
    """What one process in memory tells of the same facts, alerts included."""
    references = {package.version: reference_of(package, watched.slices[MODEL])}
    scene = Scene(watched=watched, references=MemoryReferences(references, MODEL))
    process = scene.process()
    await process.own()
    for topic in TOPICS.inputs:
        chosen = [one.event for one in facts_ if one.topic == topic]
        await process.take(*(Received(topic, 0, offset, event) for offset, event in enumerate(chosen)))
    await process.look()
    await scene.alert(process)
    return scene


class Stage:
    """A stack of the test's own, the detectors on it, and what they tell.

    Attributes:
        seen: Measurements and alerts, as they are read from the topics.
    """

    def __init__(self, stack: LocalStack, folder: Path) -> None:
        self.seen = Scene()
        self._stack = stack
        self._folder = folder
        self.bootstrap = self._bootstrap = stack.kafka_bootstrap
        self._tracker = ProgressTracker(self._bootstrap)
        self._started: list[asyncio.subprocess.Process] = []
        self._moved = asyncio.Condition()
        self._readers: list[asyncio.Future[None]] = []

    async def __aenter__(self) -> Self:
        await ensure_topics(self._bootstrap, CATALOGUE)
        await self._tracker.__aenter__()
        self._readers = [
            asyncio.ensure_future(self._read(topic)) for topic in (TOPICS.measured, TOPICS.alerts)
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tracker.__aexit__(None, None, None)
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        for process in self._started:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def start(self, **environment: str) -> asyncio.subprocess.Process:
        """Start a detector; what it says goes to a file in the folder."""
        told = {
            "KAFKA_BOOTSTRAP_SERVERS": self._bootstrap,
            "REDIS_URL": self._stack.redis_url,
            "TIDEMARK_PROJECT": PROJECT,
            "PACKAGES_URI": str(self._folder / "packages"),
            "PYTHONPATH": str(_ROOT),
            "METRICS_PORT": "0",
            "DRIFT_WAIT": "PT0.05S",
        }
        with (self._folder / f"detector-{len(self._started)}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "drift_detector", env=told | environment, stdout=log, stderr=log
            )
        self._started.append(process)
        return process

    async def publish(self, found: Sequence[Received], *, wave: int = 200) -> None:
        """Publish facts in their order, and after each wave say that outcomes are joined up to here."""
        ends = TopicEnds(self._bootstrap, [*TOPICS.inputs, TOPICS.outcomes])
        async with KafkaPublisher(self._bootstrap, client_id="facts") as publisher:
            for begin in range(0, len(found), wave):
                for topic in reversed(TOPICS.inputs):
                    chosen = [one.event for one in found[begin : begin + wave] if one.topic == topic]
                    await publisher.publish_all(topic, chosen)
                joined = {where: Watermark(end) for where, end in (await ends.ask()).items() if end}
                await publisher.publish(
                    PROGRESSED.name, progress_event("shadow-comparator", "t", joined, begin)
                )
        await ends.aclose()

    async def tell(self, topic: str, event: Event) -> None:
        """Publish one event."""
        async with KafkaPublisher(self._bootstrap, client_id="facts") as publisher:
            await publisher.publish(topic, event)

    async def route(self, package: Package) -> None:
        """Make a package's version champion."""
        await self.tell(ROUTES_CHANGED.name, route_to(package))

    async def measured_up_to_here(self, timeout_s: float = 60) -> None:
        """Return once everything published by now was measured and alerted on."""
        async with asyncio.timeout(timeout_s):
            while not await self._are_measured():
                pass
        measured = await self._ends(TOPICS.measured)
        await self._tracker.reached("drift-detector-alerts", measured, timeout_s)

    async def _are_measured(self) -> bool:
        # A real joining group has commits, from which a detector that started late learns how far it is.
        inputs = await self._ends(*TOPICS.inputs)
        joined = {where: Watermark(end) for where, end in inputs.items()}
        again = progress_event("shadow-comparator", "t", joined, 0)
        await self.tell(PROGRESSED.name, again)
        try:
            await self._tracker.reached("drift-detector.measured", inputs, _AGAIN_SECONDS)
        except ProgressTimeoutError:
            return False
        return True

    async def until(self, condition: Callable[[], bool], timeout_s: float = 90) -> None:
        """Return once what was seen fulfils a condition."""
        async with asyncio.timeout(timeout_s), self._moved:
            await self._moved.wait_for(condition)

    async def _ends(self, *topics: str) -> Mapping[TopicPartition, int]:
        ends = TopicEnds(self._bootstrap, topics)
        found = await ends.ask()
        await ends.aclose()
        return {where: end for where, end in found.items() if end}

    async def _read(self, topic: str) -> None:
        publisher = MemoryPublisher(self.seen.log)
        async for found in tail(self._bootstrap, topic, from_beginning=True):
            assert found.event is not None
            async with self._moved:
                await publisher.publish(topic, found.event)
                self._moved.notify_all()

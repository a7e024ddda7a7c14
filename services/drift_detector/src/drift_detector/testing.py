"""A whole detector in memory, for tests: any number of processes on one state and one log."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from bus.events import Event
from bus.memory import MemoryLog, MemoryPublisher
from bus.positions import TopicPartition
from bus.received import Received, Rejection
from monitoring.monitors import (
    ConceptDrift,
    DataQuality,
    FeatureDrift,
    LabelDrift,
    Monitor,
    Performance,
    PredictionDrift,
)
from monitoring.profiles import ReferenceProfile, TrainingSet, build_profile
from prometheus_client import CollectorRegistry
from tidemark.monitoring.v1.alert_pb2 import AlertChanged
from tidemark.monitoring.v1.monitor_pb2 import MonitorMeasured
from tidemark.scoring.v1.prediction_pb2 import PredictionMade, PredictionResolved, Role

from drift_detector.adapters.alerts import KnownAlerts, alert_event
from drift_detector.adapters.kafka import Topics
from drift_detector.adapters.memory import MemoryDiaries, MemoryShares
from drift_detector.bootstrap import Parts, Watched, World, assemble, shelf_of
from drift_detector.domain.outcomes import BinaryQuality
from drift_detector.domain.references import Reference
from drift_detector.domain.shares import Rules
from drift_detector.domain.windows import grain_of
from drift_detector.metrics import Metrics
from drift_detector.settings import DetectorSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monitoring.alerts import Alert
    from numpy.typing import ArrayLike

    from drift_detector.domain.alerting import Notice
    from drift_detector.domain.inputs import InputSketch
    from drift_detector.domain.outcomes import LabelSketch
    from drift_detector.domain.quality import Quality
    from drift_detector.ports import Diaries, Shares

DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000
MODEL = "delay"
NAMES = ("wind", "rain", "hour")
TOPICS = Topics()
_DAY, _WEEK = timedelta(days=1), timedelta(days=4)
MONITORS: tuple[Monitor, ...] = (
    DataQuality("input-quality", model=MODEL, window=_DAY, minimum_rows=20),
    FeatureDrift("input-drift", model=MODEL, window=_WEEK, minimum_rows=40, fire_after=2),
    PredictionDrift("score-drift", model=MODEL, window=_WEEK, minimum_rows=40, psi=0.5),
    LabelDrift("label-drift", model=MODEL, window=_WEEK, minimum_rows=40, change=0.3),
    Performance("quality", model=MODEL, window=_WEEK, minimum_rows=40, worse_by=0.15, coverage=1.0),
    ConceptDrift("error-stream", model=MODEL, window=_WEEK, minimum_rows=40, step=_DAY, coverage=1.0),
)
METRICS = {"roc_auc": 0.75, "brier": 0.2, "log_loss": 0.6, "accuracy": 0.7}


def reference(*, seed: int = 1, rows: int = 4_000, names: Sequence[str] = NAMES) -> Reference:
    """What version "a" was trained on: features from a standard normal, scores uniform, two carriers."""
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(rows, len(names))).astype(np.float32)
    training = TrainingSet(
        names=names,
        values=values,
        present=np.ones(values.shape, np.bool_),
        statuses=[{"PRESENT": rows}] * len(names),
        time_us=np.sort(generator.integers(-28 * DAY_US, 0, rows)),
        labels=(generator.random(rows) < 0.5).astype(np.float64),
        categories={"carrier": generator.choice(np.array(["AA", "UA"], object), rows)},
    )
    profile = ReferenceProfile.parse(build_profile(training, generator.random(rows)))
    return Reference.of(profile, NAMES, METRICS, ["carrier"])


def prediction(
    key: str,
    *,
    hours: float = 1.0,
    values: ArrayLike = (0.0, 0.0, 0.0),
    partition: int = 0,
    offset: int = 0,
    known_hours: float | None = None,
    missing: Sequence[int] = (),
    **given: Any,
) -> Received:
    """An answer of the champion, unless told otherwise, asked `hours` after the epoch's first day began."""
    time_us, vector = int(hours * HOUR_US), np.asarray(values, "<f4")
    told: dict[str, Any] = {
        "prediction_id": f"id-{key}",
        "request_key": key,
        "model": MODEL,
        "version": "a",
        "variant": "champion",
        "role": Role.ROLE_CHAMPION,
        "score": 0.4,
        "label": "late",
        "entities": {"carrier": "UA"},
    } | given
    message = PredictionMade(**told)
    message.request_time.FromMicroseconds(time_us)
    message.features.values = vector.tobytes()
    message.features.statuses = bytes(2 if at in missing else 1 for at in range(len(vector)))
    recorded_us = time_us if known_hours is None else int(known_hours * HOUR_US)
    event = Event.of(
        message,
        id=message.prediction_id,
        source="t",
        key=key,
        time_us=time_us,
        recorded_time_us=recorded_us,
    )
    return Received(TOPICS.answers, partition, offset, event)


def resolved(
    key: str,
    value: float,
    *,
    hours: float = 1.0,
    known_hours: float = 5.0,
    revision: int = 0,
    partition: int = 0,
    offset: int = 0,
    **given: Any,
) -> Received:
    """The truth about a request that was asked at `hours` and known at `known_hours`."""
    told: dict[str, Any] = {
        "prediction_id": f"id-{key}",
        "request_key": key,
        "model": MODEL,
        "version": "a",
        "role": Role.ROLE_CHAMPION,
        "score": 0.4,
        "outcome": value,
        "outcome_revision": revision,
        "entities": {"carrier": "UA"},
    } | given
    message = PredictionResolved(**told)
    message.request_time.FromMicroseconds(int(hours * HOUR_US))
    known_us = int(known_hours * HOUR_US)
    event = Event.of(
        message,
        id=f"id-{key}:a:{revision}",
        source="t",
        key=key,
        time_us=known_us,
        recorded_time_us=known_us,
    )
    return Received(TOPICS.resolved, partition, offset, event)


def watched(monitors: Sequence[Monitor] = MONITORS, quality: Quality | None = BinaryQuality(0.5)) -> Watched:  # noqa: B008 - frozen
    """What is watched of the one model."""
    grain_us = grain_of(monitors)
    return Watched(
        monitors={MODEL: list(monitors)},
        grains={MODEL: grain_us},
        rules={MODEL: Rules(grain_us, quality)},
        owners={MODEL: "weather-team"},
        slices={MODEL: ["carrier"]},
    )


@dataclass
class MemoryReferences:
    """`References` in a dictionary."""

    known: Mapping[str, Reference] = field(default_factory=lambda: {"a": reference()})
    model: str = MODEL

    async def of(self, model: str, version: str) -> Reference | None:
        """See `References.of`."""
        return self.known.get(version) if model == self.model else None


@dataclass
class MemoryFrontier:
    """`Frontier` that is told where things end.

    Attributes:
        labels_us: Up to which boundary outcomes are in; all of them where None.
    """

    known: dict[TopicPartition, int] = field(default_factory=dict)
    labels_us: int | None = None

    async def ends(self) -> Mapping[TopicPartition, int]:
        """See `Frontier.ends`."""
        return dict(self.known)

    async def labels_up_to(self, boundary_us: int) -> int:
        """See `Frontier.labels_up_to`."""
        return boundary_us if self.labels_us is None else min(boundary_us, self.labels_us)


class MemoryAlerts:
    """`Alerts` on a log in memory."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self._publisher = MemoryPublisher(log)

    async def current(self) -> Mapping[str, Alert]:
        """See `Alerts.current`."""
        known = KnownAlerts()
        for offset, event in enumerate(self._log.events(TOPICS.alerts)):
            await known(Received(TOPICS.alerts, 0, offset, event))
        return known.newest

    async def tell(self, notices: Sequence[Notice]) -> None:
        """See `Alerts.tell`."""
        await self._publisher.publish_all(TOPICS.alerts, [alert_event(one) for one in notices])


@dataclass
class Process:
    """One process of the service."""

    parts: Parts
    partitions: list[TopicPartition]

    async def take(self, *batch: Received) -> Sequence[Rejection]:
        """Count a batch."""
        return await self.parts.counting.on_facts(batch)

    async def look(self) -> None:
        """Measure what is due."""
        await self.parts.watching.look()

    async def own(self) -> dict[TopicPartition, int]:
        """Be assigned all partitions; say where to resume."""
        return dict(await self.parts.counting.resume_from(self.partitions))


@dataclass
class Scene:
    """What processes share.

    Attributes:
        count: How many partitions each topic has.
    """

    watched: Watched = field(default_factory=watched)
    references: MemoryReferences = field(default_factory=MemoryReferences)
    frontier: MemoryFrontier = field(default_factory=MemoryFrontier)
    answers: Shares[InputSketch] = field(default_factory=MemoryShares)
    outcomes: Shares[LabelSketch] = field(default_factory=MemoryShares)
    diaries: Diaries = field(default_factory=MemoryDiaries)
    log: MemoryLog = field(default_factory=MemoryLog)
    count: int = 1
    lost: list[str] = field(default_factory=list)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self.metrics = Metrics(self.registry)
        self.partitions = [
            TopicPartition(topic, number) for topic in TOPICS.inputs for number in range(self.count)
        ]

    def process(self) -> Process:
        """Start a process; any number may run at a time."""
        world = World(
            references=self.references,
            answers=self.answers,
            outcomes=self.outcomes,
            diaries=self.diaries,
            alerts=MemoryAlerts(self.log),
            publisher=MemoryPublisher(self.log),
            metrics=self.metrics,
        )
        parts = assemble(
            settings=DetectorSettings(tidemark_project="examples.flights"),
            watched=self.watched,
            world=world,
            shelf=shelf_of(self.watched, world, self.partitions, TOPICS),
            frontier=self.frontier,
            lost=self.lost.append,
            group="g",
        )
        return Process(parts, self.partitions)

    @property
    def measured(self) -> list[MonitorMeasured]:
        """Every measurement, for a reader that recognises repeats; one that says something else fails."""
        found: dict[str, bytes] = {}
        for event in self.log.events(TOPICS.measured):
            assert found.setdefault(event.id, event.data) == event.data, event.id
        return [MonitorMeasured.FromString(data) for data in found.values()]

    @property
    def alerts(self) -> list[AlertChanged]:
        """Every state of alerts, in the order in which they were told."""
        return [AlertChanged.FromString(event.data) for event in self.log.events(TOPICS.alerts)]

    def of(self, monitor: str) -> list[MonitorMeasured]:
        """One monitor's measurements, in order."""
        return [one for one in self.measured if one.monitor == monitor]

    async def alert(self, process: Process) -> None:
        """Give a process every measurement told so far, as if it had read the topic from the beginning."""
        events = self.log.events(TOPICS.measured)
        batch = [Received(TOPICS.measured, 0, offset, event) for offset, event in enumerate(events)]
        assert not await process.parts.alerting.on_measured(batch)

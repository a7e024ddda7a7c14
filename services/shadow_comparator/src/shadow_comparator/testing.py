"""A whole comparator in memory, for tests: any number of processes on one ledger and one log."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bus.events import Event
from bus.memory import MemoryLog, MemoryPublisher
from bus.positions import TopicPartition
from bus.received import Received, Rejection
from prometheus_client import CollectorRegistry
from tidemark.monitoring.v1.variants_pb2 import VariantsCompared
from tidemark.outcomes.v1.outcome_pb2 import OutcomeObserved
from tidemark.scoring.v1.prediction_pb2 import PredictionMade, PredictionResolved, Role

from shadow_comparator.adapters import wire
from shadow_comparator.adapters.comparisons import LedgerComparisonLog
from shadow_comparator.adapters.kafka import BusAnnouncements, Topics
from shadow_comparator.adapters.logs import Keeping, LedgerMarks, LedgerPredictionLog, LedgerWindowLog
from shadow_comparator.adapters.memory import MemoryLedger
from shadow_comparator.comparer import Comparer, Policies
from shadow_comparator.domain.maturing import WindowPolicy
from shadow_comparator.domain.tasks import ModelRules
from shadow_comparator.domain.verdicts import VerdictPolicy
from shadow_comparator.handlers import Joining
from shadow_comparator.metrics import Metrics
from shadow_comparator.watching import Watching

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shadow_comparator.adapters.ledger import Ledger

HOUR_US = 3_600_000_000
TOPICS = Topics()
KEEPING = Keeping("t", answers_ms=45 * 86_400_000, outcomes_ms=7 * 86_400_000, evidence_ms=400 * 86_400_000)
POLICIES = Policies(
    models={"delay": ModelRules(label="late")},
    windows=WindowPolicy(length_us=24 * HOUR_US, coverage=0.9, maturity_us=48 * HOUR_US, step=0.25),
    verdicts=VerdictPolicy(least_pairs=4, least_windows=2),
    quiet_us=5_000_000,
    forget_us=40 * 24 * HOUR_US,
)


def prediction(key: str, *, hours: float = 1.0, score: float = 0.4, **given: Any) -> Received:
    """An answer of the champion, unless told otherwise, asked `hours` after the epoch's first day began."""
    shadow = given.pop("shadow", False)
    time_us = int(hours * HOUR_US)
    message = PredictionMade(
        **{
            "prediction_id": f"id-{key}",
            "request_key": key,
            "model": "delay",
            "version": "b" if shadow else "a",
            "variant": "shadow" if shadow else "champion",
            "role": Role.ROLE_SHADOW if shadow else Role.ROLE_CHAMPION,
            "score": score,
            "label": "late",
            "entities": {"origin": "JFK"},
        }
        | given
    )
    message.request_time.FromMicroseconds(time_us)
    event = Event.of(
        message, id=message.prediction_id, source="t", key=key, time_us=time_us, recorded_time_us=time_us
    )
    return Received(TOPICS.shadows if shadow else TOPICS.predictions, 0, 0, event)


def outcome(
    key: str, value: float, *, revision: int = 0, hours: float = 5.0, label: str = "late"
) -> Received:
    """The truth about a request."""
    message = OutcomeObserved(label=label, request_key=key, value=value, revision=revision)
    time_us = int(hours * HOUR_US)
    event = Event.of(
        message,
        id=f"{label}:{key}:{revision}",
        source="t",
        key=key,
        time_us=time_us,
        recorded_time_us=time_us + 7,
    )
    return Received(TOPICS.outcomes, 0, 0, event)


@dataclass
class Process:
    """One process of the service."""

    joining: Joining
    comparer: Comparer
    watching: Watching

    async def take(self, *batch: Received) -> Sequence[Rejection]:
        """Handle a batch."""
        return await self.joining.on_facts(batch)


@dataclass
class World:
    """What processes share.

    Attributes:
        now_us: Real time.
        ends: Where partitions end.
    """

    ledger: Ledger = field(default_factory=MemoryLedger)
    log: MemoryLog = field(default_factory=MemoryLog)
    policies: Policies = POLICIES
    now_us: int = 0
    ends: dict[TopicPartition, int] = field(default_factory=dict)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self.metrics = Metrics(self.registry)

    def process(self) -> Process:
        """Start a process; any number may run at a time."""
        windows, marks = LedgerWindowLog(self.ledger, KEEPING), LedgerMarks(self.ledger, KEEPING)
        announcements = BusAnnouncements(
            MemoryPublisher(self.log), TOPICS, group="g", now_us=lambda: self.now_us
        )
        joining = Joining(
            read=wire.reader(TOPICS.outcomes, self.policies.models),
            log=LedgerPredictionLog(self.ledger, KEEPING),
            windows=windows,
            marks=marks,
            announcements=announcements,
            models=self.policies.models,
            window_us=self.policies.windows.length_us,
            metrics=self.metrics,
        )
        comparer = Comparer(
            windows=windows,
            comparisons=LedgerComparisonLog(self.ledger, KEEPING),
            marks=marks,
            announcements=announcements,
            policies=self.policies,
            metrics=self.metrics,
        )
        watching = Watching(
            joining=joining,
            comparer=comparer,
            marks=marks,
            ends=self.ends.get,
            ownership=TopicPartition(TOPICS.predictions, 0),
            now_us=lambda: self.now_us,
            beat_seconds=0.001,
            metrics=self.metrics,
        )
        return Process(joining, comparer, watching)

    @property
    def resolved(self) -> dict[str, PredictionResolved]:
        """What a reader sees that recognises repeats; a repeat that says something else fails."""
        found: dict[str, PredictionResolved] = {}
        for event in self.log.events(TOPICS.resolved):
            message = PredictionResolved.FromString(event.data)
            assert found.setdefault(event.id, message) == message
        return found

    @property
    def compared(self) -> list[VariantsCompared]:
        """Every revision a reader sees that recognises repeats, in order."""
        found: dict[str, VariantsCompared] = {}
        for event in self.log.events(TOPICS.compared):
            message = VariantsCompared.FromString(event.data)
            assert found.setdefault(event.id, message) == message
        return list(found.values())

    @property
    def final(self) -> dict[tuple[str, str, int], VariantsCompared]:
        """What stands in the end, by champion, challenger and day; which revision it is does not matter."""
        newest: dict[tuple[str, str, int], VariantsCompared] = {}
        for message in self.compared:
            day = message.window_start.seconds // 86_400
            place = message.champion.version, message.challenger.version, day
            if place not in newest or newest[place].revision < message.revision:
                newest[place] = message
        for message in newest.values():
            message.ClearField("revision")
        return newest

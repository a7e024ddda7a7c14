"""How the parts are put together; tests give other topics, another group, or memory."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from bus.positions import TopicPartition
from bus.runner import Batching, ConsumerRunner, Membership
from monitoring.monitors import check_monitors
from monitoring.served import Sampled, StoreMonitor, with_defaults
from monitoring.source_quality import SourceQuality

from drift_detector.adapters import wire
from drift_detector.adapters.kafka import BusAnnouncements, Topics
from drift_detector.alerting import Alerting
from drift_detector.auditing import objectives_us
from drift_detector.domain.class_outcomes import ClassQuality
from drift_detector.domain.inputs import InputSketch
from drift_detector.domain.outcomes import BinaryQuality, LabelSketch
from drift_detector.domain.shares import Rules
from drift_detector.domain.value_outcomes import ValueQuality
from drift_detector.domain.windows import grain_of
from drift_detector.handlers import ANSWERS, OUTCOMES, Books, Counting
from drift_detector.measurer import Measurer
from drift_detector.shelf import Shelf, Stack
from drift_detector.watching import Watching

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from bus.producer import KafkaPublisher, Publisher
    from feature_store import ModelSpec, Project
    from monitoring.monitors import Monitor
    from prometheus_client import CollectorRegistry

    from drift_detector.domain.quality import Quality
    from drift_detector.metrics import Metrics
    from drift_detector.ports import Alerts, Diaries, Frontier, References, Shares
    from drift_detector.settings import DetectorSettings

NAME: Final = "drift_detector"
GROUP: Final = "drift-detector"


@dataclass(frozen=True, slots=True)
class Watched:
    """What is watched: a project's monitors, and what they need of its models.

    Attributes:
        monitors: By model; models without monitors are left out.
        grains: By model, see `windows.grain_of`.
        rules: By model.
        owners: By model.
        slices: By model.
        sources: One a source of the project: its days are measured by `tidemark quality report --publish`.
        audited: Monitors of the store, of all models, those on by default included.
    """

    monitors: Mapping[str, Sequence[Monitor]]
    grains: Mapping[str, int]
    rules: Mapping[str, Rules]
    owners: Mapping[str, str]
    slices: Mapping[str, Sequence[str]]
    sources: Sequence[SourceQuality] = ()
    audited: Sequence[StoreMonitor] = ()

    @classmethod
    def of(cls, project: Project, declared: Iterable[Monitor]) -> Watched:
        """Check a project's monitors and collect what they need.

        Raises:
            monitoring.DeclarationError: One makes no sense for this project.
        """
        contracts = {name: project.contract(name) for name in project.models}
        fresh = [name for name, contract in contracts.items() if objectives_us(contract)]
        found = with_defaults(declared, contracts, fresh)
        check_monitors(
            found,
            {name: contract.feature_names for name, contract in contracts.items()},
            {name: spec.task for name, spec in project.models.items()},
        )
        monitors: dict[str, list[Monitor]] = defaultdict(list)
        for one in found:
            if not isinstance(one, Sampled):
                monitors[one.model].append(one)
        grains = {model: grain_of(own) for model, own in monitors.items()}
        models = {model: project.models[model] for model in monitors}
        return cls(
            monitors=dict(monitors),
            grains=grains,
            rules={name: Rules(grains[name], quality_of(spec)) for name, spec in models.items()},
            owners={name: spec.owner for name, spec in project.models.items()},
            slices={name: list(spec.slices) for name, spec in models.items()},
            sources=[SourceQuality(model=one.topic, owner=one.owner) for one in project.sources.values()],
            audited=[one for one in found if isinstance(one, StoreMonitor)],
        )


def quality_of(spec: ModelSpec) -> Quality | None:
    """What outcomes say of a model's answers, by its task; None of rankings and embeddings."""
    match spec.task:
        case "binary":
            return BinaryQuality(spec.decision_threshold)
        case "multiclass":
            return ClassQuality(tuple(spec.classes))
        case "regression":
            return ValueQuality()
        case _:
            return None


@dataclass(frozen=True, slots=True)
class World:
    """What the parts are put together with."""

    references: References
    answers: Shares[InputSketch]
    outcomes: Shares[LabelSketch]
    diaries: Diaries
    alerts: Alerts
    publisher: Publisher
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class Parts:
    """What runs, however it is fed."""

    counting: Counting
    watching: Watching
    alerting: Alerting


def shelf_of(watched: Watched, world: World, partitions: Sequence[TopicPartition], topics: Topics) -> Shelf:
    """Put together what reads all shares."""
    answers = [where for where in partitions if where.topic == topics.answers]
    resolved = [where for where in partitions if where.topic == topics.resolved]
    return Shelf(
        Stack(world.answers, answers, InputSketch),
        Stack(world.outcomes, resolved, LabelSketch),
        world.references,
        watched.rules,
    )


def assemble(  # noqa: PLR0913 - one keyword a decision of the caller
    *,
    settings: DetectorSettings,
    watched: Watched,
    world: World,
    shelf: Shelf,
    frontier: Frontier,
    lost: Callable[[str], None],
    topics: Topics = Topics(),  # noqa: B008 - frozen
    group: str = GROUP,
) -> Parts:
    """Put the parts together; nothing runs yet."""
    counting = Counting(
        read=wire.reader(topics.answers, watched.rules),
        answers=topics.answers,
        answer_books=Books(
            shares=world.answers,
            count=ANSWERS,
            references=world.references,
            rules=watched.rules,
            metrics=world.metrics,
            lost=lost,
        ),
        outcome_books=Books(
            shares=world.outcomes,
            count=OUTCOMES,
            references=world.references,
            rules=watched.rules,
            metrics=world.metrics,
            lost=lost,
        ),
    )
    measurer = Measurer(
        monitors=watched.monitors,
        grains=watched.grains,
        keep_us=settings.drift_keep // timedelta(microseconds=1),
        answers=topics.answers,
        shelf=shelf,
        diaries=world.diaries,
        frontier=frontier,
        announcements=BusAnnouncements(world.publisher, topics, group=group),
        metrics=world.metrics,
    )
    watching = Watching(
        counting=counting,
        watch=measurer,
        ownership=TopicPartition(topics.answers, 0),
        beat_seconds=settings.drift_beat.total_seconds(),
        metrics=world.metrics,
    )
    alerting = Alerting(
        read=wire.told_of,
        monitors=[
            *(one for found in watched.monitors.values() for one in found),
            *watched.sources,
            *watched.audited,
        ],
        owners=watched.owners,
        alerts=world.alerts,
        metrics=world.metrics,
    )
    return Parts(counting, watching, alerting)


def runners_of(
    parts: Parts,
    *,
    settings: DetectorSettings,
    publisher: KafkaPublisher,
    registry: CollectorRegistry,
    topics: Topics = Topics(),  # noqa: B008 - frozen
    group: str = GROUP,
    membership: Membership = Membership(),  # noqa: B008 - frozen
) -> tuple[ConsumerRunner, ConsumerRunner]:
    """Return the consumer that counts and the one that looks after alerts."""
    counting = ConsumerRunner(
        bootstrap=settings.kafka_bootstrap_servers,
        group=group,
        topics=topics.inputs,
        handler=parts.counting.on_facts,
        publisher=publisher,
        service=NAME,
        # A write costs the same for one row as for a thousand.
        batching=Batching(max_wait_ms=settings.drift_wait // timedelta(milliseconds=1)),
        positions=parts.counting.resume_from,
        stack=settings.tidemark_stack,
        membership=membership,
        registry=registry,
    )
    alerting = ConsumerRunner(
        bootstrap=settings.kafka_bootstrap_servers,
        group=f"{group}-alerts",
        topics=[topics.measured],
        handler=parts.alerting.on_measured,
        publisher=publisher,
        service=NAME,
        stack=settings.tidemark_stack,
        membership=membership,
        registry=registry,
    )
    return counting, alerting

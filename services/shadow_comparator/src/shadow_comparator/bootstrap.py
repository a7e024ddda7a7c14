"""How the parts are put together; tests give other topics, another group, or memory."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from bus.clocks import wall_clock_us
from bus.positions import TopicPartition
from bus.runner import Batching, ConsumerRunner, Membership

from shadow_comparator.adapters import wire
from shadow_comparator.adapters.comparisons import LedgerComparisonLog
from shadow_comparator.adapters.kafka import BusAnnouncements, Topics
from shadow_comparator.adapters.logs import Keeping, LedgerMarks, LedgerPredictionLog, LedgerWindowLog
from shadow_comparator.comparer import Comparer, Policies
from shadow_comparator.domain.maturing import WindowPolicy
from shadow_comparator.domain.tasks import ModelRules, Task
from shadow_comparator.domain.verdicts import VerdictPolicy
from shadow_comparator.handlers import Joining
from shadow_comparator.metrics import Metrics
from shadow_comparator.watching import Watching

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bus.producer import KafkaPublisher
    from feature_store import ModelSpec
    from prometheus_client import CollectorRegistry

    from shadow_comparator.adapters.ledger import Ledger
    from shadow_comparator.settings import ComparatorSettings

NAME: Final = "shadow_comparator"
GROUP: Final = "shadow-comparator"


@dataclass(frozen=True, slots=True)
class Parts:
    """What runs: the consumer, and the loop beside it."""

    runner: ConsumerRunner
    watching: Watching


def assemble(  # noqa: PLR0913 - one keyword a dependency
    *,
    settings: ComparatorSettings,
    models: Mapping[str, ModelRules],
    ledger: Ledger,
    publisher: KafkaPublisher,
    registry: CollectorRegistry,
    topics: Topics = Topics(),  # noqa: B008 - frozen
    group: str = GROUP,
    membership: Membership = Membership(),  # noqa: B008 - frozen
) -> Parts:
    """Put the parts together; nothing runs yet."""
    keeping, policies = keeping_of(settings), policies_of(settings, models)
    windows, marks = LedgerWindowLog(ledger, keeping), LedgerMarks(ledger, keeping)
    announcements, metrics = BusAnnouncements(publisher, topics, group=group), Metrics(registry)
    joining = Joining(
        read=wire.reader(topics.outcomes, models),
        log=LedgerPredictionLog(ledger, keeping),
        windows=windows,
        marks=marks,
        announcements=announcements,
        models=policies.models,
        window_us=policies.windows.length_us,
        metrics=metrics,
    )
    runner = ConsumerRunner(
        bootstrap=settings.kafka_bootstrap_servers,
        group=group,
        topics=topics.inputs,
        handler=joining.on_facts,
        publisher=publisher,
        service=NAME,
        # Nobody waits for a join, and a few large batches cost a fraction of many small ones.
        batching=Batching(max_wait_ms=settings.join_wait // timedelta(milliseconds=1)),
        positions=joining.resume_from,
        stack=settings.tidemark_stack,
        membership=membership,
        registry=registry,
    )
    comparer = Comparer(
        windows=windows,
        comparisons=LedgerComparisonLog(ledger, keeping),
        marks=marks,
        announcements=announcements,
        policies=policies,
        metrics=metrics,
    )
    watching = Watching(
        joining=joining,
        comparer=comparer,
        marks=marks,
        ends=runner.end_offset,
        ownership=TopicPartition(topics.predictions, 0),
        now_us=wall_clock_us,
        beat_seconds=settings.comparison_beat.total_seconds(),
        metrics=metrics,
    )
    return Parts(runner, watching)


def rules_of(spec: ModelSpec) -> ModelRules:
    """How a model's answers and outcomes are read, as its project declares it."""
    return ModelRules(Task[spec.task.upper()], spec.decision_threshold, len(spec.classes), spec.label.name)


def policies_of(settings: ComparatorSettings, models: Mapping[str, ModelRules]) -> Policies:
    """The rules, as set."""
    return Policies(
        models=models,
        windows=WindowPolicy(
            length_us=_microseconds(settings.comparison_window),
            coverage=settings.comparison_mature_coverage,
            maturity_us=_microseconds(settings.comparison_mature_age),
            step=settings.comparison_revision_step,
        ),
        verdicts=VerdictPolicy(
            alpha=settings.verdict_alpha,
            least_pairs=settings.verdict_least_pairs,
            least_windows=settings.verdict_least_windows,
            margin_nats=settings.verdict_margin_nats,
            margin_share=settings.verdict_margin_share,
            tightest_at_pairs=settings.verdict_tightest_at_pairs,
        ),
        quiet_us=_microseconds(settings.comparison_quiet),
        forget_us=_microseconds(settings.answer_ttl),
    )


def keeping_of(settings: ComparatorSettings) -> Keeping:
    """Where things are kept and for how long, as set."""
    return Keeping(
        prefix=settings.prediction_log_prefix,
        answers_ms=settings.answer_ttl // timedelta(milliseconds=1),
        outcomes_ms=settings.outcome_ttl // timedelta(milliseconds=1),
        evidence_ms=settings.evidence_ttl // timedelta(milliseconds=1),
    )


def _microseconds(duration: timedelta) -> int:
    return duration // timedelta(microseconds=1)

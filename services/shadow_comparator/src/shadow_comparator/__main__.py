"""`python -m shadow_comparator`: joins answers with outcomes, and compares versions window by window."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta

from bus.clocks import wall_clock_us
from bus.positions import TopicPartition
from bus.producer import KafkaPublisher
from bus.runner import ConsumerRunner
from bus.topics import CATALOGUE, ensure_topics
from feature_store import load_project
from feature_store.online.redis import connect
from service_kit import Service, run

from shadow_comparator.adapters import wire
from shadow_comparator.adapters.comparisons import LedgerComparisonLog
from shadow_comparator.adapters.kafka import BusAnnouncements, Topics
from shadow_comparator.adapters.logs import Keeping, LedgerMarks, LedgerPredictionLog, LedgerWindowLog
from shadow_comparator.adapters.redis import RedisLedger
from shadow_comparator.comparer import Comparer, Policies
from shadow_comparator.domain.maturing import WindowPolicy
from shadow_comparator.domain.verdicts import VerdictPolicy
from shadow_comparator.handlers import Joining
from shadow_comparator.metrics import Metrics
from shadow_comparator.settings import ComparatorSettings
from shadow_comparator.watching import Watching

_NAME = "shadow_comparator"
_GROUP = "shadow-comparator"


async def main(service: Service, settings: ComparatorSettings) -> None:
    """Join and compare until told to stop."""
    project = load_project(settings.tidemark_project)
    policies = policies_of(
        settings, {name: model.decision_threshold for name, model in project.models.items()}
    )
    bootstrap, topics, metrics = settings.kafka_bootstrap_servers, Topics(), Metrics(service.metrics)
    await ensure_topics(bootstrap, CATALOGUE)
    client = await connect(settings.redis_url)
    async with KafkaPublisher(bootstrap, client_id=_NAME) as publisher:
        ledger, keeping = RedisLedger(client), keeping_of(settings)
        windows, marks = LedgerWindowLog(ledger, keeping), LedgerMarks(ledger, keeping)
        announcements = BusAnnouncements(publisher, topics)
        joining = Joining(
            read=wire.reader(topics.outcomes),
            log=LedgerPredictionLog(ledger, keeping),
            windows=windows,
            marks=marks,
            announcements=announcements,
            models=policies.thresholds,
            window_us=policies.windows.length_us,
            metrics=metrics,
        )
        runner = ConsumerRunner(
            bootstrap=bootstrap,
            group=_GROUP,
            topics=topics.inputs,
            handler=joining.on_facts,
            publisher=publisher,
            service=_NAME,
            positions=joining.resume_from,
            stack=settings.tidemark_stack,
        )
        watching = Watching(
            joining=joining,
            comparer=Comparer(
                windows=windows,
                comparisons=LedgerComparisonLog(ledger, keeping),
                marks=marks,
                announcements=announcements,
                policies=policies,
                metrics=metrics,
            ),
            marks=marks,
            ends=runner.end_offset,
            ownership=TopicPartition(topics.predictions, 0),
            now_us=wall_clock_us,
            beat_seconds=settings.comparison_beat.total_seconds(),
            metrics=metrics,
        )
        service.health.watch("consumer", lambda: runner.not_ready_because)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watching.run(service.stop))
            await runner.run(service.stop)
    await client.aclose()


def policies_of(settings: ComparatorSettings, thresholds: Mapping[str, float]) -> Policies:
    """The rules, as set."""
    return Policies(
        thresholds=thresholds,
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


if __name__ == "__main__":
    settings = ComparatorSettings()
    run(_NAME, settings, lambda service: main(service, settings))

"""`python -m drift_detector`: counts what comes in, says what moved, and keeps each alert's one state."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from bus.ends import TopicEnds
from bus.errors import Unavailable
from bus.follow import Follower
from bus.kafka.tail import KafkaTail
from bus.producer import KafkaPublisher
from bus.topics import CATALOGUE, ensure_topics
from bus.tracker import ProgressTracker
from feature_store import DefinitionError, declared, load_project
from feature_store.online.redis import connect
from model_package import PackageStore
from monitoring import DeclarationError
from monitoring.monitors import Monitor
from service_kit import Service, run

from drift_detector.adapters import codec
from drift_detector.adapters.alerts import BusAlerts, KnownAlerts
from drift_detector.adapters.audited import BusTold, KnownAudits
from drift_detector.adapters.kafka import BusAnnouncements, KafkaFrontier, Topics
from drift_detector.adapters.lake import DeltaServedLog
from drift_detector.adapters.redis import RedisDiaries, RedisShares
from drift_detector.adapters.references import NamedVersions, PackagedReferences
from drift_detector.auditing import audits_of, sources_of
from drift_detector.auditor import Auditor
from drift_detector.bootstrap import GROUP, NAME, Parts, Watched, World, assemble, runners_of, shelf_of
from drift_detector.metrics import AuditMetrics, Metrics
from drift_detector.settings import DetectorSettings
from drift_detector.watching import Watching

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from bus.positions import TopicPartition

    Working = Callable[[asyncio.Event], Coroutine[None, None, None]]

_RETRY_SECONDS: Final = 1.0
_MILLISECOND: Final = 1_000


class StateLost(Exception):
    """Redis lost its newest writes: what is in memory is ahead of what is kept."""


async def detect(service: Service, settings: DetectorSettings, watched: Watched) -> None:
    """Count, measure and alert until told to stop.

    Raises:
        StateLost: Redis lost its newest writes; begun anew, the process counts again from what is kept.
    """
    topics, bootstrap = Topics(), settings.kafka_bootstrap_servers
    ends = TopicEnds(bootstrap, [topics.answers, topics.resolved, topics.outcomes])
    partitions = await _partitions(service, bootstrap, ends)
    if partitions is None:
        return
    client = await connect(settings.redis_url)
    keep_ms = int(settings.drift_state_ttl.total_seconds() * _MILLISECOND)
    named, known, audited = NamedVersions(), KnownAlerts(), KnownAudits()
    routes = Follower(KafkaTail(bootstrap, topics.routes, client_id=NAME), named.on_route)
    registered = Follower(KafkaTail(bootstrap, topics.registered, client_id=NAME), named.on_registered)
    alerts = Follower(KafkaTail(bootstrap, topics.alerts, client_id=NAME), known)
    audits = Follower(KafkaTail(bootstrap, topics.measured, client_id=NAME), audited)
    lost: list[str] = []

    def give_up(problem: str) -> None:
        lost.append(problem)
        service.stop.set()

    async with KafkaPublisher(bootstrap, client_id=NAME) as publisher, ProgressTracker(bootstrap) as tracker:
        world = World(
            references=PackagedReferences(
                PackageStore(settings.packages_uri), named, (routes, registered), watched.slices
            ),
            answers=RedisShares(
                client,
                settings.drift_state_prefix,
                write=codec.inputs_bytes,
                read=codec.inputs_of,
                keep_ms=keep_ms,
            ),
            outcomes=RedisShares(
                client,
                settings.drift_state_prefix,
                write=codec.labels_bytes,
                read=codec.labels_of,
                keep_ms=keep_ms,
            ),
            diaries=RedisDiaries(client, settings.drift_state_prefix),
            alerts=BusAlerts(publisher, topics.alerts, alerts, known),
            publisher=publisher,
            metrics=Metrics(service.metrics),
        )
        shelf = shelf_of(watched, world, partitions, topics)
        frontier = KafkaFrontier(ends, tracker, topics, joiner=settings.labels_group, marks=shelf.marks)
        parts = assemble(
            settings=settings, watched=watched, world=world, shelf=shelf, frontier=frontier, lost=give_up
        )
        runners = runners_of(parts, settings=settings, publisher=publisher, registry=service.metrics)
        service.health.watch("counting", lambda: runners[0].not_ready_because)
        service.health.watch("alerting", lambda: runners[1].not_ready_because)
        service.health.watch("measuring", lambda: parts.watching.not_ready_because)
        auditing, served = _auditing(
            service, settings, watched, (BusTold(audits, audited), tracker, publisher), parts
        )
        working = (parts.watching.run, auditing.run, *(runner.run for runner in runners))
        await _run((routes, registered, alerts, audits), working, service.stop)
    await served.aclose()
    await ends.aclose()
    await client.aclose()
    if lost:
        raise StateLost(lost[0])


async def _run(followers: Iterable[Follower], working: Iterable[Working], stop: asyncio.Event) -> None:
    """Run everything until `stop`; who works waits for what is followed, so followers end last."""
    over = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for follower in followers:
            tasks.create_task(follower.run(over))
        await asyncio.wait([tasks.create_task(work(stop)) for work in working])
        over.set()


def _auditing(
    service: Service,
    settings: DetectorSettings,
    watched: Watched,
    bus: tuple[BusTold, ProgressTracker, KafkaPublisher],
    parts: Parts,
) -> tuple[Watching, TopicEnds]:
    """Put the loop together that recomputes what was served; it owns the windows that measuring owns.

    The lake being away holds up nothing else, so it does not make the process unready.
    """
    told, tracker, publisher = bus
    topics, audits = Topics(), audits_of(load_project(settings.tidemark_project), watched.audited)
    sources = [source.topic for source in sources_of(audits)]
    ends = TopicEnds(settings.kafka_bootstrap_servers, [topics.answers, *sources])
    auditor = Auditor(
        audits=audits,
        answers=topics.answers,
        keep_us=settings.drift_keep // timedelta(microseconds=1),
        batch_rows=settings.audit_batch,
        log=DeltaServedLog(settings.lake_uri, answers=topics.answers, most_rows=settings.audit_most),
        kept=lambda: tracker.marks(settings.archiver_group),
        ends=ends,
        told=told,
        announcements=BusAnnouncements(publisher, topics, group=GROUP, stage="consistency"),
        metrics=AuditMetrics(service.metrics),
        is_stopping=service.stop.is_set,
    )
    watching = Watching(
        counting=parts.counting,
        watch=auditor,
        ownership=parts.watching.ownership,
        beat_seconds=settings.audit_beat.total_seconds(),
        metrics=parts.watching.metrics,
    )
    return watching, ends


async def _partitions(service: Service, bootstrap: str, ends: TopicEnds) -> list[TopicPartition] | None:
    """Wait for the broker, create what is missing, and list what is read; None when told to stop before."""
    away_because: str | None = "has not asked Kafka for its topics yet"
    service.health.watch("topics", lambda: away_because)
    while not service.stop.is_set():
        try:
            await ensure_topics(bootstrap, CATALOGUE)
            found = sorted(await ends.ask())
        except Unavailable as error:
            away_because = str(error)
            service.log.warning("topics not ensured yet", reason=away_because)
            with suppress(TimeoutError):
                async with asyncio.timeout(_RETRY_SECONDS):
                    await service.stop.wait()
        else:
            away_because = None
            return found
    return None


def main() -> None:
    """Watch the models of TIDEMARK_PROJECT until told to stop."""
    settings = DetectorSettings()
    module = settings.tidemark_project
    try:
        watched = Watched.of(load_project(module), declared(module, "monitors", Monitor))  # type: ignore[type-abstract] # subclasses are
    except (DefinitionError, DeclarationError) as error:
        sys.exit(f"{NAME}: TIDEMARK_PROJECT={module!r} cannot be watched: {error}")
    run(NAME, settings, lambda service: detect(service, settings, watched))


if __name__ == "__main__":
    main()

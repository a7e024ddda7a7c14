"""`python -m feature`: upstream events in, fresh feature rows and outcomes out, features over gRPC."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from bus.errors import Unavailable
from bus.kafka.group_offsets import GroupOffsets
from bus.producer import KafkaPublisher
from bus.runner import Batching, ConsumerRunner
from bus.topics import OUTCOMES_OBSERVED, PROGRESSED, SUBJECTS_ERASED, Topic, ensure_topics
from feature_store import DefinitionError, MissingKey, Project, load_project
from feature_store.concealment import Concealment
from feature_store.online.coalescing import CoalescingReader
from feature_store.online.keepers import feature_group
from feature_store.secret_file import pseudonyms_for
from privacy.erased import ErasedSubjects
from privacy.listing import ErasedList
from service_kit import Service, run

from feature.adapters.grpc import FeatureServicer, OutcomeServicer, feature_door
from feature.adapters.kafka import KafkaOutcomes
from feature.adapters.store import LateRowReader, RedisRows
from feature.answering import Answers
from feature.contracts import Contracts
from feature.freshness import FreshnessHistogram
from feature.handlers import Features
from feature.metrics import DoorMetrics, Metrics
from feature.privacy import Privacy
from feature.pushing import Door
from feature.reporting import OutcomeDoor
from feature.settings import FeatureSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from feature_store import Pseudonyms

_TOPIC_RETRY_SECONDS: Final = 1.0
_GRACE_SECONDS: Final = 5.0


async def keep_fresh(service: Service, settings: FeatureSettings, project: Project) -> None:
    """Apply events and answer questions until told to stop. Neither Kafka nor Redis need be there yet."""
    bootstrap = settings.kafka_bootstrap_servers
    pseudonyms = pseudonyms_for(project, settings.privacy_key_file)
    erased = ErasedSubjects.of(project, pseudonyms)
    listed = ErasedList.on_kafka(erased, bootstrap, service.name)
    metrics = Metrics(service.metrics)
    offsets = GroupOffsets(bootstrap, list(project.sources))
    rows = RedisRows(
        project, settings, offsets=offsets, metrics=metrics, log=service.log, now_us=_wall_clock_us
    )
    publisher = KafkaPublisher(bootstrap, client_id=service.name)
    privacy = Privacy(pseudonyms, erased, listed.up_to_date)
    freshness = FreshnessHistogram(project.views.values(), service.metrics)
    features = Features(project, rows, KafkaOutcomes(publisher), metrics, privacy, freshness=freshness)
    runner = ConsumerRunner(
        bootstrap=bootstrap,
        group=feature_group(project),
        topics=list(project.sources),
        handler=features.on_events,
        publisher=publisher,
        service=service.name,
        batching=Batching(settings.batch_records),
        stack=settings.tidemark_stack,
        concealed=[source.topic for source in project.sources.values() if source.is_sensitive],
    )
    service.health.watch("events", lambda: runner.not_ready_because)
    service.health.watch("rows", lambda: rows.not_whole_because)
    async with AsyncExitStack() as clients:
        clients.push_async_callback(rows.close)
        clients.push_async_callback(publisher.close)
        await clients.enter_async_context(answering(service, settings, project, rows, metrics, pseudonyms))
        await clients.enter_async_context(listed.followed())
        await clients.enter_async_context(_beating(rows, settings.rows_beat_s))
        await _ensure_topics(service, bootstrap, topics_of(project))
        await _begun(service, rows, settings.rows_beat_s)
        await runner.run(service.stop)


@asynccontextmanager
async def answering(
    service: Service,
    settings: FeatureSettings,
    project: Project,
    rows: RedisRows,
    told: Metrics,
    pseudonyms: Pseudonyms | None,
) -> AsyncIterator[None]:
    """Answer `FeatureService` and `OutcomeService` beside the body; end calls in hand afterwards."""
    metrics = DoorMetrics(service.metrics)
    reader = LateRowReader(settings, lambda _: metrics.unreadable.inc())
    pushes = KafkaPublisher(settings.kafka_bootstrap_servers, client_id=f"{service.name}-pushes")
    concealment = Concealment.of(project, pseudonyms)
    answers = Answers(CoalescingReader(reader), rows.is_complete, concealment)
    reports = OutcomeDoor(project, KafkaOutcomes(pushes), told.told, concealment)
    pushing = Door(project, pushes, pseudonyms)
    servicer = FeatureServicer(Contracts(project), answers, pushing, _wall_clock_us)
    outcomes = OutcomeServicer(reports, _wall_clock_us)
    address = f"{settings.feature_grpc_host}:{settings.feature_grpc_port}"
    door = feature_door(servicer, outcomes, metrics, address)
    service.log.info("listening", grpc_port=await door.start())
    await door.set_serving(serving=True)
    try:
        yield
    finally:
        await door.stop(_GRACE_SECONDS)
        await pushes.close()
        await reader.close()


@asynccontextmanager
async def _beating(rows: RedisRows, every_s: float) -> AsyncIterator[None]:
    async def beat() -> None:
        while True:
            await rows.beat()
            await asyncio.sleep(every_s)

    async with asyncio.TaskGroup() as tasks:
        beating = tasks.create_task(beat())
        try:
            yield
        finally:
            beating.cancel()


def _wall_clock_us() -> int:
    return time.time_ns() // 1000


def topics_of(project: Project) -> Sequence[Topic]:
    """Return the topics read and written."""
    sources = (
        Topic(source.topic, None, "the source's", source.partitions, retention=None)
        for source in project.sources.values()
    )
    return [*sources, OUTCOMES_OBSERVED, SUBJECTS_ERASED, PROGRESSED]


async def _ensure_topics(service: Service, bootstrap: str, topics: Sequence[Topic]) -> None:
    while not service.stop.is_set():
        try:
            await ensure_topics(bootstrap, topics)
        except Unavailable as error:
            service.log.warning("topics not ensured yet", reason=str(error))
            await asyncio.sleep(_TOPIC_RETRY_SECONDS)
        else:
            return


async def _begun(service: Service, rows: RedisRows, look_again_s: float) -> None:
    """Wait, outside the group, until rows are whole: where a group without members goes on can be set."""
    while not service.stop.is_set() and not await rows.are_whole():
        with suppress(TimeoutError):
            async with asyncio.timeout(look_again_s):
                await service.stop.wait()


def main() -> None:
    """Keep the features of TIDEMARK_PROJECT fresh until told to stop."""
    settings = FeatureSettings()
    try:
        project = load_project(settings.tidemark_project)
    except DefinitionError as error:
        sys.exit(f"feature: TIDEMARK_PROJECT={settings.tidemark_project!r} cannot be loaded: {error}")
    try:
        pseudonyms_for(project, settings.privacy_key_file)
    except MissingKey as error:
        sys.exit(f"feature: {error}")
    run("feature", settings, lambda service: keep_fresh(service, settings, project))


if __name__ == "__main__":
    main()

"""`python -m feature`: upstream events in, fresh feature rows and outcomes out."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from bus.errors import Unavailable
from bus.producer import KafkaPublisher
from bus.runner import Batching, ConsumerRunner
from bus.topics import OUTCOMES_OBSERVED, PROGRESSED, Topic, ensure_topics
from feature_store import DefinitionError, Project, load_project
from service_kit import Service, run

from feature.adapters.kafka import KafkaOutcomes
from feature.adapters.store import RedisRows
from feature.handlers import Features
from feature.metrics import Metrics
from feature.settings import FeatureSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

_TOPIC_RETRY_SECONDS: Final = 1.0


async def keep_fresh(service: Service, settings: FeatureSettings, project: Project) -> None:
    """Apply events until told to stop. Neither Kafka nor Redis need be there yet."""
    bootstrap = settings.kafka_bootstrap_servers
    rows = RedisRows(list(project.views.values()), settings)
    publisher = KafkaPublisher(bootstrap, client_id=service.name)
    features = Features(project, rows, KafkaOutcomes(publisher), Metrics(service.metrics))
    runner = ConsumerRunner(
        bootstrap=bootstrap,
        group=service.name,
        topics=list(project.sources),
        handler=features.on_events,
        publisher=publisher,
        service=service.name,
        batching=Batching(settings.batch_records),
        stack=settings.tidemark_stack,
    )
    service.health.watch("events", lambda: runner.not_ready_because)
    async with AsyncExitStack() as clients:
        clients.push_async_callback(rows.close)
        clients.push_async_callback(publisher.close)
        await _ensure_topics(service, bootstrap, topics_of(project))
        await runner.run(service.stop)


def topics_of(project: Project) -> Sequence[Topic]:
    """Return the topics read and written."""
    sources = (
        Topic(source.topic, None, "the source's", source.partitions, retention=None)
        for source in project.sources.values()
    )
    return [*sources, OUTCOMES_OBSERVED, PROGRESSED]


async def _ensure_topics(service: Service, bootstrap: str, topics: Sequence[Topic]) -> None:
    while not service.stop.is_set():
        try:
            await ensure_topics(bootstrap, topics)
        except Unavailable as error:
            service.log.warning("topics not ensured yet", reason=str(error))
            await asyncio.sleep(_TOPIC_RETRY_SECONDS)
        else:
            return


def main() -> None:
    """Keep the features of TIDEMARK_PROJECT fresh until told to stop."""
    settings = FeatureSettings()
    try:
        project = load_project(settings.tidemark_project)
    except DefinitionError as error:
        sys.exit(f"feature: TIDEMARK_PROJECT={settings.tidemark_project!r} cannot be loaded: {error}")
    run("feature", settings, lambda service: keep_fresh(service, settings, project))


if __name__ == "__main__":
    main()

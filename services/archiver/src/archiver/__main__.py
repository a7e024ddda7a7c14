"""`python -m archiver`: every topic worth keeping, once, in Delta tables."""

import sys
from collections.abc import Sequence

from bus.producer import KafkaPublisher
from bus.runner import Batching, ConsumerRunner
from bus.topics import CATALOGUE, Topic, ensure_topics
from feature_store import DefinitionError, MissingKey, Project, Pseudonyms, load_project
from feature_store.secret_file import pseudonyms_for
from privacy.erased import ErasedSubjects
from privacy.listing import ErasedList
from service_kit import Service, run

from archiver.adapters.delta import DeltaLake
from archiver.adapters.platform import KEPT_TOPICS, PlatformKeeper
from archiver.adapters.sources import SourceKeeper
from archiver.adapters.upkeep import Upkeep
from archiver.fitting import fitting
from archiver.handlers import Archive
from archiver.keeping import Keeper
from archiver.metrics import Metrics
from archiver.settings import ArchiverSettings


async def archive(service: Service, settings: ArchiverSettings, project: Project) -> None:
    """Keep until told to stop."""
    pseudonyms = pseudonyms_for(project, settings.privacy_key_file)
    erased = ErasedSubjects.of(project, pseudonyms)
    lake = DeltaLake(settings.lake_uri, Upkeep(history_days=settings.history_days))
    metrics = Metrics(service.metrics)
    keepers = fitting(lake, keepers_of(project, pseudonyms, erased), metrics)
    bootstrap = settings.kafka_bootstrap_servers
    await ensure_topics(bootstrap, topics_of(project))
    listed = ErasedList.on_kafka(erased, bootstrap, service.name)
    keeping = Archive(lake, keepers, metrics, service.stop, listed.up_to_date)
    async with listed.followed(), KafkaPublisher(bootstrap, client_id=service.name) as publisher:
        runner = ConsumerRunner(
            bootstrap=bootstrap,
            group=service.name,
            topics=[keeper.table.topic for keeper in keepers],
            handler=keeping.on_records,
            publisher=publisher,
            service=service.name,
            batching=Batching(settings.flush_records, settings.flush_ms),
            positions=keeping.resume_from,
            # `feature` says whether an upstream event is good, its envelope included: one owner, one letter.
            buried_elsewhere=list(project.sources),
            stack=settings.tidemark_stack,
        )
        service.health.watch("archive", lambda: runner.not_ready_because)
        await runner.run(service.stop)
    if keeping.ended_by is not None:
        raise keeping.ended_by


def keepers_of(
    project: Project, pseudonyms: Pseudonyms | None = None, erased: ErasedSubjects | None = None
) -> list[Keeper]:
    """One keeper a topic: the project's sources, then the platform's own facts."""
    return [
        *(SourceKeeper(source, pseudonyms, erased) for source in project.sources.values()),
        *(PlatformKeeper(topic, erased) for topic in KEPT_TOPICS),
    ]


def topics_of(project: Project) -> Sequence[Topic]:
    """What must exist before it can be read."""
    sources = (
        Topic(source.topic, None, "the source's", source.partitions, retention=None)
        for source in project.sources.values()
    )
    return [*sources, *CATALOGUE]


def main() -> None:
    """Keep what TIDEMARK_PROJECT reads, and what the platform says, until told to stop."""
    settings = ArchiverSettings()
    try:
        project = load_project(settings.tidemark_project)
    except DefinitionError as error:
        sys.exit(f"archiver: TIDEMARK_PROJECT={settings.tidemark_project!r} cannot be loaded: {error}")
    try:
        pseudonyms_for(project, settings.privacy_key_file)
    except MissingKey as error:
        sys.exit(f"archiver: {error}")
    run("archiver", settings, lambda service: archive(service, settings, project))


if __name__ == "__main__":
    main()

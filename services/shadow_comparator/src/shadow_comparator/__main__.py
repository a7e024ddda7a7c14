"""`python -m shadow_comparator`: joins answers with outcomes, and compares versions window by window."""

import asyncio
import sys

from bus.producer import KafkaPublisher
from bus.topics import CATALOGUE, ensure_topics
from feature_store import DefinitionError, Project, load_project
from feature_store.online.redis import connect
from service_kit import Service, run

from shadow_comparator.adapters.redis import RedisLedger
from shadow_comparator.bootstrap import NAME, assemble
from shadow_comparator.settings import ComparatorSettings


async def compare(service: Service, settings: ComparatorSettings, project: Project) -> None:
    """Join and compare until told to stop."""
    await ensure_topics(settings.kafka_bootstrap_servers, CATALOGUE)
    client = await connect(settings.redis_url)
    async with KafkaPublisher(settings.kafka_bootstrap_servers, client_id=NAME) as publisher:
        parts = assemble(
            settings=settings,
            thresholds={name: model.decision_threshold for name, model in project.models.items()},
            ledger=RedisLedger(client),
            publisher=publisher,
            registry=service.metrics,
        )
        service.health.watch("consumer", lambda: parts.runner.not_ready_because)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(parts.watching.run(service.stop))
            await parts.runner.run(service.stop)
    await client.aclose()


def main() -> None:
    """Compare the models of TIDEMARK_PROJECT until told to stop."""
    settings = ComparatorSettings()
    try:
        project = load_project(settings.tidemark_project)
    except DefinitionError as error:
        sys.exit(f"{NAME}: TIDEMARK_PROJECT={settings.tidemark_project!r} cannot be loaded: {error}")
    run(NAME, settings, lambda service: compare(service, settings, project))


if __name__ == "__main__":
    main()

"""`python -m shadow_comparator`: joins answers with outcomes, and compares versions window by window."""

import asyncio
import sys
from contextlib import suppress
from typing import Final

from bus.errors import Unavailable
from bus.producer import KafkaPublisher
from bus.topics import CATALOGUE, ensure_topics
from feature_store import DefinitionError, Project, load_project
from feature_store.online.redis import connect
from service_kit import Service, run

from shadow_comparator.adapters.redis import RedisLedger
from shadow_comparator.bootstrap import NAME, assemble, rules_of
from shadow_comparator.settings import ComparatorSettings

_TOPIC_RETRY_SECONDS: Final = 1.0


async def compare(service: Service, settings: ComparatorSettings, project: Project) -> None:
    """Join and compare until told to stop."""
    if not await _topics_are_there(service, settings.kafka_bootstrap_servers):
        return
    client = await connect(settings.redis_url)
    async with KafkaPublisher(settings.kafka_bootstrap_servers, client_id=NAME) as publisher:
        parts = assemble(
            settings=settings,
            models={name: rules_of(spec) for name, spec in project.models.items()},
            ledger=RedisLedger(client),
            publisher=publisher,
            registry=service.metrics,
        )
        service.health.watch("consumer", lambda: parts.runner.not_ready_because)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(parts.watching.run(service.stop))
            await parts.runner.run(service.stop)
    await client.aclose()


async def _topics_are_there(service: Service, bootstrap: str) -> bool:
    """Wait for the broker; False when told to stop before it answered."""
    away_because: str | None = "has not asked Kafka for its topics yet"
    service.health.watch("topics", lambda: away_because)
    while not service.stop.is_set():
        try:
            await ensure_topics(bootstrap, CATALOGUE)
        except Unavailable as error:
            away_because = str(error)
            service.log.warning("topics not ensured yet", reason=away_because)
            with suppress(TimeoutError):
                async with asyncio.timeout(_TOPIC_RETRY_SECONDS):
                    await service.stop.wait()
        else:
            away_because = None
            return True
    return False


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

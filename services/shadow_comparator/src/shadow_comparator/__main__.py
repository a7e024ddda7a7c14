"""`python -m shadow_comparator`: joins answers with outcomes, and compares versions window by window."""

import asyncio

from bus.producer import KafkaPublisher
from bus.topics import CATALOGUE, ensure_topics
from feature_store import load_project
from feature_store.online.redis import connect
from service_kit import Service, run

from shadow_comparator.adapters.redis import RedisLedger
from shadow_comparator.bootstrap import NAME, assemble
from shadow_comparator.settings import ComparatorSettings


async def main(service: Service, settings: ComparatorSettings) -> None:
    """Join and compare until told to stop."""
    models = load_project(settings.tidemark_project).models
    await ensure_topics(settings.kafka_bootstrap_servers, CATALOGUE)
    client = await connect(settings.redis_url)
    async with KafkaPublisher(settings.kafka_bootstrap_servers, client_id=NAME) as publisher:
        parts = assemble(
            settings=settings,
            thresholds={name: model.decision_threshold for name, model in models.items()},
            ledger=RedisLedger(client),
            publisher=publisher,
            registry=service.metrics,
        )
        service.health.watch("consumer", lambda: parts.runner.not_ready_because)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(parts.watching.run(service.stop))
            await parts.runner.run(service.stop)
    await client.aclose()


if __name__ == "__main__":
    settings = ComparatorSettings()
    run(NAME, settings, lambda service: main(service, settings))

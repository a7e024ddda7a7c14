"""`python -m retrain_trigger`: asks a human for a retraining when a policy finds it worth asking."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from bus.clocks import wall_clock_us
from bus.dead_letters import Undertaker
from bus.errors import Unavailable
from bus.metrics import ConsumerMetrics
from bus.producer import KafkaPublisher
from bus.topics import CATALOGUE, ensure_topics
from feature_store import DefinitionError
from monitoring import DeclarationError
from service_kit import Service, run

from retrain_trigger.adapters.faust import FaustWorker
from retrain_trigger.adapters.reading import readers
from retrain_trigger.adapters.telling import SOURCE, addressing
from retrain_trigger.adapters.topics import Topics
from retrain_trigger.declared import rules_of
from retrain_trigger.handlers import Trigger
from retrain_trigger.intake import Intake
from retrain_trigger.metrics import Metrics
from retrain_trigger.settings import TriggerSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from retrain_trigger.domain.rules import Rules

NAME: Final = "retrain-trigger"
_RETRY_SECONDS: Final = 1.0


async def decide(service: Service, settings: TriggerSettings, rules: Mapping[str, Rules]) -> None:
    """Follow models until told to stop."""
    topics, bootstrap = Topics(), settings.kafka_bootstrap_servers
    if not await _ensured(service, bootstrap):
        return
    worker = FaustWorker(bootstrap=bootstrap, group=settings.trigger_group, inputs=topics.inputs)
    service.health.watch("events", lambda: worker.not_ready_because)
    async with KafkaPublisher(bootstrap, client_id=NAME) as publisher:
        trigger = Trigger(
            rules=rules,
            states=worker,
            publish=publisher,
            address=addressing(topics),
            told=Metrics(service.metrics).told,
        )
        intake = Intake(
            group=settings.trigger_group,
            readers=readers(topics),
            on_fact=trigger.on_fact,
            publisher=publisher,
            undertaker=Undertaker(SOURCE, settings.tidemark_stack),
            progressed=topics.progressed,
            metrics=ConsumerMetrics(settings.trigger_group, service.metrics),
            clock=wall_clock_us,
        )
        await worker.run(intake.take, service.stop)


async def _ensured(service: Service, bootstrap: str) -> bool:
    """Wait for the broker and create what is missing; False when told to stop before."""
    away_because: str | None = "has not asked Kafka for its topics yet"
    service.health.watch("topics", lambda: away_because)
    while not service.stop.is_set():
        try:
            await ensure_topics(bootstrap, CATALOGUE)
        except Unavailable as error:
            away_because = str(error)
            service.log.warning("topics not ensured yet", reason=away_because)
            with suppress(TimeoutError):
                async with asyncio.timeout(_RETRY_SECONDS):
                    await service.stop.wait()
        else:
            away_because = None
            return True
    return False


def main() -> None:
    """Follow the models of TIDEMARK_PROJECT until told to stop."""
    settings = TriggerSettings()
    try:
        rules = rules_of(settings.tidemark_project)
    except (DefinitionError, DeclarationError) as error:
        sys.exit(f"{NAME}: TIDEMARK_PROJECT={settings.tidemark_project!r} cannot be followed: {error}")
    run(NAME, settings, lambda service: decide(service, settings, rules))


if __name__ == "__main__":
    main()

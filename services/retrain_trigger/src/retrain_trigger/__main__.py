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

from retrain_trigger.adapters.faust import FaustWorker, WorkerFailed
from retrain_trigger.adapters.reading import readers
from retrain_trigger.adapters.telling import SOURCE, addressing
from retrain_trigger.adapters.topics import Topics
from retrain_trigger.adapters.unbroken import Holes, Unbroken, beginnings
from retrain_trigger.declared import rules_of
from retrain_trigger.handlers import Trigger
from retrain_trigger.intake import Intake
from retrain_trigger.metrics import Metrics
from retrain_trigger.ports import UnreadableState
from retrain_trigger.settings import TriggerSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from retrain_trigger.domain.rules import Rules

NAME: Final = "retrain-trigger"
_RETRY_SECONDS: Final = 1.0


class Deciding:
    """Follows models until told to stop, with a new worker whenever one gives up because Kafka is away."""

    def __init__(self, service: Service, settings: TriggerSettings, rules: Mapping[str, Rules]) -> None:
        self._service = service
        self._settings = settings
        self._rules = rules
        self._topics = Topics()
        self._metrics = Metrics(service.metrics)
        self._consumer = ConsumerMetrics(settings.trigger_group, service.metrics)
        self._away_because: str | None = "has not asked Kafka for its topics yet"
        self._worker: FaustWorker | None = None
        self._holes = Holes()

    @property
    def not_ready_because(self) -> str | None:
        """Why facts are not being read, in words; None when they are."""
        return self._away_because if self._worker is None else self._worker.not_ready_because

    async def run(self) -> None:
        """Return when told to stop.

        Raises:
            UnreadableState: What is kept of a model cannot be read.
        """
        self._service.health.watch("events", lambda: self.not_ready_because)
        bootstrap, stop = self._settings.kafka_bootstrap_servers, self._service.stop
        publisher = KafkaPublisher(bootstrap, client_id=NAME)
        try:
            while not stop.is_set():
                try:
                    await ensure_topics(bootstrap, CATALOGUE)
                    await self._follow(publisher)
                except (Unavailable, WorkerFailed) as error:
                    await self._rest(str(error))
        finally:
            await publisher.close()

    async def _follow(self, publisher: KafkaPublisher) -> None:
        settings, inputs = self._settings, self._topics.inputs
        bootstrap, group = settings.kafka_bootstrap_servers, settings.trigger_group
        unbroken = Unbroken(await beginnings(bootstrap, group, inputs), self._holes)
        self._worker = FaustWorker(bootstrap=bootstrap, group=group, inputs=inputs, unbroken=unbroken)
        trigger = Trigger(
            rules=self._rules,
            states=self._worker,
            publish=publisher,
            address=addressing(self._topics),
            told=self._metrics.told,
        )
        intake = Intake(
            group=settings.trigger_group,
            readers=readers(self._topics),
            on_fact=trigger.on_fact,
            publisher=publisher,
            undertaker=Undertaker(SOURCE, settings.tidemark_stack),
            progressed=self._topics.progressed,
            metrics=self._consumer,
            clock=wall_clock_us,
        )
        try:
            await self._worker.run(intake.take, self._service.stop)
        except WorkerFailed as failed:
            if isinstance(failed.__cause__, UnreadableState):
                raise failed.__cause__ from None
            raise
        finally:
            self._worker = None

    async def _rest(self, reason: str) -> None:
        self._away_because = reason
        self._service.log.warning("beginning anew", reason=reason)
        with suppress(TimeoutError):
            async with asyncio.timeout(_RETRY_SECONDS):
                await self._service.stop.wait()


def main() -> None:
    """Follow the models of TIDEMARK_PROJECT until told to stop."""
    settings = TriggerSettings()
    try:
        rules = rules_of(settings.tidemark_project)
    except (DefinitionError, DeclarationError) as error:
        sys.exit(f"{NAME}: TIDEMARK_PROJECT={settings.tidemark_project!r} cannot be followed: {error}")
    run(NAME, settings, lambda service: Deciding(service, settings, rules).run())


if __name__ == "__main__":
    main()

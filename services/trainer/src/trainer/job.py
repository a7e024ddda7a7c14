"""A training as a job: its steps on real stores, resumable when it answers a request."""

import asyncio
import logging
from dataclasses import dataclass

from bus.errors import Unavailable
from bus.events import Event
from bus.producer import KafkaPublisher
from bus.topics import MODELS_REGISTERED, ensure_topics
from model_package import Package, PackageStore
from training_sets import DeltaEvents
from training_sets.lineage import emit, lineage_of_training

from trainer.adapters.routes import champion_of
from trainer.adapters.wire import Registrant, model_registered
from trainer.adapters.work import NoWork, Work
from trainer.domain.gates import GateRules
from trainer.judging import Champion, Evidence, judge
from trainer.ports import Memory, Steps
from trainer.settings import TrainerSettings
from trainer.steps import Training, train

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done, for whom."""

    settings: TrainerSettings
    training: Training
    registrant: Registrant

    def run(self, steps: Steps, *, register: bool) -> tuple[Package, Evidence]:
        """Do it.

        Raises:
            TrainingError: the inputs do not allow it; nothing was kept.
            PackageError: the package store does not hold what was put.
            Unavailable: it is packaged, but Kafka is away.
        """
        packages, memory = PackageStore(self.settings.packages_uri), self._memory()
        made = train(self.training, DeltaEvents(self.settings.lake_uri), packages, steps, memory)
        steps.begin("holding it to the gates")
        rules = GateRules(
            worse_share=self.settings.gate_worse_share, latency_ms=self.settings.gate_latency_ms
        )

        def judged() -> Evidence:
            champion = asyncio.run(self._champion(packages, is_needed=register))
            return judge(
                self.training, made.dataset, made.fitted, made.package, champion=champion, rules=rules
            )

        evidence = memory.step("evidence", judged)
        if register:
            steps.begin(f"registering {made.package.version}")
            asyncio.run(self._publish(model_registered(made.package, evidence, self.registrant)))
            memory.finish()
            self._tell_lineage(made.package)
        return made.package, evidence

    def _tell_lineage(self, package: Package) -> None:
        """Tell it if somebody wants to know; that nobody listens undoes no training."""
        if not self.settings.openlineage_url:
            return
        facts = package.manifest
        event = lineage_of_training(
            facts.model,
            package.version,
            facts.dataset_snapshot,
            lake=self.settings.lake_uri,
            at_us=facts.trained_until_us,
        )
        try:
            emit([event])
        except Exception as error:  # noqa: BLE001 - its transports raise whatever theirs do
            _log.warning("lineage of %s was not told: %r", package.version, error)

    def _memory(self) -> Memory:
        request_id = self.registrant.retrain_request_id
        if not request_id:
            return NoWork()
        training = self.training
        inputs = {
            "request": request_id,
            "model": training.spec.name,
            "algorithm": training.algorithm.name,
            "seed": training.algorithm.seed,
            "period": [training.period.from_us, training.period.until_us],
            "code": training.provenance.code_commit,
            "environment": training.provenance.environment_lock,
            "contract": training.project.contract(training.spec.name).hash.hex(),
        }
        return Work(self.settings.work_uri, inputs)

    async def _champion(self, packages: PackageStore, *, is_needed: bool) -> Champion | None:
        bootstrap, within_s = self.settings.kafka_bootstrap_servers, self.settings.route_wait_s
        try:
            return await champion_of(self.training.spec.name, bootstrap, packages, within_s=within_s)
        except Unavailable:
            # A version that is not registered is looked at, not released: the base rate will do.
            if is_needed:
                raise
            return None

    async def _publish(self, event: Event) -> None:
        bootstrap = self.settings.kafka_bootstrap_servers
        await ensure_topics(bootstrap, [MODELS_REGISTERED])
        async with KafkaPublisher(bootstrap, client_id="trainer") as publisher:
            await publisher.publish(MODELS_REGISTERED.name, event)

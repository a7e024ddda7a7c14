"""Answering approvals: each approved retraining becomes a `train` in a process of its own.

A process of its own can be ended at any moment and cannot hold up the consumer; what its steps made is kept,
so the same request, read again after a crash, goes on where it was and registers the same version.
"""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from bus.errors import Unavailable
from bus.inspect import list_topics
from bus.producer import KafkaPublisher
from bus.received import Received, Rejection
from bus.runner import Batching, ConsumerRunner, DrainTimeoutError
from bus.topics import MODELS_REGISTERED, PROGRESSED, RETRAIN_APPROVED, ensure_topics
from bus.tracker import ProgressTimeoutError, ProgressTracker
from feature_store import Project
from google.protobuf.message import DecodeError
from service_kit import Service
from tidemark.retraining.v1.retrain_pb2 import RetrainApproved
from training_sets.moments import show_moment

from trainer.settings import TrainerSettings

_GROUP: Final = "trainer"
_ARCHIVER: Final = "archiver"
_REFUSED: Final = 2
_KAFKA_AWAY: Final = 3
_TOPIC_RETRY_SECONDS: Final = 1.0


class TrainingEnded(Exception):
    """A training's process ended otherwise than by its own decision; it is tried again."""


@dataclass(frozen=True, slots=True)
class Approvals:
    """The handler of `retrain.approved`; see `bus.received.Handler`."""

    service: Service
    settings: TrainerSettings
    project: Project

    async def __call__(self, batch: Sequence[Received]) -> Sequence[Rejection]:
        """Train what each event asks for, in order; refuse what cannot be trained."""
        found = [await self._answer(received) for received in batch]
        return [rejection for rejection in found if rejection is not None]

    async def _answer(self, received: Received) -> Rejection | None:
        try:
            approved = RetrainApproved.FromString(received.event.data)
        except DecodeError as error:
            return Rejection(received, "MALFORMED_PAYLOAD", f"not a RetrainApproved: {error}")
        given = {
            "request_id": approved.request_id,
            "model": approved.model,
            "train_until": approved.HasField("train_until"),
        }
        if missing := [name for name, value in given.items() if not value]:
            return Rejection(received, "MISSING_FIELD", f"RetrainApproved lacks {', '.join(missing)}")
        await self._until_archived()
        return await self._train(received, approved)

    async def _until_archived(self) -> None:
        """Wait until the lake holds every source event that was published by now, hence before the cut.

        Raises:
            Unavailable: the archiver is not there in time; the request waits for it.
        """
        bootstrap = self.settings.kafka_bootstrap_servers
        try:
            async with ProgressTracker(bootstrap, client_id="trainer-tracker") as tracker:
                await tracker.reached(_ARCHIVER, await self._source_ends(), self.settings.archive_wait_s)
        except ProgressTimeoutError as error:
            raise Unavailable(
                f"the lake does not hold what was published before the approval: {error}"
            ) from error

    async def _source_ends(self) -> Mapping[tuple[str, int], int]:
        topics = await list_topics(self.settings.kafka_bootstrap_servers)
        return {
            (topic.name, part.partition): part.end
            for topic in topics
            if topic.name in self.project.sources
            for part in topic.partitions
            if part.end
        }

    async def _train(self, received: Received, approved: RetrainApproved) -> Rejection | None:
        log = self.service.log.bind(request_id=approved.request_id, model=approved.model)
        log.info("training", policy=approved.policy, approved_by=approved.approved_by)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "trainer", *_arguments(approved), stderr=asyncio.subprocess.PIPE
        )
        try:
            _, told = await process.communicate()
        finally:
            if process.returncode is None:
                # We are stopping: what its steps made is kept, and the request is read again.
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        last = told.decode(errors="replace").strip().splitlines()[-1:] or [""]
        if process.returncode == 0:
            log.info("trained and registered")
            return None
        if process.returncode == _REFUSED:
            reason, _, detail = last[0].partition(": ")
            log.error("cannot be trained", reason=reason, detail=detail)
            return Rejection(received, _upper_snake(reason), detail)
        if process.returncode == _KAFKA_AWAY:
            raise Unavailable(last[0])
        raise TrainingEnded(f"training {approved.request_id} ended with {process.returncode}: {last[0]}")


def _arguments(approved: RetrainApproved) -> list[str]:
    arguments = ["train", approved.model, "--until", show_moment(approved.train_until.ToMicroseconds())]
    if approved.HasField("train_from"):
        arguments += ["--from", show_moment(approved.train_from.ToMicroseconds())]
    if approved.algorithm:
        arguments += ["--algorithm", approved.algorithm]
    return [*arguments, "--json", "--as", "trainer", "--request-id", approved.request_id]


def _upper_snake(name: str) -> str:
    """OneClassOnly -> ONE_CLASS_ONLY."""
    return "".join(f"_{c}" if c.isupper() and i else c for i, c in enumerate(name)).upper()


async def answer_approvals(service: Service, settings: TrainerSettings, project: Project) -> None:
    """Consume `retrain.approved` until told to stop."""
    bootstrap = settings.kafka_bootstrap_servers
    if not await _topics_are_there(service, bootstrap):
        return
    async with KafkaPublisher(bootstrap, client_id=_GROUP) as publisher:
        runner = ConsumerRunner(
            bootstrap=bootstrap,
            group=_GROUP,
            topics=[RETRAIN_APPROVED.name],
            handler=Approvals(service, settings, project),
            publisher=publisher,
            service=_GROUP,
            batching=Batching(max_records=1),
            stack=settings.tidemark_stack,
            drain_seconds=1,
        )
        service.health.watch("approvals", lambda: runner.not_ready_because)
        try:
            await runner.run(service.stop)
        except DrainTimeoutError:
            service.log.info("stopped in the middle of a training, which will go on where it was")


async def _topics_are_there(service: Service, bootstrap: str) -> bool:
    """Wait for the broker; False when told to stop before it answered."""
    away_because: str | None = "has not asked Kafka for its topics yet"
    service.health.watch("topics", lambda: away_because)
    while not service.stop.is_set():
        try:
            await ensure_topics(bootstrap, [RETRAIN_APPROVED, MODELS_REGISTERED, PROGRESSED])
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

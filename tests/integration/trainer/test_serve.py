"""`python -m trainer serve` on a real Kafka: an approval becomes a registered version, whatever is killed."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from bus.dead_letters import read_dead_letters
from bus.events import Event
from bus.follow import Follower
from bus.kafka.tail import KafkaTail
from bus.producer import KafkaPublisher
from bus.received import Received
from bus.topics import MODELS_REGISTERED, RETRAIN_APPROVED, ensure_topics
from tidemark.registry.v1.model_pb2 import ModelRegistered
from tidemark.retraining.v1.retrain_pb2 import RetrainApproved

pytestmark = pytest.mark.stack
PROJECT_FOLDER = Path(__file__).parents[2] / "unit" / "trainer"
SECONDS = 90.0


def approval(request_id: str, **given: Any) -> Event:
    message = RetrainApproved(
        **{"request_id": request_id, "model": "shop-purchase", "approved_by": "ada", **given}
    )
    message.train_until.FromJsonString("2013-01-05T00:00:00Z")
    return Event.of(
        message, id=f"approved:{request_id}", source="t", key="shop-purchase", time_us=1, recorded_time_us=1
    )


class Trainer:
    """The service as a process, and what it says on Kafka."""

    def __init__(self, folder: Path, kafka: str) -> None:
        self.folder, self.kafka = folder, kafka

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[asyncio.subprocess.Process]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "trainer",
            "serve",
            env={
                "PYTHONPATH": str(PROJECT_FOLDER),
                "TIDEMARK_PROJECT": "shop_project",
                "TIDEMARK_CODE_COMMIT": "c0ffee",
                "KAFKA_BOOTSTRAP_SERVERS": self.kafka,
                "LAKE_URI": str(self.folder / "lake"),
                "PACKAGES_URI": str(self.folder / "packages"),
                "WORK_URI": str(self.folder / "work"),
                "METRICS_PORT": "0",
            },
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
                assert await process.wait() == 0

    async def approve(self, *events: Event) -> None:
        await ensure_topics(self.kafka, [RETRAIN_APPROVED, MODELS_REGISTERED])
        async with KafkaPublisher(self.kafka, client_id="test") as publisher:
            await publisher.publish_all(RETRAIN_APPROVED.name, events)

    async def registered(self, request_id: str) -> ModelRegistered:
        """The first registration that answers a request."""
        found: asyncio.Future[ModelRegistered] = asyncio.get_running_loop().create_future()

        async def look(received: Received) -> None:
            message = ModelRegistered.FromString(received.event.data)
            if message.retrain_request_id == request_id and not found.done():
                found.set_result(message)

        stop = asyncio.Event()
        follower = Follower(KafkaTail(self.kafka, MODELS_REGISTERED.name, client_id="test"), look)
        async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as tasks:
            tasks.create_task(follower.run(stop))
            message = await found
            stop.set()
        return message

    async def steps_made(self) -> set[str]:
        return {path.name for path in (self.folder / "work").glob("*/*.pickle")}


@pytest.fixture
def trainer(tmp_path: Path, kafka_bootstrap: str, shop: Any, archive: Callable[..., None]) -> Trainer:
    archive(shop.world(300))
    return Trainer(tmp_path, kafka_bootstrap)


async def test_an_approval_becomes_a_version_with_evidence(trainer: Trainer) -> None:
    await trainer.approve(approval("r-plain", algorithm="logistic"))
    async with trainer.serving():
        message = await trainer.registered("r-plain")
    assert message.registered_by == "trainer"
    assert message.algorithm == "logistic"
    assert {gate.gate for gate in message.gates} == {
        "golden-rows",
        "package-contract",
        "latency",
        "champion-metric",
    }
    assert message.evaluations[0].scope == "overall"
    assert await trainer.steps_made() == set()


async def test_a_trainer_killed_between_steps_goes_on_and_registers_the_same(trainer: Trainer) -> None:
    await trainer.approve(approval("r-killed"))
    async with trainer.serving() as process, asyncio.timeout(SECONDS):
        while "dataset.pickle" not in await trainer.steps_made():  # noqa: ASYNC110 - another process's files
            await asyncio.sleep(0.01)
        process.kill()
        await process.wait()
    async with trainer.serving():
        message = await trainer.registered("r-killed")
    await trainer.approve(approval("r-again"))
    async with trainer.serving():
        again = await trainer.registered("r-again")
    assert message.digest == again.digest


async def test_what_cannot_be_trained_is_a_dead_letter_with_its_reason(trainer: Trainer) -> None:
    unreadable = Event(
        "broken", "RetrainApproved", "t", "", 1, 1, b"shop-purchase", b"\xff\xff", content_type="x"
    )
    await trainer.approve(
        approval("r-bad", algorithm="forest"), unreadable, approval(""), approval("r-after")
    )
    async with trainer.serving():
        await trainer.registered("r-after")
    letters = await read_dead_letters(trainer.kafka, RETRAIN_APPROVED.name)
    assert {letter.reason for letter in letters} >= {
        "UNKNOWN_ALGORITHM",
        "MALFORMED_PAYLOAD",
        "MISSING_FIELD",
    }

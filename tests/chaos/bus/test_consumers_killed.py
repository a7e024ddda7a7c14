"""Consumer processes die, or are told to stop, in the middle of a batch."""

import asyncio
import signal
import sys
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from bus.events import Event
from bus.kafka.admin import committed_offsets
from bus.producer import KafkaPublisher
from bus.progress import targets_of
from bus.topics import PROGRESSED, Topic, ensure_topics
from bus.tracker import ProgressTracker

TIME_US = 1_357_017_300_000_000
CONSUMER = Path(__file__).with_name("noting_consumer.py")


def event(number: int) -> Event:
    key = f"k{number % 50}"
    return Event(str(number), "T", "s", key, TIME_US, TIME_US, key.encode(), b"data")


class Rig:
    def __init__(self, bootstrap: str, folder: Path) -> None:
        self.bootstrap = bootstrap
        self.topic = f"killed-{uuid.uuid4().hex}"
        self.folder = folder
        self.processes: list[asyncio.subprocess.Process] = []

    async def start(self) -> asyncio.subprocess.Process:
        effects = self.folder / f"{len(self.processes)}.txt"
        environment = {"KAFKA_BOOTSTRAP_SERVERS": self.bootstrap, "LOG_LEVEL": "ERROR"}
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(CONSUMER), self.topic, str(effects), env=environment
        )
        self.processes.append(process)
        return process

    def effects(self) -> list[str]:
        return [line for file in sorted(self.folder.glob("*.txt")) for line in file.read_text().splitlines()]

    async def until_effects(self, count: int) -> None:
        async with asyncio.timeout(60):
            while len(self.effects()) < count:  # noqa: ASYNC110 - another process makes them
                await asyncio.sleep(0.01)


@pytest.fixture
async def rig(kafka_bootstrap: str, tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(kafka_bootstrap, tmp_path)
    await ensure_topics(kafka_bootstrap, [Topic(rig.topic, None, "k", 4, timedelta(hours=1)), PROGRESSED])
    yield rig
    for process in rig.processes:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_kill_9_in_the_middle_of_a_batch_loses_no_effect(rig: Rig) -> None:
    async with (
        KafkaPublisher(rig.bootstrap, client_id="upstream") as upstream,
        ProgressTracker(rig.bootstrap) as tracker,
    ):
        positions = await upstream.publish_all(rig.topic, [event(number) for number in range(2_000)])
        victim, survivor = await rig.start(), await rig.start()
        await rig.until_effects(300)
        victim.kill()
        await rig.until_effects(600)
        await rig.start()
        await tracker.reached(rig.topic, targets_of(positions), timeout_s=90)
        assert survivor.returncode is None
    counted = Counter(rig.effects())
    assert set(counted) == {str(number) for number in range(2_000)}
    # Only what was in hand and not committed was done again: a batch a partition move, and there were a few.
    assert sum(counted.values()) - 2_000 <= 50 * 6


async def test_sigterm_in_the_middle_of_a_batch_finishes_and_commits_it(rig: Rig) -> None:
    async with KafkaPublisher(rig.bootstrap, client_id="upstream") as upstream:
        await upstream.publish_all(rig.topic, [event(number) for number in range(1_000)])
    process = await rig.start()
    await rig.until_effects(120)
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(30):
        assert await process.wait() == 0
    done = rig.effects()
    committed = {
        where: end
        for where, end in (await committed_offsets(rig.bootstrap, rig.topic)).items()
        if where.topic == rig.topic
    }
    assert 120 <= len(done) < 1_000
    assert len(set(done)) == len(done) == sum(committed.values())

"""kill -9 of archivers, again and again, while events come in: every offset is in the lake exactly once."""

import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from archiver.__main__ import topics_of
from bus.events import Event
from bus.producer import KafkaPublisher
from bus.topics import ensure_topics
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError
from feature_store import load_project
from local_stack import LocalStack

pytestmark = pytest.mark.stack

PROJECT_FOLDER = Path(__file__).parents[2] / "integration" / "archiver"
TOPIC = "clicks.v1"
AT_US = 1_356_998_400_000_000
EVENTS = 6_000
WAVE = 100
KILLS = 2

StartArchiver = Callable[[], Awaitable[asyncio.subprocess.Process]]


@pytest.fixture
async def kafka(own_stack: Callable[..., Awaitable[LocalStack]], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.syspath_prepend(str(PROJECT_FOLDER))
    bootstrap = (await own_stack(valkey=None)).kafka_bootstrap
    await ensure_topics(bootstrap, topics_of(load_project("clicks_project")))
    return bootstrap


@pytest.fixture
async def start_archiver(kafka: str, tmp_path: Path) -> AsyncIterator[StartArchiver]:
    """Starts `python -m archiver`, as many as asked; none is left behind."""
    environment = {
        "PYTHONPATH": str(PROJECT_FOLDER),
        "TIDEMARK_PROJECT": "clicks_project",
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "LAKE_URI": str(tmp_path / "lake"),
        "FLUSH_MS": "20",
        "FLUSH_RECORDS": "50",
    }
    started: list[asyncio.subprocess.Process] = []

    async def start() -> asyncio.subprocess.Process:
        with (tmp_path / f"archiver-{len(started)}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "archiver", env=environment, stderr=log
            )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.wait()


def kept(lake: Path) -> Counter[tuple[int, int]]:
    try:
        rows = DeltaTable(lake / "sources" / TOPIC).to_pyarrow_table(columns=["_partition", "_offset"])
    except TableNotFoundError:
        return Counter()
    return Counter(
        zip(rows.column("_partition").to_pylist(), rows.column("_offset").to_pylist(), strict=True)
    )


async def until_kept(
    lake: Path, count: int, *running: asyncio.subprocess.Process
) -> Counter[tuple[int, int]]:
    while len(found := kept(lake)) < count:
        assert [process.returncode for process in running] == [None] * len(running), "an archiver gave up"
        await asyncio.sleep(0.05)
    return found


async def publish(kafka: str, count: int) -> set[tuple[int, int]]:
    document = json.dumps({"page": "home", "seconds": 1.0, "at": "2013-01-01T00:00:00Z"}).encode()
    events = [
        Event(f"click-{n}", "click", "web", "", AT_US, AT_US, str(n).encode(), document) for n in range(count)
    ]
    async with KafkaPublisher(kafka, client_id="upstream") as publisher:
        positions = [
            position
            for start in range(0, count, WAVE)
            for position in await publisher.publish_all(TOPIC, events[start : start + WAVE])
        ]
    return {(where.partition, where.offset) for where in positions}


async def test_an_archiver_that_slept_through_its_replacement_writes_nothing_twice(
    kafka: str, start_archiver: StartArchiver, tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    sleeper = await start_archiver()
    published = await publish(kafka, EVENTS)
    await until_kept(lake, WAVE, sleeper)
    sleeper.send_signal(signal.SIGSTOP)
    assert len(kept(lake)) < EVENTS, "it slept too late to have a batch in hand"
    successor = await start_archiver()
    await until_kept(lake, EVENTS, successor)
    sleeper.send_signal(signal.SIGCONT)
    published |= await publish(kafka, WAVE)
    assert await until_kept(lake, EVENTS + WAVE, sleeper, successor) == Counter(published)
    sleeper.terminate()
    successor.terminate()
    assert [await sleeper.wait(), await successor.wait()] == [0, 0]
    assert kept(lake) == Counter(published)


async def test_every_offset_is_in_the_lake_once_whatever_is_killed(
    kafka: str, start_archiver: StartArchiver, tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    running = [await start_archiver(), await start_archiver()]
    published = await publish(kafka, EVENTS)
    for kill in range(1, KILLS + 1):
        await until_kept(lake, EVENTS * kill // (KILLS + 2), *running)
        victim = running.pop(0)
        victim.kill()
        await victim.wait()
        if kill < KILLS:
            running.append(await start_archiver())
    found = await until_kept(lake, EVENTS, *running)
    (survivor,) = running
    survivor.terminate()
    assert await survivor.wait() == 0
    assert found == Counter(published)
    assert kept(lake) == Counter(published)

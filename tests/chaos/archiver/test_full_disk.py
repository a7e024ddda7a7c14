"""A disk that takes no more: the archiver says so, is not ready, loses nothing, and catches up."""

import asyncio
import json
import re
import resource
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from archiver.__main__ import topics_of
from bus.events import Event
from bus.producer import KafkaPublisher
from bus.topics import ensure_topics
from deltalake import DeltaTable
from feature_store import load_project
from local_stack import LocalStack

pytestmark = pytest.mark.stack

PROJECT_FOLDER = Path(__file__).parents[2] / "integration" / "archiver"
TOPIC = "clicks.v1"
AT_US = 1_356_998_400_000_000
FULL_BYTES = 64
"""No file of a process may grow beyond this: neither rows nor a log entry fit, as on a full disk.

A limit of a process needs no root and no file system of its own; writes fail in the kernel all the same, with
EFBIG in place of ENOSPC.
"""


@asynccontextmanager
async def archiver(kafka: str, folder: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Start `python -m archiver`; give the process and the address of its metrics."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "archiver",
        env={
            "PYTHONPATH": str(PROJECT_FOLDER),
            "TIDEMARK_PROJECT": "clicks_project",
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "LAKE_URI": str(folder / "lake"),
            "FLUSH_MS": "50",
            "METRICS_PORT": "0",
            "LOG_FORMAT": "json",
        },
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        while not (found := re.search(rb'"metrics_port": (\d+)', line := await process.stderr.readline())):
            assert line, "the archiver ended before it said its port"
        async with asyncio.TaskGroup() as tasks:
            draining = tasks.create_task(process.stderr.read())
            yield process, f"http://127.0.0.1:{int(found[1])}"
            process.terminate()
            await draining
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def readiness(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


async def until_ready(url: str) -> None:
    async with asyncio.timeout(60):
        while (await asyncio.to_thread(readiness, url))[0] != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def until_told(url: str, reason: str) -> str:
    """Wait until it is not ready for a reason, and give it whole."""
    async with asyncio.timeout(60):
        while (told := await asyncio.to_thread(readiness, url))[0] != 503 or reason not in told[1]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return told[1]


async def publish(kafka: str, first: int, count: int) -> Counter[tuple[int, int]]:
    document = json.dumps({"page": "home", "seconds": 1.0, "at": "2013-01-01T00:00:00Z"}).encode()
    events = [
        Event(f"click-{n}", "click", "web", "", AT_US, AT_US, str(n).encode(), document)
        for n in range(first, first + count)
    ]
    async with KafkaPublisher(kafka, client_id="upstream") as publisher:
        positions = await publisher.publish_all(TOPIC, events)
    return Counter((where.partition, where.offset) for where in positions)


def kept(folder: Path) -> Counter[tuple[int, int]]:
    rows = DeltaTable(folder / "lake" / "sources" / TOPIC).to_pyarrow_table(columns=["_partition", "_offset"])
    return Counter(
        zip(rows.column("_partition").to_pylist(), rows.column("_offset").to_pylist(), strict=True)
    )


async def until_kept(folder: Path, wanted: Counter[tuple[int, int]]) -> None:
    async with asyncio.timeout(60):
        while kept(folder).total() < wanted.total():  # noqa: ASYNC110 - a table announces nothing
            await asyncio.sleep(0.05)
    assert kept(folder) == wanted


async def test_a_full_disk_is_told_and_nothing_is_lost(
    own_stack: Callable[..., Awaitable[LocalStack]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(str(PROJECT_FOLDER))
    kafka = (await own_stack(valkey=None)).kafka_bootstrap
    await ensure_topics(kafka, topics_of(load_project("clicks_project")))
    async with archiver(kafka, tmp_path) as (process, url):
        await until_ready(url)
        published = await publish(kafka, 0, 100)
        await until_kept(tmp_path, published)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (FULL_BYTES, resource.RLIM_INFINITY))
        published += await publish(kafka, 100, 100)
        reason = await until_told(url, f"lake table sources/{TOPIC}")
        assert "File too large" in reason
        assert kept(tmp_path).total() == 100
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        await until_kept(tmp_path, published)
        await until_ready(url)
    assert process.returncode == 0

"""`python -m feature` as a process, on a real Kafka and a real Valkey."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from bus.events import Event
from bus.inspect import tail
from bus.producer import KafkaPublisher
from bus.topics import OUTCOMES_OBSERVED, dead_letter_of
from feature_store import Incoming, decode_events, load_project
from feature_store.online import Applier, MemoryClaims, MemoryFeatureRows
from feature_store.online.redis import RedisFeatureRows, connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from bus.positions import Position
    from local_stack import LocalStack

pytestmark = pytest.mark.stack

FOLDER = Path(__file__).parent
TOPIC = "trips.ended.v1"
AT_US = 1_365_000_000_000_000


@asynccontextmanager
async def feature(**environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "feature",
        env={"PYTHONPATH": str(FOLDER), **environment},
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def logged(process: asyncio.subprocess.Process, event: str) -> dict[str, Any]:
    """Return the first line of the log that says this."""
    assert process.stderr is not None
    async for line in process.stderr:
        found: dict[str, Any] = json.loads(line)
        if found["event"] == event:
            return found
    pytest.fail(f"it never said {event!r}")


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110 - another process is waited for
            await asyncio.sleep(0.05)


def trip(number: int, **changes: Any) -> Event:
    at_us = AT_US + number * 60_000_000
    fields = {"trip": f"t{number}", "driver": "ann", "city": "rome", "fare": 15.0 + number}
    data = json.dumps({**fields, "ended_at": f"{np.datetime64(at_us, 'us')}Z", **changes}).encode()
    return Event(f"trip-{number}", "trip", "taxis", "", at_us, at_us, b"k", data)


@pytest.fixture
async def stack(own_stack: Callable[..., Awaitable[LocalStack]]) -> LocalStack:
    return await own_stack()


@pytest.fixture
def environment(stack: LocalStack) -> dict[str, str]:
    return {
        **stack.environment(),
        "TIDEMARK_PROJECT": "taxi_project",
        "METRICS_PORT": "0",
        "LOG_FORMAT": "json",
    }


async def test_events_become_rows_outcomes_and_dead_letters_and_it_drains_on_sigterm(
    stack: LocalStack, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with feature(**environment) as process, httpx.AsyncClient(timeout=5) as http:
        url = f"http://127.0.0.1:{(await logged(process, 'started'))['metrics_port']}"

        async def ready() -> bool:
            return (await http.get(f"{url}/readyz")).status_code == 200

        await until(ready)
        sent = [trip(0), trip(1), trip(2, fare=-1.0), trip(3, driver=None), trip(4, ended_at="yesterday")]
        async with KafkaPublisher(stack.kafka_bootstrap, client_id="upstream") as publisher:
            positions = await publisher.publish_all(TOPIC, [*sent, sent[0]])
        letters = [
            seen
            async for seen in tail(stack.kafka_bootstrap, dead_letter_of(TOPIC), from_beginning=True, limit=2)
        ]
        assert [dict(seen.record.headers)["dlq_reason"] for seen in letters] == [
            b"OUT_OF_RANGE",
            b"WRONG_TYPE",
        ]
        assert [seen.record.value for seen in letters] == [sent[2].data, sent[4].data]

        outcomes = [
            seen
            async for seen in tail(
                stack.kafka_bootstrap, OUTCOMES_OBSERVED.name, from_beginning=True, limit=3
            )
        ]
        found = {(seen.event.id, seen.message.value) for seen in outcomes if seen.event and seen.message}
        assert found == {("dear:t0:0", 0.0), ("dear:t1:0", 0.0), ("dear:t3:0", 0.0)}

        metrics = (await http.get(f"{url}/metrics")).text
        assert f'feature_events_total{{source="{TOPIC}"}} 4.0' in metrics
        assert f'feature_repeats_total{{source="{TOPIC}"}} 1.0' in metrics
        assert f'feature_rejects_total{{reason="OUT_OF_RANGE",source="{TOPIC}"}} 1.0' in metrics
        process.terminate()
        assert await process.wait() == 0

    monkeypatch.syspath_prepend(str(FOLDER))
    await assert_rows_hold(stack.redis_url, positions, [*sent, sent[0]])


async def assert_rows_hold(redis_url: str, positions: Sequence[Position], events: Sequence[Event]) -> None:
    """What is read from Redis is what the log says, recomputed."""
    project = load_project("taxi_project")
    source = project.sources[TOPIC]
    incoming = Incoming.of(
        events, [position.partition for position in positions], [position.offset for position in positions]
    )
    batch, _ = decode_events(source, incoming)
    quiet = MemoryFeatureRows()
    await Applier(project.views.values(), quiet, MemoryClaims()).apply(batch)
    client = await connect(redis_url)
    stored = await RedisFeatureRows(client).read(list(quiet.stored))
    await client.aclose()
    # All but the revision, which counts the writes.
    assert [row and row[:16] + row[24:] for row in stored] == [
        row[:16] + row[24:] for row in quiet.stored.values()
    ]
    assert len(quiet.stored) == 2


async def test_it_starts_while_redis_is_away_and_waits_for_it(
    stack: LocalStack, environment: dict[str, str]
) -> None:
    (valkey,) = stack.valkey.nodes
    valkey.kill()
    async with feature(**environment) as process, httpx.AsyncClient(timeout=5) as http:
        url = f"http://127.0.0.1:{(await logged(process, 'started'))['metrics_port']}"

        async def joined() -> bool:
            return (await http.get(f"{url}/readyz")).status_code == 200

        async with KafkaPublisher(stack.kafka_bootstrap, client_id="upstream") as publisher:
            await publisher.publish(TOPIC, trip(0))

        async def waits_for_redis() -> bool:
            reply = await http.get(f"{url}/readyz")
            return reply.status_code == 503 and "is Redis up" in reply.text

        await until(waits_for_redis)
        assert (await http.get(f"{url}/healthz")).status_code == 200
        await valkey.start()
        await until(joined)
        process.terminate()
        assert await process.wait() == 0


@pytest.mark.parametrize(
    ("project", "said"),
    [
        ("", "TIDEMARK_PROJECT"),
        ("no_such_project", "no_such_project"),
        ("broken_project", "broken_project.py:"),
    ],
)
async def test_a_project_that_cannot_be_loaded_is_said_in_one_line(project: str, said: str) -> None:
    async with feature(TIDEMARK_PROJECT=project) as process:
        _, errors = await process.communicate()
        assert process.returncode == 1
    assert said in errors.decode()
    assert "Traceback" not in errors.decode()
    assert errors.decode().count("\n") == 1

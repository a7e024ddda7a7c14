"""`FeatureService`, a flush of Valkey, and `tidemark features backfill`, with real processes and servers."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import httpx
import numpy as np
import pytest
from bus.events import Event
from bus.inspect import tail
from bus.producer import KafkaPublisher
from feature_store import Incoming, decode_events, load_project
from feature_store.online import Applier, MemoryClaims, MemoryFeatureRows
from feature_store.online.redis import RedisFeatureRows, connect
from grpc_health.v1 import health_pb2, health_pb2_grpc
from local_stack import ValkeyOptions
from tidemark.features.v1 import feature_service_pb2 as pb
from tidemark.features.v1 import feature_service_pb2_grpc as pb_grpc
from tidemark.scoring.v1.feature_vector_pb2 import FeatureStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from local_stack import LocalStack

pytestmark = pytest.mark.stack

FOLDER = Path(__file__).parent
TOPIC = "trips.ended.v1"
AT_US = 1_365_000_000_000_000
HASTY = {"FLUSH_MS": "200", "ROWS_BEAT_S": "0.1"}


@asynccontextmanager
async def service(module: str, environment: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        env=environment,
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
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
    async with asyncio.timeout(40):
        while not await condition():  # noqa: ASYNC110 - another process is waited for
            await asyncio.sleep(0.05)


def payload(number: int, **changes: Any) -> bytes:
    at_us = AT_US + number * 60_000_000
    fields = {"trip": f"t{number}", "driver": f"d{number % 7}", "city": "rome", "fare": 15.0 + number % 20}
    return json.dumps({**fields, "ended_at": f"{np.datetime64(at_us, 'us')}Z", **changes}).encode()


def trip(number: int) -> Event:
    at_us = AT_US + number * 60_000_000
    key = f"k{number % 11}".encode()
    return Event(f"trip-{number}", "trip", "taxis", "", at_us, at_us, key, payload(number))


@pytest.fixture(params=[1, 3], ids=["valkey", "valkey-cluster"])
async def stack(
    request: pytest.FixtureRequest, own_stack: Callable[..., Awaitable[LocalStack]]
) -> LocalStack:
    return await own_stack(valkey=ValkeyOptions(nodes=request.param))


@pytest.fixture
def environment(stack: LocalStack, tmp_path: Path) -> dict[str, str]:
    return {
        **stack.environment(),
        **HASTY,
        "PYTHONPATH": str(FOLDER),
        "TIDEMARK_PROJECT": "taxi_project",
        "LAKE_URI": str(tmp_path / "lake"),
        "METRICS_PORT": "0",
        "LOG_FORMAT": "json",
    }


async def expected_rows(bootstrap: str, count: int) -> dict[bytes, bytes]:
    """The rows that the topic's records make, without revisions."""
    source = load_project("taxi_project").sources[TOPIC]
    seen = [one.record async for one in tail(bootstrap, TOPIC, from_beginning=True, limit=count)]
    seen.sort(key=lambda record: (record.partition, record.offset))
    headers = [dict(record.headers) for record in seen]
    times = [AT_US + int(json.loads(record.value or b"")["trip"][1:]) * 60_000_000 for record in seen]
    batch, _ = decode_events(
        source,
        Incoming(
            values=[record.value or b"" for record in seen],
            ids=[one["ce_id"].decode() for one in headers],
            keys=[record.key or b"" for record in seen],
            event_time_us=times,
            recorded_time_us=times,
            partitions=[record.partition for record in seen],
            offsets=[record.offset for record in seen],
        ),
    )
    quiet = MemoryFeatureRows()
    await Applier(load_project("taxi_project").views.values(), quiet, MemoryClaims()).apply(batch)
    return {key: bare(row) for key, row in quiet.stored.items()}


def bare(row: bytes | None) -> bytes:
    """All but the revision, which counts writes."""
    return b"" if row is None else row[:16] + row[24:]


async def stored(redis_url: str, keys: Sequence[bytes]) -> dict[bytes, bytes]:
    client = await connect(redis_url)
    rows = await RedisFeatureRows(client).read(keys)
    await client.aclose()
    return dict(zip(keys, map(bare, rows), strict=True))


async def backfill(environment: dict[str, str]) -> asyncio.subprocess.Process:
    command = [sys.executable, "-m", "tidemark_cli", "features", "backfill", "--json"]
    return await asyncio.create_subprocess_exec(
        *command,
        "--kafka",
        environment["KAFKA_BOOTSTRAP_SERVERS"],
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_a_flush_is_noticed_and_a_backfill_killed_and_repeated_restores_every_bit(
    stack: LocalStack, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    async with (
        service("feature", environment) as feature,
        service("archiver", environment),
        KafkaPublisher(stack.kafka_bootstrap, client_id="upstream") as upstream,
        httpx.AsyncClient(timeout=5) as http,
    ):
        url = f"http://127.0.0.1:{(await logged(feature, 'started'))['metrics_port']}"

        async def ready() -> bool:
            return (await http.get(f"{url}/readyz")).status_code == 200

        async def lost() -> bool:
            reply = await http.get(f"{url}/readyz")
            return reply.status_code == 503 and "tidemark features backfill" in reply.text

        async def caught_up() -> bool:
            expected = await expected_rows(stack.kafka_bootstrap, published)
            return await stored(stack.redis_url, list(expected)) == expected

        await until(ready)
        await upstream.publish_all(TOPIC, [*map(trip, range(600)), *map(trip, range(50))])
        published = 650
        await until(caught_up)

        for node in stack.valkey.nodes:
            client = await connect_node(node.address)
            await client.flushall()
            await client.aclose()
        await until(lost)
        assert (await logged(feature, "feature rows are not whole"))[
            "command"
        ] == "tidemark features backfill"
        assert "tidemark_feature_rows_lost 1.0" in (await http.get(f"{url}/metrics")).text
        # Published while rows are lost: repeats of old ones, and new ones.
        await upstream.publish_all(TOPIC, [*map(trip, range(580, 700))])
        published += 120

        first = await backfill(environment)
        await asyncio.sleep(1.2)
        if first.returncode is None:
            first.kill()
        await first.communicate()
        second = await backfill(environment)
        out, errors = await second.communicate()
        assert second.returncode == 0, errors.decode()
        assert [*json.loads(out)["views"]] == ["city_trips", "driver_trips"]

        await until(ready)
        assert "tidemark_feature_rows_lost 0.0" in (await http.get(f"{url}/metrics")).text
        await upstream.publish_all(TOPIC, [*map(trip, range(690, 760))])
        published += 70
        await until(caught_up)
        left = await connect(stack.redis_url)
        assert [key async for key in left.scan_iter(match=b"tm:r:*")] == []
        await left.aclose()


async def connect_node(address: str) -> Any:
    from redis.asyncio import Redis  # noqa: PLC0415 - a node of a cluster, alone

    return Redis.from_url(f"redis://{address}")


async def test_features_are_read_and_events_pushed_over_grpc(
    stack: LocalStack, environment: dict[str, str]
) -> None:
    async with service("feature", environment) as process:
        port = (await logged(process, "listening"))["grpc_port"]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            features = pb_grpc.FeatureServiceStub(channel)
            health = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
            assert health.status == health_pb2.HealthCheckResponse.SERVING

            pushed = pb.PushRequest(
                source=TOPIC, events=[pb.PushedEvent(id=f"p{n}", data=payload(n), key="k") for n in range(5)]
            )
            now_s = (AT_US + 300_000_000) // 1_000_000
            for event in pushed.events:
                event.recorded_time.seconds = now_s
            where = await features.Push(pushed)
            assert [one.offset for one in where.positions] == [0, 1, 2, 3, 4]
            await features.Push(pushed)  # again: the same ids count once

            asked = pb.GetRequest(entities={"city": "rome", "driver": "d1"})
            asked.features.names.extend(["city_trips.trips_1h", "driver_trips.last_fare_24h"])
            asked.request_time.seconds = now_s

            async def applied() -> bool:
                got = await features.Get(asked)
                return bool(got.features[0].value == 5.0)

            await until(applied)
            got = await features.Get(asked)
            assert [(one.name, one.value, one.status) for one in got.features] == [
                ("city_trips.trips_1h", 5.0, FeatureStatus.FEATURE_STATUS_PRESENT),
                ("driver_trips.last_fare_24h", 16.0, FeatureStatus.FEATURE_STATUS_PRESENT),
            ]
            assert [(one.view, one.age_seconds) for one in got.views] == [
                ("city_trips", 60.0),
                ("driver_trips", 240.0),
            ]

            many = pb.GetBatchRequest(features=asked.features)
            for driver in ("d1", "nobody", "d4"):
                question = many.questions.add(entities={"city": "rome", "driver": driver})
                question.request_time.seconds = now_s
            batch = await features.GetBatch(many)
            values = np.frombuffer(batch.values, "<f4").reshape(3, 2)
            assert values.tolist() == [[5.0, 16.0], [5.0, 0.0], [5.0, 19.0]]
            assert np.frombuffer(batch.statuses, np.uint8).reshape(3, 2)[:, 1].tolist() == [1, 2, 1]
            ages = np.frombuffer(batch.ages_seconds, "<f4").reshape(3, 2)[:, 1]
            assert ages[[0, 2]].tolist() == [240.0, 60.0]
            assert np.isnan(ages[1])

            bad = pb.PushRequest(source=TOPIC, events=[pb.PushedEvent(id="x", data=payload(1, fare=-1.0))])
            bad.events[0].recorded_time.seconds = now_s
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await features.Push(bad)
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert "events[0].data: OUT_OF_RANGE" in str(refused.value.details())

            for node in stack.valkey.nodes:
                node.kill()
            got = await features.Get(asked)
            assert {one.status for one in got.features} == {FeatureStatus.FEATURE_STATUS_DEFAULTED}
            for node in stack.valkey.nodes:
                await node.start()
            await until(applied)
